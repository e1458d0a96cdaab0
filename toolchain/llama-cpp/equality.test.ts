import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cacheDir, repoRoot } from "../../common/paths.ts";
import { compilePiProgram, emulated, kernelTypes, piProgramsMissing } from "./pi-program.ts";

const missing = piProgramsMissing(cacheDir());

describe.skipIf(missing)(`our kernels, emulated${missing ? ` (skipped: ${missing})` : ""}`, () => {
  let folder: string;
  let program: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "pipress-equality-"));
    program = join(folder, "equality");
    await compilePiProgram(cacheDir(), join(repoRoot, "toolchain", "llama-cpp", "equality.cpp"), program);
  }, 300_000);
  afterAll(() => rm(folder, { recursive: true }));

  it.each(kernelTypes)(
    "multiply %s as upstream's do, for all shapes and extremes",
    async (type) => {
      const [emulator, ...args] = emulated;
      const { all } = await execa(emulator, [...args, program, type], { all: true, reject: false });
      expect(all).toMatch(new RegExp(`^${type}: \\d+ products, apart by \\S+ at most$`));
    },
    60_000,
  );
});
