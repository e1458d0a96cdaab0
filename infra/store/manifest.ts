import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { UserError } from "../../common/user-error.ts";
import { repoRoot } from "../../common/paths.ts";

/** A file of an artifact: its SHA-256 in hex and its size. */
export interface FileDigest {
  sha256: string;
  bytes: number;
}

/** What a stage left in the store; `models/schemas/manifest.schema.json` is its contract with the Python side. */
export interface Manifest {
  schema: 1;
  key: string;
  stage: string;
  name: string;
  /** The one run that made this artifact: another run of the same key writes another value. */
  run: string;
  params: Record<string, unknown>;
  inputs: Record<string, string>;
  files: Record<string, FileDigest>;
  /** In a bucket: the folder beside the manifest that holds the files. */
  attempt?: string;
  metrics: Record<string, number | string | boolean | null>;
  toolVersions: Record<string, string>;
  createdAt: string;
  seconds: number;
  costUsd: number;
}

/** Compiles a JSON Schema of `models/schemas/`, the same file that the Python side validates with. */
export function compileSchema(name: string) {
  const path = join(repoRoot, "models", "schemas", `${name}.schema.json`);
  const ajv = new Ajv2020({
    allErrors: true,
    verbose: true,
    strict: true,
    allowUnionTypes: true,
    useDefaults: true,
  });
  addFormats.default(ajv);
  return ajv.compile(JSON.parse(readFileSync(path, "utf8")) as object);
}

let validateManifest: ReturnType<typeof compileSchema> | undefined;

/**
 * Parses a manifest and checks it against the schema.
 * @param where the file or object it came from, for the error
 * @throws UserError when it is no manifest
 */
export function parseManifest(text: string, where: string): Manifest {
  validateManifest ??= compileSchema("manifest");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UserError({ where, what: "is not JSON", remedy: "remove this artifact; `up` makes it again" });
  }
  if (validateManifest(value)) return value as Manifest;
  const reasons = validateManifest.errors?.map(
    ({ instancePath, message }) => `${instancePath || "/"} ${message}`,
  );
  throw new UserError({
    where,
    what: `is not a manifest: ${reasons?.join("; ")}`,
    remedy: "remove this artifact; `up` makes it again",
  });
}
