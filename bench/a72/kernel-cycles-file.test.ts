import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { generateCycles, generatedCycles } from "./kernel-cycles-file.ts";

test("the kernels' cycles are what `npm run generate` makes of the results today", async () => {
  expect(readFileSync(join(repoRoot, generatedCycles), "utf8")).toBe(await generateCycles());
});
