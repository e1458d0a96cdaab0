import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { generateCycles, generatedCycles } from "../../bench/a72/kernel-cycles-file.ts";
import { generateBoard, generatedBoard } from "../../bench/speed-model/board-file.ts";
import { repoRoot } from "../../common/paths.ts";
import { generatedTypes, generateTypes, type GeneratedFile } from "../../infra/recipe/generate-types.ts";
import { generatedPages, generatePage } from "./pages.ts";

/** `npm run generate`: makes the types of the JSON Schemas and the generated parts of README.md and docs/ again. */
const write = (path: string, text: string): void => {
  writeFileSync(join(repoRoot, path), text);
  console.log(`written: ${path}`);
};
for (const path of Object.keys(generatedTypes) as GeneratedFile[]) write(path, await generateTypes(path));
write(generatedBoard, await generateBoard());
write(generatedCycles, await generateCycles());
for (const path of generatedPages) write(path, await generatePage(path));
