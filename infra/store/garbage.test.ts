import { describe, expect, it } from "vitest";
import { addUser, judge, keysIn } from "./garbage.ts";
import type { StoredItem } from "./store.ts";

const now = new Date("2026-11-23T12:00:00Z");
const hoursAgo = (hours: number) => new Date(now.getTime() - hours * 3_600_000);
const item = (kind: StoredItem["kind"], key: string, hours: number): StoredItem => ({
  kind,
  key,
  bytes: 1,
  changed: hoursAgo(hours),
});

describe("judge", () => {
  it("keeps what a recipe or a stack uses, however old, and names them", () => {
    const users = new Map<string, string[]>();
    addUser(users, ["a"], "recipe r");
    addUser(users, ["a", "b"], "stack dev");
    const judged = judge(
      [item("artifact", "a", 9999), item("artifact", "b", 1), item("artifact", "c", 1)],
      users,
      now,
    );
    expect(judged.map(({ usedBy, garbage }) => [usedBy.join(), garbage])).toEqual([
      ["recipe r,stack dev", false],
      ["stack dev", false],
      ["", true],
    ]);
  });

  it("takes leftovers only when nobody has written to them for a day, also those of a key in use", () => {
    const users = new Map([["a", ["recipe r"]]]);
    const judged = judge([item("leftovers", "a", 23), item("leftovers", "a", 25)], users, now);
    expect(judged.map(({ garbage }) => garbage)).toEqual([false, true]);
    expect(judged.map(({ usedBy }) => usedBy)).toEqual([[], []]);
    expect(judge([item("leftovers", "a", 24)], users, now)).toMatchObject([
      { key: "a", bytes: 1, garbage: false },
    ]);
  });
});

describe("keysIn", () => {
  it("finds every digest that a state names, once, wherever it stands", () => {
    const [a, b] = ["ab".repeat(32), "cd".repeat(32)];
    const state = JSON.stringify({
      stdin: JSON.stringify({ key: a, inputs: { model: b } }),
      artifact: `/s/${a}`,
    });
    expect(keysIn(state)).toEqual([a, b]);
    expect(keysIn(`${a}0 ${a.slice(1)} ${a.toUpperCase()} x${a}`)).toEqual([]);
    expect(keysIn("{}")).toEqual([]);
  });
});
