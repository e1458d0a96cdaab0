import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { generateBoard, generatedBoard } from "./board-file.ts";

test(
  "the fitted constants are what `npm run generate` makes of the rows today",
  { timeout: 30_000 },
  async () => {
    expect(readFileSync(join(repoRoot, generatedBoard), "utf8")).toBe(await generateBoard());
  },
);
