import { mkdirSync, mkdtempSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { EngineChoice } from "../engine/index.ts";
import { ensureCommandPlugin, installedCommandPlugin } from "./plugins.ts";

let cacheDir: string;
let folder: string;
beforeEach(() => {
  cacheDir = mkdtempSync(join(tmpdir(), "plugins-"));
  folder = join(cacheDir, "pulumi-home", "plugins", "resource-command-v1.2.1");
});
afterEach(() => {
  rmSync(cacheDir, { recursive: true });
});

const ctx = () => ({ cacheDir, progress: () => undefined, signal: new AbortController().signal });
const engine = (source: EngineChoice["source"], bin = "/nowhere"): EngineChoice => ({
  source,
  bin,
  version: "3.250.0",
  reason: "",
  candidate: null,
});

describe("the command plugin", () => {
  it("is the drop-in, by a link into this clone, where the engine had to be built", async () => {
    expect(await ensureCommandPlugin(ctx(), engine("modules"))).toBe("drop-in");
    expect(readlinkSync(join(folder, "pulumi-resource-command"))).toMatch(
      /infra\/provider\/command\/pulumi-resource-command$/,
    );
    expect(installedCommandPlugin(cacheDir)).toBe("drop-in");
  });

  it("is the official one where the engine can install it", async () => {
    const bin = join(cacheDir, "bin");
    mkdirSync(bin);
    const install = `mkdir -p "${folder}" && touch "${folder}/pulumi-resource-command" && echo "$@" >"${cacheDir}/args"`;
    writeFileSync(join(bin, "pulumi"), `#!/bin/sh\n${install}\n`, { mode: 0o755 });
    expect(await ensureCommandPlugin(ctx(), engine("vendor", bin))).toBe("official");
    expect(installedCommandPlugin(cacheDir)).toBe("official");
  });

  it("is the drop-in where the engine cannot install the official one", async () => {
    const bin = join(cacheDir, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "pulumi"), "#!/bin/sh\necho 'no such host' >&2; exit 255\n", { mode: 0o755 });
    expect(await ensureCommandPlugin(ctx(), engine("PATH", bin))).toBe("drop-in");
  });

  it("does not count as installed when its installation was cut short", () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "pulumi-resource-command"), "");
    writeFileSync(`${folder}.partial`, "");
    expect(installedCommandPlugin(cacheDir)).toBeUndefined();
  });

  it("does not count as installed when it is another clone's drop-in", () => {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(cacheDir, "elsewhere"), "");
    symlinkSync(join(cacheDir, "elsewhere"), join(folder, "pulumi-resource-command"));
    expect(installedCommandPlugin(cacheDir)).toBeUndefined();
  });
});
