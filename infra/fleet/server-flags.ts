import { readFileSync } from "node:fs";
import { join } from "node:path";
import { didYouMean } from "../../common/nearest.ts";
import { UserError, type Problem } from "../../common/user-error.ts";
import type { HostConfig } from "../config/hosts.ts";
import type { StackConfig } from "../config/schema.ts";
import type { ServerFlags } from "../config/server-settings.ts";
import refusedFlags from "./refused-flags.json" with { type: "json" };

/** Options of llama-server by name, with the number of values each takes: `server-flags.json` of the pinned build. */
export type KnownFlags = Readonly<Record<string, { values: number }>>;

/** Options that a configuration may not set, and why. */
const refused = new Map(
  Object.entries(refusedFlags).flatMap(([reason, flags]) => flags.map((flag) => [flag, reason] as const)),
);

/** Reads what the pinned llama-server knows, from the folder of its release. */
export function readKnownFlags(releaseFolder: string): KnownFlags {
  return JSON.parse(readFileSync(join(releaseFolder, "server-flags.json"), "utf8")) as KnownFlags;
}

/**
 * Checks the further options of a stack, of its groups and of its hosts, each by the path under which it is written.
 * @throws UserError as `checkServerFlags`
 */
export function checkFleetFlags(
  { server, groups }: Pick<StackConfig, "server" | "groups">,
  fleet: readonly HostConfig[],
  known: KnownFlags,
  version: string,
): void {
  const levels = [
    { where: "pipress:server", server },
    ...Object.entries(groups).map(([name, group]) => ({ where: `pipress:groups.${name}.server`, ...group })),
    // What is left is a host's own.
    ...fleet.map((host) => ({ where: `${host.where}.server`, server: host.server })),
  ];
  for (const level of levels)
    checkServerFlags(level.server?.flags ?? {}, known, `${level.where}.flags`, version);
}

/**
 * Checks further options against the pinned build.
 * @param where config path of the flags
 * @param version build, e.g. `b11434`
 * @throws UserError with every option that the build does not know, that takes another number of values, or that is refused
 */
export function checkServerFlags(
  flags: ServerFlags,
  known: KnownFlags,
  where: string,
  version: string,
): void {
  const allowed = Object.keys(known).filter((name) => !refused.has(name));
  const problems = Object.entries(flags).flatMap(([flag, value]): Problem[] => {
    const path = `${where}.${flag}`;
    const reason = refused.get(flag);
    if (reason !== undefined) return [{ where: path, what: `${flag} ${reason}`, remedy: "leave it out" }];
    const option = known[flag];
    if (option === undefined) {
      const what = `llama-server ${version} does not know ${flag}`;
      return [{ where: path, what, remedy: didYouMean(flag, allowed) ?? "leave it out" }];
    }
    if (option.values === (value === true ? 0 : 1)) return [];
    return [{ where: path, what: `${flag} takes ${option.values} values`, remedy: remedyFor(option.values) }];
  });
  if (problems.length > 0) throw new UserError(problems);
}

function remedyFor(values: number): string {
  if (values === 0) return "write `true`";
  return values === 1 ? "write its value" : "an option of several values cannot be set here";
}
