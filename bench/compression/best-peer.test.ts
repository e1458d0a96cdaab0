import { describe, expect, it } from "vitest";
import { besideBestPeer } from "./best-peer.ts";

const models = [
  { name: "mixed", isPeer: false, perplexity: 40, kld: 0.5 },
  { name: "random", isPeer: true, perplexity: 120, kld: 1 },
  { name: "prune-layers", isPeer: true, perplexity: 50, kld: 2 },
];

describe("besideBestPeer", () => {
  it("sets ours beside the peer that is strongest in that figure, and peers beside nothing", () => {
    const rows = besideBestPeer("10 %", models);
    expect(rows[0]).toMatchObject({
      case: "10 %, mixed",
      metric: "perplexity",
      unit: "",
      baseline: "prune-layers",
      baselineValue: 50,
      ratio: 0.8,
    });
    expect(rows[3]).toMatchObject({ case: "10 %, mixed", metric: "kld", unit: "nats", baseline: "random" });
    expect([1, 2, 4, 5].map((index) => rows[index]?.baseline)).toEqual(Array(4).fill(undefined));
  });

  it("leaves ours alone where no peer has a figure", () => {
    expect(besideBestPeer("10 %", models.slice(0, 1))).toEqual([
      { case: "10 %, mixed", metric: "perplexity", value: 40, unit: "" },
      { case: "10 %, mixed", metric: "kld", value: 0.5, unit: "nats" },
    ]);
  });
});
