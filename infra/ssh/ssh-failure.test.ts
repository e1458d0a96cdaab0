import { describe, expect, it } from "vitest";
import type { PlayHost } from "./host.ts";
import { explainMissingFolder, HostDown } from "./ssh-failure.ts";

describe("a host that lets us in and makes no folder for the connection", () => {
  const host = { name: "pi-0" } as PlayHost;
  const said = (reason: string) =>
    `Welcome!\nmkdir: cannot create directory '/tmp/pipress-2a8f30c49105d7f3': ${reason}\n`;

  it.each([
    ["No space left on device", /^pi-0: the host answers, but has no room .* — free some of its disk/],
    [
      "Read-only file system",
      /^pi-0: the host answers, but its file system is read-only — see why in `dmesg`/,
    ],
    [
      "Permission denied",
      /^pi-0: the host answers, but makes no folder in \/tmp \(Permission denied\) — see to it/,
    ],
  ])("is told apart from one that is down: %s", (reason, words) => {
    const failure = explainMissingFolder(host, said(reason));
    expect(failure).not.toBeInstanceOf(HostDown);
    expect(failure?.message).toMatch(words);
  });

  it("is none that did not let us in", () => {
    expect(explainMissingFolder(host, "pi@10.0.0.7: Permission denied (publickey).")).toBeUndefined();
  });
});
