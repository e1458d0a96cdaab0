import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { Gathering } from "./gathering.ts";

const { signal } = new AbortController();
const patience = 60;

function gather(fails = false) {
  const groups: string[][] = [];
  const gathering = new Gathering<{ name: string }, string>((members) => {
    groups.push(members.map(({ name }) => name));
    if (fails) return Promise.reject(new Error("no such playbook"));
    return Promise.resolve(new Map(members.map((member) => [member, `${member.name} is done`])));
  }, patience);
  return { groups, gathering };
}

const named = (name: string) => ({ name });

test("those who were announced begin together, as soon as the last one is there", async () => {
  const { groups, gathering } = gather();
  const [a, b] = [gathering.announce("site", signal), gathering.announce("site", signal)];
  const first = a.join(named("a"));
  await sleep(patience / 3);
  expect(groups).toEqual([]);
  expect(await Promise.all([first, b.join(named("b"))])).toEqual(["a is done", "b is done"]);
  expect(groups).toEqual([["a", "b"]]);
});

test("one alone waits for nobody, and one that does not come is not waited for", async () => {
  const { groups, gathering } = gather();
  await gathering.announce("site", signal).join(named("a"));
  const [b, c] = [gathering.announce("site", signal), gathering.announce("site", signal)];
  const work = b.join(named("b"));
  c.leave();
  b.leave();
  await work;
  expect(groups).toEqual([["a"], ["b"]]);
});

test("whoever keeps the others waiting is of the next group", async () => {
  const { groups, gathering } = gather();
  const [a, late] = [gathering.announce("site", signal), gathering.announce("site", signal)];
  await a.join(named("a"));
  await late.join(named("late"));
  expect(groups).toEqual([["a"], ["late"]]);
});

test("other work, another signal and another host of the same name make another group", async () => {
  const { groups, gathering } = gather();
  const tickets = [
    gathering.announce("site", signal),
    gathering.announce("probe", signal),
    gathering.announce("site", new AbortController().signal),
    gathering.announce("site", signal),
  ];
  await Promise.all(tickets.map((ticket, index) => ticket.join(named(["a", "b", "c", "a"][index] ?? ""))));
  expect(groups.sort()).toEqual([["a"], ["a"], ["b"], ["c"]]);
});

test("work that fails fails for all who took part", async () => {
  const { gathering } = gather(true);
  const [a, b] = [gathering.announce("site", signal), gathering.announce("site", signal)];
  const outcomes = await Promise.allSettled([a.join(named("a")), b.join(named("b"))]);
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});
