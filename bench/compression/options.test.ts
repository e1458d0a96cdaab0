import { describe, expect, it } from "vitest";
import { parseOptions } from "./options.ts";

const parse = (...args: string[]) => parseOptions(args);

describe("parseOptions", () => {
  it("measures everything where it is told nothing", () => {
    expect(parse()).toMatchObject({
      only: ["pruning", "recovery", "ffn-widths", "minutes", "quantization", "mixed-precision", "speed"],
      ratios: [0.05, 0.1, 0.2, 0.3],
      minutes: 10,
    });
  });

  it("takes sections, ratios and methods", () => {
    const options = parse("--only", "recovery,pruning", "--ratios", "0.1,0.2", "--methods", "mixed,random");
    expect(options).toMatchObject({
      only: ["recovery", "pruning"],
      ratios: [0.1, 0.2],
      methods: ["mixed", "random"],
    });
  });

  it("names every mistake at once", () => {
    expect(() => parse("--only", "prune", "--ratios", "10", "--tokens", "few", "--minutes", "0")).toThrow(
      /--only prune: .*"pruning"\|"recovery".*\n.*--ratios 10: .*<0.9.*\n.*--tokens few: .*number.*\n.*--minutes 0: .*>=1/,
    );
  });

  it("refuses what it does not know", () => {
    expect(() => parse("--fast")).toThrow(/bench:compression: .*--fast.* — known: --only/);
  });
});
