import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { generatedPages, generatePage } from "./pages.ts";

/** `npm run generate`: makes the generated parts of README.md and docs/ again. */
for (const path of generatedPages) {
  writeFileSync(join(repoRoot, path), await generatePage(path));
  console.log(`written: ${path}`);
}
