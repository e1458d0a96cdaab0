import { expect, test } from "vitest";
import { preflightResource } from "./preflight-resource.ts";

const existing = { id: "preflight", inputs: { stages: { recover: "a" } }, state: {} };
const changesFor = async (stages: object) =>
  (await preflightResource.diff?.(existing, { stages, hosts: [] }))?.changes;

test("runs as long as a stage has to, also where it ran for the same stages before", async () => {
  expect(await changesFor({ recover: "a" })).toEqual({ stages: { kind: "update" } });
  expect(await changesFor({ recover: "b" })).toEqual({ stages: { kind: "update" } });
});

test("changes nothing once all stages are in the store", async () => {
  expect(await changesFor({})).toEqual({});
});
