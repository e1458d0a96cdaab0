import { expect, test } from "vitest";
import { reportOfAll, withOthers } from "./last-up.ts";
import type { Report } from "./report.ts";

function report(model: string, ...hosts: string[]): Report {
  const figures = hosts.map((host) => ({ host, baseUrl: `http://${host}/v1`, warnings: [], release: model }));
  return { model, release: model, stages: [], models: [], hosts: figures };
}
const none = new Set<string>();
const servedIn = ({ hosts }: Report) => hosts.map(({ host, release }) => `${host}: ${release ?? ""}`);

test("hosts that a run was not for stay as the last one left them", () => {
  const last = { "pi-1": "old", "pi-2": "old" };
  expect(withOthers({ "pi-1": "new" }, last, none)).toEqual({ "pi-1": "new", "pi-2": "old" });
  const all = reportOfAll(report("new", "pi-1"), report("old", "pi-1", "pi-2"), none, true);
  expect(servedIn(all).sort()).toEqual(["pi-1: new", "pi-2: old"]);
  expect(all.model).toBe("new");
});

test("a host that has another name now is there once", () => {
  expect(withOthers({ b: 1 }, { a: 1, c: 2 }, new Set(["a"]))).toEqual({ b: 1, c: 2 });
  const all = reportOfAll(report("new", "b"), report("old", "a", "c"), new Set(["a"]), true);
  expect(servedIn(all).sort()).toEqual(["b: new", "c: old"]);
});

test("a run for hosts of another model leaves what is said of the stack's own", () => {
  expect(reportOfAll(report("small", "pi-3"), report("own", "pi-1"), none, false).model).toBe("own");
});

test("where there was none before, it is this run's alone", () => {
  const first = report("new", "pi-1");
  expect(reportOfAll(first, undefined, none, false)).toBe(first);
});
