import { describe, expect, it } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { resolveHosts } from "../config/hosts.ts";
import { stackConfigSchema } from "../config/schema.ts";
import type { ServerFlags } from "../config/server-settings.ts";
import { checkFleetFlags, checkServerFlags, readKnownFlags } from "./server-flags.ts";

// The options of the pinned build itself.
const known = readKnownFlags(readToolchain().llamaCpp.release.dir);

function problemsOf(flags: ServerFlags): string[] {
  try {
    checkServerFlags(flags, known, "pipress:server.flags", "b1");
    return [];
  } catch (error) {
    return (error as UserError).problems.map(({ what, remedy }) => `${what} — ${remedy}`);
  }
}

describe("checkServerFlags", () => {
  it("accepts what the pinned build knows", () => {
    expect(problemsOf({ "--batch-size": 256, "--flash-attn": "on", "--no-warmup": true })).toEqual([]);
  });

  it("refuses what it does not know, naming the nearest option", () => {
    expect(problemsOf({ "--bach-size": 256, "--nothing-like-it-at-all": true })).toEqual([
      'llama-server b1 does not know --bach-size — did you mean "--batch-size"?',
      "llama-server b1 does not know --nothing-like-it-at-all — leave it out",
    ]);
  });

  it("refuses a value too many or too few", () => {
    expect(problemsOf({ "--no-warmup": 1, "--batch-size": true })).toEqual([
      "--no-warmup takes 0 values — write `true`",
      "--batch-size takes 1 values — write its value",
    ]);
  });

  it("refuses what the build leaves out, what opens the host, and what has its own place", () => {
    const flags = {
      "--rpc": "h:1",
      "--tools": "all",
      "--slot-save-path": "/x",
      "--port": 1,
      "--api-key": "k",
      "--spec-type": "ngram-mod",
    };
    const problems = problemsOf(flags);
    expect(problems.map((line) => line.split(" ", 1)[0])).toEqual(Object.keys(flags));
    expect(problems[0]).toBe("--rpc is left out of this build — leave it out");
  });
});

describe("checkFleetFlags", () => {
  const bad = { flags: { "--nothing-like-it": true } };
  const server = { contextLength: 512, threads: 4, parallel: 1, minTokensPerSecond: 0 };

  it.each([
    ["pipress:server", { server: bad }],
    ["pipress:groups.attic.server", { groups: { attic: { server: bad } } }],
    ["pipress:hosts[0].server", { hosts: [{ name: "pi-0", group: "attic", virtual: {}, server: bad }] }],
  ])("names the place where an option is written: %s", (where, written) => {
    const hosts = [{ name: "pi-0", group: "attic", virtual: {} }];
    const config = stackConfigSchema.parse({ recipe: "x", hosts, ...written });
    const placed = config.hosts.map((host, index) => ({ where: `pipress:hosts[${index}]`, host }));
    const check = () => {
      checkFleetFlags(
        config,
        resolveHosts(placed, config, () => ({ server })),
        known,
        "b1",
      );
    };
    expect(check).toThrow(`${where}.flags.--nothing-like-it: llama-server b1 does not know`);
  });
});
