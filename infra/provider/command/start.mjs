// Lets node read the TypeScript beside this file, from whatever folder the engine starts the provider in.
import { register } from "tsx/esm/api";

register();
await import("./main.ts");
