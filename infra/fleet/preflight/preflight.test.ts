import { expect, test } from "vitest";
import type { Prediction } from "../../prediction/predict.ts";
import type { PlannedStage } from "../../stage/planned.ts";
import { isLong } from "./preflight.ts";

const stages = new Map([
  ["fetch-dataset", { seconds: 20, bytes: 0 }],
  ["recover", { seconds: 9000, bytes: 0 }],
]);
const prediction = { stages } as unknown as Prediction;
const artifact = {} as PlannedStage["artifact"];

test("a stage of hours waits for the hosts, one that is over soon and one that is in the store do not", () => {
  expect(isLong({ name: "recover", artifact: undefined }, prediction)).toBe(true);
  expect(isLong({ name: "fetch-dataset", artifact: undefined }, prediction)).toBe(false);
  expect(isLong({ name: "recover", artifact }, prediction)).toBe(false);
});

test("a stage of which nothing is predicted waits", () => {
  expect(isLong({ name: "fetch", artifact: undefined }, undefined)).toBe(true);
});
