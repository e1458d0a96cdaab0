import { readFileSync } from "node:fs";
import { join } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import type { Toolchain } from "../../toolchain/toolchain.ts";

/**
 * Versions of the Python packages pinned in the lock, and llama.cpp by the digest of its source.
 * @param lock a file in `models`; the one for development pins what benchmarks measure by, too
 */
export function toolPins(toolchain: Toolchain, lock = "requirements.lock"): Record<string, string> {
  const pinned = readFileSync(join(repoRoot, "models", lock), "utf8");
  const pins = Object.fromEntries(
    [...pinned.matchAll(/^([A-Za-z0-9._-]+)==([^\s;\\]+)/gm)].map(([, name, version]) => [name, version]),
  ) as Record<string, string>;
  return { ...pins, "llama.cpp": `${toolchain.llamaCpp.version} ${toolchain.llamaCpp.sourceSha256}` };
}

/** The pins that one stage declared. @throws Error naming a tool that is pinned nowhere */
export function selectPins(
  pins: Readonly<Record<string, string>>,
  tools: readonly string[],
): Record<string, string> {
  return Object.fromEntries(
    tools.map((tool) => {
      const pin = pins[tool];
      if (pin === undefined)
        throw new Error(`a stage names the tool "${tool}", which models/requirements.lock does not pin`);
      return [tool, pin];
    }),
  );
}
