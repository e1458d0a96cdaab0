import { readFileSync } from "node:fs";
import { parse, YAMLParseError } from "yaml";
import { UserError } from "./user-error.ts";

/**
 * What a YAML file says; undefined of an empty one.
 * @throws UserError where it is no YAML
 */
export function readYaml(file: string): unknown {
  try {
    return (parse(readFileSync(file, "utf8")) ?? undefined) as unknown;
  } catch (error) {
    if (!(error instanceof YAMLParseError)) throw error;
    throw new UserError({ where: file, what: `is not YAML: ${error.message.split("\n")[0]}` });
  }
}
