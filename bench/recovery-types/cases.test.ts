import { expect, it } from "vitest";
import { compared } from "./cases.ts";

it("sets a divergence beside the rival's, with the error of their ratio", () => {
  const ours = { name: "IQ2_S, aware", kld: 0.3, error: 0.03, bytes: 1 };
  const theirs = { name: "IQ2_S, unpruned", kld: 0.6, error: 0.06, bytes: 1 };
  expect(compared("a size", ours, theirs)).toEqual([
    {
      ...{ case: "a size", metric: "kld", value: 0.3, unit: "nats" },
      ...{ baseline: "IQ2_S, unpruned", baselineValue: 0.6, ratio: 0.5 },
    },
    // Ten percent of each, as the root of their squares.
    { case: "a size", metric: "kld_ratio_error", value: 0.0707, unit: "" },
  ]);
});
