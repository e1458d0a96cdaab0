import { statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Toolchain } from "../../toolchain/toolchain.ts";
import type { HostConfig } from "../config/hosts.ts";
import { formatRow, measuredHead, parseRows } from "../prediction/measured-rows.ts";
import { llama8B } from "../prediction/testing/shapes.ts";
import { multipliedWeights } from "../prediction/weights.ts";
import { describeOutcome, describeStop, HostMeasurement, rowOf, type Outcome } from "./measure.ts";
import { settings } from "../config/testing/settings.ts";

const model = {
  ...{ name: "Llama 3.1 8B", type: "Q4_K_M", parameters: 8030261312, fileBytes: 4920734272 },
  ...multipliedWeights(llama8B, { type: "Q4_K_M", imatrix: false }),
};
const outcome: Outcome = {
  ...{ model, threads: 4, build: 11434, prompt: 1.623, generation: 0.7, beside: null },
  ...{ board: "Raspberry Pi 4 Model B Rev 1.4", governor: "ondemand", throttled: 0 },
  ...{ celsius: 61.3, megahertz: 1500, bootloader: "2024-08-30" },
};
const untold = {
  board: null,
  bootloader: null,
  governor: null,
  throttled: null,
  celsius: null,
  megahertz: null,
};

describe("rowOf", () => {
  it("makes a row that is read as what was measured", () => {
    const row = rowOf("pi-1", outcome, new Date("2026-11-29T12:00:00.123Z"));
    expect(row).toMatchObject({ host: "pi-1", date: "2026-11-29T12:00:00Z", generation: 0.7, throttled: 0 });
    expect(parseRows(measuredHead + formatRow(row), "file")).toEqual([row]);
  });

  it("leaves out what the board does not tell", () => {
    const row = rowOf("pi-1", { ...outcome, ...untold }, new Date(0));
    expect(row.board).toBe("");
    expect(parseRows(measuredHead + formatRow(row), "file")).toEqual([row]);
  });
});

describe("what is said", () => {
  const subject = { running: false, model };

  it("of the server that is stopped", () => {
    expect(describeStop("pi-1", subject, 750, true)).toBe(
      "pi-1: to measure Llama 3.1 8B (Q4_K_M, 4.92 GB), llama-server is stopped there, for about 12 min 30 s " +
        "and the time it takes to load; the load balancer sends it nothing meanwhile",
    );
    expect(describeStop("pi-1", subject, undefined, false)).toMatch(/llama-server is stopped there$/);
  });

  it("of what llama.cpp's own kernels do there, where they were measured too", () => {
    const [, , prompt, generation, ...rest] = describeOutcome("pi-1", {
      ...outcome,
      beside: { prompt: 0.8, generation: 0.72, threads: 4 },
    }).split("\n");
    expect(prompt).toMatch(/predicted .*; with llama\.cpp's own kernels 0\.80, 2\.03 times that$/);
    expect(generation).toMatch(/own kernels 0\.72, 0\.97 times that$/);
    expect(rest).toEqual([
      "  `server: { flags: { --no-repack: true } }` on that host takes llama.cpp's own kernels",
    ]);
  });

  it("of what other threads do there, where they were measured too", () => {
    const beside = { prompt: 1.3, generation: 0.75, threads: 3 };
    const [, , prompt, generation, ...rest] = describeOutcome("pi-1", { ...outcome, beside }).split("\n");
    expect(prompt).toMatch(/; with 3 threads 1\.30, 1\.25 times that$/);
    expect(generation).toMatch(/; with 3 threads 0\.75, 0\.93 times that$/);
    expect(rest).toEqual(["  `server: { threads: 3 }` on that host takes 3 threads"]);
  });

  it("of what was measured, beside what is predicted", () => {
    expect(describeOutcome("pi-1", outcome).split("\n")).toEqual([
      "pi-1: Llama 3.1 8B (Q4_K_M, 4.92 GB)",
      "  Raspberry Pi 4 Model B Rev 1.4, bootloader of 2024-08-30, 4 threads, llama.cpp b11434, at most 61 °C, 1500 MHz, governor ondemand",
      "  prompt      1.62 tokens/s; predicted for a Raspberry Pi 4: 1.67",
      "  generation  0.70 tokens/s; predicted for a Raspberry Pi 4: 0.76",
    ]);
    expect(describeOutcome("pi-1", { ...outcome, ...untold }).split("\n")[1]).toBe(
      "  a board that does not say what it is, 4 threads, llama.cpp b11434",
    );
  });
});

describe("a host", () => {
  const path = import.meta.filename; // any file that is there
  const bench = { sha256: "a".repeat(64), bytes: statSync(path).size, path };
  const toolchain = { llamaCpp: { release: { files: { "llama-bench": bench } } } } as unknown as Toolchain;
  const log = { status: () => undefined, warn: () => undefined };
  const state = { stackId: undefined, virtualPis: new Map<string, string>() };
  const machine = { name: "pi-1", address: "127.0.0.1", port: 1, user: "pi", hostKey: "ssh-ed25519 AAAA" };
  const real = new HostMeasurement({ name: "pi-1", machine, ...settings }, state, toolchain, log);
  const virtual = { memory: 2 ** 31, cpus: 2, disk: 2 ** 33 };
  const emulated = new HostMeasurement(
    { name: "pi-0", virtual, ...settings } as HostConfig,
    state,
    toolchain,
    log,
  );

  it("is stopped for as long as it reads and writes what is measured, and the prompt once more", () => {
    // Three prompts of 512 tokens at 1.67 tokens/s, two answers of 128 at 0.76.
    const seconds = real.secondsFor({ running: false, model }) ?? 0;
    expect(seconds).toBeGreaterThan((3 * 512) / 1.675 + (2 * 128) / 0.765);
    expect(seconds).toBeLessThan((3 * 512) / 1.665 + (2 * 128) / 0.755);
  });

  it("is stopped for twice as long where llama.cpp's own kernels are measured too", () => {
    const both = new HostMeasurement(
      { name: "pi-1", machine, ...settings },
      ...([state, toolchain, log, { stock: true }] as const),
    );
    const subject = { running: false, model };
    expect(both.secondsFor(subject)).toBe(2 * (real.secondsFor(subject) ?? 0));
  });

  it("is not predicted where it is emulated", () => {
    expect([real.isEmulated, emulated.isEmulated]).toEqual([false, true]);
    expect(emulated.secondsFor({ running: false, model })).toBeUndefined();
  });

  it("that does not answer says so", async () => {
    const { signal } = new AbortController();
    await expect(real.look(signal)).rejects.toThrow("pi-1: unreachable: nothing listens on 127.0.0.1:1");
    await expect(emulated.look(signal)).rejects.toThrow(/^pi-0: /);
  });
});
