import { describe, expect, it } from "vitest";

import { diff } from "./diff.ts";
import { resources } from "./schema.ts";
import { makeSecret, type WireObject } from "./values.ts";

const declaration = resources["command:local:Command"];
const pathsOf = (olds: WireObject, news: WireObject, ignored: string[] = []) =>
  Object.fromEntries(
    [...diff(declaration, olds, news, ignored)].map(([path, { kind, replace }]) => [
      path,
      replace ? `${kind}-replace` : kind,
    ]),
  );

describe("a detailed diff (plugin.NewDetailedDiffFromObjectDiff)", () => {
  it("names each changed path and what happened to it", () => {
    const olds = { create: "a", environment: { A: "1", "b.c": "2" }, interpreter: ["sh", "-c"], stdin: "x" };
    const news = { create: "a", environment: { A: "2", "b.c": "3" }, interpreter: ["sh"], dir: "/" };
    expect(pathsOf(olds, news)).toEqual({
      "environment.A": "update",
      'environment["b.c"]': "update",
      "interpreter[1]": "delete",
      stdin: "delete",
      dir: "add",
    });
  });

  it("does not look into secrets", () => {
    const secret = (value: string) => ({ environment: makeSecret({ A: value }) });
    expect(pathsOf(secret("1"), secret("2"))).toEqual({ environment: "update" });
  });

  it("marks triggers as replacing, element by element", () => {
    expect(pathsOf({ triggers: [1] }, { triggers: [2, 3] })).toEqual({
      "triggers[0]": "update-replace",
      "triggers[1]": "add-replace",
    });
  });

  it("leaves out what is ignored, and what the SDKs add for themselves", () => {
    expect(pathsOf({ create: "a" }, { create: "b", version: "1", __defaults: [] }, ["create"])).toEqual({});
  });
});
