import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Batches } from "./batches.ts";

const { signal } = new AbortController();
const timeout = 60;

function makeBatches(fails = false) {
  const began: string[][] = [];
  const batches = new Batches<string, { name: string }, string>((members) => {
    began.push(members.map(({ name }) => name));
    if (fails) return Promise.reject(new Error("no such playbook"));
    return Promise.resolve(new Map(members.map((member) => [member, `${member.name} is done`])));
  }, { more: timeout / 6, ready: timeout, enough: 5 });
  return { began, batches };
}

const named = (name: string) => ({ name });

test("expected members begin together, as soon as the last one is there", async () => {
  const { began, batches } = makeBatches();
  const [a, b] = [batches.expect("site", signal), batches.expect("site", signal)];
  const first = a.join(named("a"));
  await sleep(timeout / 3);
  expect(began).toEqual([]);
  expect(await Promise.all([first, b.join(named("b"))])).toEqual(["a is done", "b is done"]);
  expect(began).toEqual([["a", "b"]]);
});

test("one alone waits for nobody, and one that does not come is not waited for", async () => {
  const { began, batches } = makeBatches();
  await batches.expect("site", signal).join(named("a"));
  const [b, c] = [batches.expect("site", signal), batches.expect("site", signal)];
  const work = b.join(named("b"));
  c.leave();
  b.leave();
  await work;
  expect(began).toEqual([["a"], ["b"]]);
});

test("a member that keeps the others waiting is in the next batch", async () => {
  const { began, batches } = makeBatches();
  const [a, late] = [batches.expect("site", signal), batches.expect("site", signal)];
  await a.join(named("a"));
  await late.join(named("late"));
  expect(began).toEqual([["a"], ["late"]]);
});

test("other work, another signal and another host of the same name make another batch", async () => {
  const { began, batches } = makeBatches();
  const entries = [
    batches.expect("site", signal),
    batches.expect("probe", signal),
    batches.expect("site", new AbortController().signal),
    batches.expect("site", signal),
  ];
  await Promise.all(entries.map((entry, index) => entry.join(named(["a", "b", "c", "a"][index] ?? ""))));
  expect(began.sort()).toEqual([["a"], ["a"], ["b"], ["c"]]);
});

test("members of a batch are in the order of their names, whoever connected first", async () => {
  const { began, batches } = makeBatches();
  const entries = ["b", "c", "a"].map((name) => ({ name, entry: batches.expect("site", signal) }));
  await Promise.all(entries.map(({ name, entry }) => entry.join(named(name))));
  expect(began).toEqual([["a", "b", "c"]]);
});

test("one who is expected a moment after the others were ready begins with them", async () => {
  const { began, batches } = makeBatches();
  const first = batches.expect("site", signal).join(named("a"));
  await sleep(1);
  const late = batches.expect("site", signal);
  await sleep(timeout / 3);
  await Promise.all([first, late.join(named("b"))]);
  expect(began).toEqual([["a", "b"]]);
});

test("enough of them begin without the others", async () => {
  const { began, batches } = makeBatches();
  const entries = ["a", "b", "c", "d", "e", "f"].map((name) => ({ name, entry: batches.expect("site", signal) }));
  const [late, ...others] = entries.reverse();
  const works = others.map(({ name, entry }) => entry.join(named(name)));
  expect(began).toEqual([["a", "b", "c", "d", "e"]]);
  await Promise.all([...works, late?.entry.join(named("f"))]);
  expect(began).toEqual([["a", "b", "c", "d", "e"], ["f"]]);
});

test("two of one name are never in one batch, whoever else is in it", async () => {
  const { began, batches } = makeBatches();
  const entries = ["a", "b", "a"].map((name) => ({ name, entry: batches.expect("site", signal) }));
  await Promise.all(entries.map(({ name, entry }) => entry.join(named(name))));
  expect(began).toEqual([["a", "b"], ["a"]]);
});

test("to leave after one has joined changes nothing for the others", async () => {
  const { began, batches } = makeBatches();
  const [a, b] = [batches.expect("site", signal), batches.expect("site", signal)];
  const first = a.join(named("a"));
  a.leave();
  a.leave();
  await sleep(timeout / 3);
  expect(began).toEqual([]);
  await Promise.all([first, b.join(named("b"))]);
  expect(began).toEqual([["a", "b"]]);
});

test("a batch that has begun leaves the others open", async () => {
  const { began, batches } = makeBatches();
  const [a, probe] = [batches.expect("site", signal), batches.expect("probe", signal)];
  await a.join(named("a"));
  const second = batches.expect("probe", signal);
  await Promise.all([probe.join(named("b")), second.join(named("c"))]);
  await batches.expect("site", signal).join(named("a"));
  expect(began).toEqual([["a"], ["b", "c"], ["a"]]);
});

test("work that fails fails for all members", async () => {
  const { batches } = makeBatches(true);
  const [a, b] = [batches.expect("site", signal), batches.expect("site", signal)];
  const outcomes = await Promise.allSettled([a.join(named("a")), b.join(named("b"))]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});
