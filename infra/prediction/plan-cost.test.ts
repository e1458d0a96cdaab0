import { describe, expect, it } from "vitest";
import type { StageName } from "../stage/node.ts";
import type { Manifest } from "../store/manifest.ts";
import { awsBuilder } from "../config/aws-schema.ts";
import { UserError } from "../../common/user-error.ts";
import { checkCost, describeCost, planCost, sumOf } from "./plan-cost.ts";

const aws = (changes: Record<string, unknown> = {}) =>
  awsBuilder.parse({
    region: "eu-north-9",
    maxCostUsd: 20,
    idleTimeout: "10 minutes",
    gpu: { types: ["g9.large"], disk: "0 GB" },
    build: { types: ["m9.large"], disk: "730 GB" },
    prices: { "g9.large": { onDemand: 4, spot: 2 }, "m9.large": { onDemand: 1, spot: 0.5 } },
    ...changes,
  });
const stage = (name: string, isStored = false) => ({
  name,
  stage: name as StageName,
  params: {},
  artifact: isStored ? ({} as Manifest) : undefined,
});
const hour = { seconds: 3600, bytes: 0 };
const costs = new Map([
  ["prune", hour],
  ["recover", { seconds: 7200 - 200, bytes: 2e10 }], // 200 s of it between instance and bucket
  ["quantize", hour],
]);

describe("planCost", () => {
  it("prices every missing stage on its instance, and the start and end of each instance", () => {
    const { lines, unknown } = planCost(
      [stage("prune"), stage("recover"), stage("quantize"), stage("report")],
      costs,
      aws(),
    );
    expect(unknown).toEqual([]);
    expect(lines.map(({ what, instance, seconds }) => [what, instance, seconds])).toEqual([
      ["start and end of the gpu instance", "gpu", 1200],
      ["prune", "gpu", 3600],
      ["recover", "gpu", 7200],
      ["start and end of the build instance", "build", 1200],
      ["quantize", "build", 3600],
    ]);
    expect(lines[1]).toMatchObject({ spot: 2, onDemand: 4 });
    expect(lines[4]?.spot).toBeCloseTo(0.5 + 0.08, 6); // 730 GB for an hour
    const sum = sumOf({ lines, unknown });
    expect(sum.spot).toBeCloseTo((2 * 12_000 + 0.58 * 4800) / 3600, 6);
  });

  it("costs nothing when every stage that needs an instance is in the store", () => {
    const cost = planCost([stage("prune", true), stage("report")], costs, aws());
    expect(cost).toEqual({ lines: [], unknown: [] });
    expect(describeCost(cost, aws())).toBe("");
  });

  it("names the stages whose time nobody knows yet", () => {
    const cost = planCost([stage("prune"), stage("quantize")], new Map([["prune", hour]]), aws());
    expect(cost.unknown).toEqual(["quantize"]);
    expect(describeCost(cost, aws())).toContain("nothing says yet how large the model is");
  });
});

describe("describeCost", () => {
  it("shows hours and prices line by line, with their sum and the date of the prices", () => {
    const text = describeCost(planCost([stage("prune")], costs, aws()), aws());
    expect(text.split("\n").map((line) => line.trim().replace(/ {2,}/g, " | "))).toEqual([
      "on AWS | instance | type | hours | spot | on demand",
      "start and end of the gpu instance | gpu | g9.large | 0.33 | $0.67 | $1.33",
      "prune | gpu | g9.large | 1.00 | $2.00 | $4.00",
      "sum | 1.33 | $2.67 | $5.33",
      expect.stringMatching(
        /^predicted hours; prices of \d{4}-\d\d-\d\d in eu-north-9\. Spot first; no instance costs more than \$20/,
      ),
    ]);
  });
});

describe("checkCost", () => {
  const cost = planCost([stage("prune"), stage("recover")], costs, aws());

  it("refuses a plan that costs more than it may, with the sum and what to do", () => {
    expect(() => {
      checkCost(cost, aws({ maxCostUsd: 5 }));
    }).toThrow(UserError);
    expect(() => {
      checkCost(cost, aws({ maxCostUsd: 5 }));
    }).toThrow(
      "pipress:builder.aws.maxCostUsd: the plan is predicted to cost $6.67 (spot, 3 h 20 min of instances), the limit is $5.00",
    );
  });

  it("counts the price on demand where instances may be started so", () => {
    expect(() => {
      checkCost(cost, aws({ maxCostUsd: 10 }));
    }).not.toThrow();
    expect(() => {
      checkCost(cost, aws({ maxCostUsd: 10, onDemand: true }));
    }).toThrow("predicted to cost $13.33 (on demand");
  });
});
