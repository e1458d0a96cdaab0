import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { parseStackConfig } from "../infra/config/load.ts";
import type { StackConfig } from "../infra/config/schema.ts";
import { UserError } from "../common/user-error.ts";
import { repoRoot } from "../common/paths.ts";

/** The stack that verbs look at when none is named. */
export const DEFAULT_STACK = "dev";

/** What a stack's `Pulumi.<stack>.yaml` says, as text by key: how Pulumi hands it to the program. */
export function readStackFile(stack: string): Record<string, string> {
  const path = join(repoRoot, `Pulumi.${stack}.yaml`);
  if (!existsSync(path))
    throw new UserError({
      where: path,
      what: `there is no stack "${stack}"`,
      remedy: "name one that has such a file, with --stack",
    });
  const { config = {} } = (parse(readFileSync(path, "utf8")) ?? {}) as { config?: Record<string, unknown> };
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [
      key,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
}

/** The checked configuration of a stack, without running it. @throws UserError with every problem */
export function readStackConfig(stack: string): StackConfig {
  return parseStackConfig(readStackFile(stack));
}
