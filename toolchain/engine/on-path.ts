import { realpathSync } from "node:fs";
import { delimiter, dirname, sep } from "node:path";
import { findOnPath } from "../bootstrap/find-on-path.ts";
import { ENGINE_MINIMUM } from "../bootstrap/pins.ts";
import { ask } from "../bootstrap/process.ts";
import { suits } from "../bootstrap/version.ts";

/** The first `pulumi` on PATH that is the user's own; ours, put there by `./pipress env`, does not count. */
export function candidateOnPath(cacheDir: string, path = process.env.PATH ?? ""): string | undefined {
  const own = path.split(delimiter).filter((folder) => !`${folder}${sep}`.startsWith(`${cacheDir}${sep}`));
  return findOnPath("pulumi", own.join(delimiter));
}

/** The candidate's version if it suits, or else why it does not. */
export async function judge(
  candidate: string | undefined,
): Promise<{ version: string; refused?: undefined } | { version?: undefined; refused: string }> {
  if (candidate === undefined) return { refused: "no pulumi on PATH" };
  const version = await ask(candidate, ["version"]);
  if (version === undefined || version === "") return { refused: `${candidate} does not tell its version` };
  if (!suits(version, ENGINE_MINIMUM)) {
    return { refused: `${candidate} is ${version}; ${ENGINE_MINIMUM} or a newer 3.x is needed` };
  }
  const beside = dirname(realpathSync(candidate));
  if (findOnPath("pulumi-language-nodejs", [beside, process.env.PATH].join(delimiter)) === undefined) {
    return {
      refused: `${candidate} ${version} has no Node.js language host (pulumi-language-nodejs) beside it`,
    };
  }
  return { version };
}
