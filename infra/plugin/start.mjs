// Runs the provider's main.ts named by the first argument, and lets node read TypeScript for it, from whatever folder
// the engine starts it in. The arguments after it are the engine's.
import { pathToFileURL } from "node:url";
import { register } from "tsx/esm/api";

process.argv.splice(1, 1);
register();
await import(pathToFileURL(process.argv[1]).href);
