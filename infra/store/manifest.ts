import { compileSchema } from "../../common/json-schema.ts";
import { UserError } from "../../common/user-error.ts";
import type { Manifest } from "./manifest.generated.ts";

export type { Manifest };

/** A file of an artifact: its SHA-256 in hex and its size. */
export type FileDigest = Manifest["files"][string];

/** One of an artifact's files, which the plan says that it has. */
export function fileOf<File>(files: Readonly<Record<string, File>>, name: string): File {
  const file = files[name];
  if (file === undefined) throw new Error(`the artifact has no file ${name}`);
  return file;
}

let validateManifest: ReturnType<typeof compileSchema> | undefined;

/**
 * Parses a manifest and checks it against the schema.
 * @param where the file or object it came from, for the error
 * @throws UserError when it is no manifest
 */
export function parseManifest(text: string, where: string): Manifest {
  validateManifest ??= compileSchema("manifest");
  const [key = "KEY"] = /[0-9a-f]{64}/.exec(where) ?? [];
  const remedy = `\`./pipress store rm ${key.slice(0, 12)} --yes\`, then \`./pipress up\` makes it again`;
  const refusal = (what: string) => new UserError({ where, what, remedy });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw refusal("is not JSON");
  }
  if (validateManifest(value)) return value as Manifest;
  const reasons = validateManifest.errors?.map((error) => `${error.instancePath || "/"} ${error.message}`);
  throw refusal(`is not a manifest: ${reasons?.join("; ")}`);
}
