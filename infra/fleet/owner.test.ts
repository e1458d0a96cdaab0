import { expect, test } from "vitest";
import { renamedHosts } from "./owner.ts";

const before = { "pi-0": { hostKey: "a" }, "pi-1": { hostKey: "b" } };

test("a board under another name is known by its key", () => {
  const now = [
    { name: "pi-0", hostKey: "a" },
    { name: "kitchen", hostKey: "b" },
    { name: "new", hostKey: "c" },
  ];
  expect(renamedHosts(now, before)).toEqual(new Map([["kitchen", "pi-1"]]));
});

test("a name that another board has now is no former name, nor is that of a host which has changed places with another", () => {
  const moved = [
    { name: "pi-1", hostKey: "c" },
    { name: "kitchen", hostKey: "b" },
  ];
  expect(renamedHosts(moved, before)).toEqual(new Map());
  const swapped = [
    { name: "pi-0", hostKey: "b" },
    { name: "pi-1", hostKey: "a" },
  ];
  expect(renamedHosts(swapped, before)).toEqual(new Map());
});

test("the name of a virtual host is no former name, whatever key another host has", () => {
  const now = [{ name: "pi-0" }, { name: "absent", hostKey: "a" }];
  expect(renamedHosts(now, before)).toEqual(new Map());
});
