import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { repoRoot } from "./paths.ts";

/** Compiles a JSON Schema of `models/schemas/`, the same file that the Python side validates with. */
export function compileSchema(name: string) {
  const path = join(repoRoot, "models", "schemas", `${name}.schema.json`);
  const ajv = new Ajv2020({
    allErrors: true,
    verbose: true,
    strict: true,
    allowUnionTypes: true,
    useDefaults: true,
    validateSchema: false, // a test does, and each `up` begins a tenth of a second sooner
  });
  addFormats.default(ajv);
  return ajv.compile(JSON.parse(readFileSync(path, "utf8")) as object);
}
