import { expect, it } from "vitest";
import { describeInstances, type InstanceRecord } from "./instance-records.ts";

it("says what is running right now and what all instances have cost so far", () => {
  const record = (instance: string, state: InstanceRecord["state"]): InstanceRecord => ({
    ...{
      name: "gpu",
      instance,
      type: "g6e.2xlarge",
      lifecycle: "spot",
      began: 0,
      until: 3600,
      usdPerHour: 1,
    },
    ...{ costUsd: 1, state, why: null },
  });
  expect(describeInstances([])).toBe("");
  expect(describeInstances([record("i-1", "ended"), record("i-2", "running")], 5400)).toBe(
    "running now: gpu instance i-2 (g6e.2xlarge, spot) for 1 h 30 min, $1.50 so far\ninstances of this stack have cost $2.00 so far",
  );
});
