import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { inspectInstructions, verifyNeon } from "./neon.ts";

// How ggml multiplies quantized weights on plain NEON, and what it becomes where dotprod exists.
const neonDot = `#include <arm_neon.h>
int32x4_t dot(int8x16_t a, int8x16_t b) {
  return vaddq_s32(vpaddlq_s16(vmull_s8(vget_low_s8(a), vget_low_s8(b))), vpaddlq_s16(vmull_s8(vget_high_s8(a), vget_high_s8(b))));
}`;
const dotprod = `#include <arm_neon.h>
int32x4_t fast_dot(int32x4_t s, int8x16_t a, int8x16_t b) { return vdotq_s32(s, a, b); }`;
const halves = `#include <arm_neon.h>
float16x8_t add_halves(float16x8_t a, float16x8_t b) { return vaddq_f16(a, b); }`;
const convertsHalves = `#include <arm_neon.h>
float32x4_t widen(float16x4_t a, float32x4_t b) { return vfmaq_f32(b, vcvt_f32_f16(a), b); }`;
const sve = `void scale(float *x, int n) { for (int i = 0; i < n; i++) x[i] *= 2; }`;
const scalar = `int add(int a, int b) { return a + b; }`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pipress-neon-"));
});
afterAll(() => rm(folder, { recursive: true }));

async function compiled(code: string, ...flags: string[]): Promise<string> {
  const source = join(folder, "snippet.c");
  const object = join(folder, "snippet.o");
  await writeFile(source, code);
  await execa("aarch64-linux-gnu-gcc", ["-O3", ...flags, "-c", source, "-o", object]);
  return object;
}

describe("a program for the Pi", () => {
  it("passes when its dot products are plain NEON", async () => {
    const report = await verifyNeon(await compiled(neonDot, "-march=armv8-a"));
    expect(report.neonArithmetic).toBeGreaterThan(0);
  });

  it("passes when it only converts half-precision numbers, which ARMv8.0 can", async () => {
    await expect(verifyNeon(await compiled(convertsHalves, "-march=armv8-a"))).resolves.toBeDefined();
  });

  it("is refused for a dotprod instruction, naming the function that has it", async () => {
    const object = await compiled(`${dotprod}\n${neonDot}`, "-march=armv8.2-a+dotprod");
    await expect(verifyNeon(object)).rejects.toThrow(/cannot run \(fast_dot: sdot /);
  });

  it("is refused for half-precision arithmetic", async () => {
    const object = await compiled(`${halves}\n${neonDot}`, "-march=armv8.2-a+fp16");
    await expect(verifyNeon(object)).rejects.toThrow(/add_halves: fadd v0\.8h/);
  });

  it("is refused for SVE that the compiler chose by itself", async () => {
    await expect(verifyNeon(await compiled(sve, "-march=armv8.2-a+sve"))).rejects.toThrow(
      /cannot run \(scale: /,
    );
  });

  it("is refused when it does all its arithmetic one number at a time", async () => {
    await expect(verifyNeon(await compiled(scalar, "-march=armv8-a"))).rejects.toThrow(/no NEON arithmetic/);
  });
});

describe("reading a disassembly", () => {
  const inspect = (...lines: string[]) => inspectInstructions(linesOf(lines));

  it("allows what glibc and libgcc choose at run time", async () => {
    const report = await inspect(
      "0000000000400000 <__memcpy_sve>:",
      "  400000:\tld1b\t{z0.b}, p0/z, [x1]",
      "0000000000400010 <__aarch64_ldadd4_acq_rel>:",
      "  400010:\tldaddal\tw0, w0, [x1]",
    );
    expect(report.illegal).toEqual([]);
  });

  it("does not allow the same instructions anywhere else", async () => {
    const report = await inspect(
      "0000000000400000 <ggml_vec_dot>:",
      "  400000:\tldaddal\tw0, w0, [x1]",
      "  400004:\tld1b\t{z0.b}, p0/z, [x1]",
    );
    expect(report.illegal).toEqual([
      "ggml_vec_dot: ldaddal w0, w0, [x1]",
      "ggml_vec_dot: ld1b {z0.b}, p0/z, [x1]",
    ]);
  });

  it("does not mistake data between functions or ordinary names for instructions", async () => {
    const report = await inspect(
      "0000000000400000 <casting>:",
      "  400000:\t.word\t0x4e809400",
      "  400004:\tbl\t400100 <sdot_reference>",
      "  400008:\tstp\tx29, x30, [sp, #-16]!",
    );
    expect(report).toEqual({ neonArithmetic: 0, illegal: [] });
  });
});

async function* linesOf(lines: string[]): AsyncIterable<string> {
  yield* lines;
}
