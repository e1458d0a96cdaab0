import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { generatedTypes, generateTypes, type GeneratedFile } from "./generate-types.ts";

it.each(Object.keys(generatedTypes) as GeneratedFile[])(
  "%s is what its schema says; `npm run generate` brings it up to date",
  async (file) => {
    expect(readFileSync(join(repoRoot, file), "utf8")).toBe(await generateTypes(file));
  },
);
