import { describe, expect, it } from "vitest";
import { choiceLines, choices, fitting, formatChoices, usableMemory } from "./choice.ts";

const GIB = 2 ** 30;
const all = choices();
const named = (name: string, kind = "model") => all.find((each) => each.name === name && each.kind === kind);

describe("what a Raspberry Pi 4 can run", () => {
  it("is the catalogue and every recipe, the fastest first, and then what embeds", () => {
    const chats = all.filter(({ kind }) => kind !== "embeds");
    expect(all.slice(0, chats.length)).toEqual(chats);
    const speeds = chats.map(({ tokensPerSecond }) => tokensPerSecond);
    expect(speeds).toEqual([...speeds].sort((a, b) => b - a));
    expect(named("llama-3.1-8b")?.fileBytes).toBe(4_018_922_912);
    expect(named("llama-3.1-8b", "recipe")?.score).toEqual({ benchmark: "MMLU", percent: 69.4 });
  });

  it("has the speed that boards were measured with", () => {
    // bench/published/raspberry-pi-4b.csv: Llama 3.2 1B in Q4_K_M, 4.5 tokens/s.
    expect((named("llama-3.2-1b")?.tokensPerSecond ?? 0) / 4.5).toBeCloseTo(1, 1);
  });

  it("fits a board by what its kernel has, and is fast enough where that is asked", () => {
    const names = (wanted: Parameters<typeof fitting>[1]) => fitting(all, wanted).map(({ name }) => name);
    expect(names({ bytes: usableMemory(4 * GIB) })).not.toContain("llama-3.1-8b");
    expect(names({ bytes: usableMemory(8 * GIB) })).toContain("llama-3.1-8b");
    expect(names({ bytes: usableMemory(2 * GIB) })).toContain("qwen2.5-0.5b");
    expect(names({ bytes: usableMemory(2 * GIB), speed: 20 })).toEqual([
      ...["smollm2-135m", "smollm2-135m", "bge-small-en-v1.5", "nomic-embed-v1.5"],
    ]);
    // A board of 4 GB: `MemTotal: 3884000 kB`.
    expect(usableMemory(4 * GIB) / 3_884_000 / 1024).toBeCloseTo(1, 2);
  });

  it("is a table with a line for each", () => {
    const lines = formatChoices(fitting(all, { bytes: GIB * 1.5, speed: 20 })).split("\n");
    expect(lines[0]).toMatch(/^name +kind +type +file +memory +tokens\/s +first token +quality +license/);
    expect(lines[1]).toMatch(/^smollm2-135m +(recipe|model) .* s +HellaSwag 41 % +apache-2.0/);
    expect(lines[3]).toMatch(/^bge-small-en-v1.5 +embeds +Q8_0 +36.7 MB +\S+ GB +\d+ +– +mit *$/);
  });

  it("is a line for each on a terminal of 80 columns, too, where it is asked for one of them", () => {
    const lines = choiceLines(all);
    expect(lines).toHaveLength(all.length + 1);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(76);
  });
});
