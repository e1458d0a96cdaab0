import { describe, expect, it } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import type { ServerFlags } from "../config/server-settings.ts";
import { checkServerFlags, readKnownFlags } from "./server-flags.ts";

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
    };
    const problems = problemsOf(flags);
    expect(problems.map((line) => line.split(" ", 1)[0])).toEqual(Object.keys(flags));
    expect(problems[0]).toBe("--rpc is left out of this build — leave it out");
  });
});
