import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import { expect, test } from "vitest";
import { repoRoot } from "./paths.ts";

const folder = join(repoRoot, "models", "schemas");

test.each(readdirSync(folder))("%s is a JSON Schema of 2020-12", (file) => {
  const ajv = new Ajv2020();
  expect(
    ajv.validateSchema(JSON.parse(readFileSync(join(folder, file), "utf8")) as object),
    ajv.errorsText(),
  ).toBe(true);
});
