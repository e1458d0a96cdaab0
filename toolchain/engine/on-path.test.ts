import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { fingerprint } from "./index.ts";
import { candidateOnPath, judge } from "./on-path.ts";

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), "on-path-"))));
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** A `pulumi` that answers `version`, with or without a language host beside it. */
function engine(name: string, version: string, { languageHost = true } = {}): string {
  const bin = join(folder, name);
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "pulumi"), `#!/bin/sh\necho ${version}\n`, { mode: 0o755 });
  if (languageHost) writeFileSync(join(bin, "pulumi-language-nodejs"), "#!/bin/sh\n", { mode: 0o755 });
  return bin;
}

describe("candidateOnPath", () => {
  it("takes the first pulumi on PATH, but never the cache's own", () => {
    const own = engine("cache/engine/v3/bin", "v3.250.0");
    const users = engine("usr/bin", "v3.260.0");
    expect(candidateOnPath(join(folder, "cache"), `${own}:${users}`)).toBe(join(users, "pulumi"));
    expect(candidateOnPath(join(folder, "cache"), own)).toBeUndefined();
  });
});

describe("judge", () => {
  it("accepts a recent engine with its Node.js language host", async () => {
    expect(await judge(join(engine("a", "v3.230.1"), "pulumi"))).toEqual({ version: "v3.230.1" });
  });

  it("says why it refuses an old one", async () => {
    const pulumi = join(engine("a", "v3.199.0"), "pulumi");
    expect(await judge(pulumi)).toEqual({
      refused: `${pulumi} is v3.199.0; 3.200.0 or a newer 3.x is needed`,
    });
  });

  it("says why it refuses one that does not tell its version", async () => {
    const pulumi = join(engine("a", ""), "pulumi");
    expect(await judge(pulumi)).toEqual({ refused: `${pulumi} does not tell its version` });
  });
});

describe("fingerprint", () => {
  it("changes when the pulumi on PATH is replaced", () => {
    const pulumi = join(engine("a", "v3.230.1"), "pulumi");
    const before = fingerprint(pulumi);
    expect(fingerprint(pulumi)).toBe(before);
    writeFileSync(pulumi, "#!/bin/sh\necho v3.230.12\n");
    expect(fingerprint(pulumi)).not.toBe(before);
    expect(fingerprint(undefined)).toBeNull();
  });
});
