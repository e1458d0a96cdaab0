import { expect, it } from "vitest";
import { describeBoots } from "./boots.ts";
import type { Boot } from "./desk.ts";

it("says what is running right now and what all boxes have cost so far", () => {
  const boot = (instance: string, state: Boot["state"]): Boot => ({
    ...{ box: "gpu", instance, type: "g6e.2xlarge", lifecycle: "spot", began: 0, until: 3600, usdPerHour: 1 },
    ...{ costUsd: 1, state, why: null },
  });
  expect(describeBoots([])).toBe("");
  expect(describeBoots([boot("i-1", "ended"), boot("i-2", "running")], 5400)).toBe(
    "running now: gpu box i-2 (g6e.2xlarge, spot) for 1 h 30 min, $1.50 so far\nboxes of this stack have cost $2.00 so far",
  );
});
