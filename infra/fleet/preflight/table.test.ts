import { expect, test } from "vitest";
import { formatFindings } from "./table.ts";

test("shows what is wrong and what to do, and what several have in common once", () => {
  const agent = { level: "error", what: "the SSH agent holds no key", remedy: "`ssh-add` one" } as const;
  const table = formatFindings([
    { level: "note", where: "this machine", what: "2 cores" },
    ...["pi-1", "pi-2", "pi-3", "pi-4", "pi-5"].map((where) => ({ ...agent, where })),
  ]);
  expect(table.split("\n")).toEqual([
    "                                          found",
    "this machine                       note   2 cores",
    "pi-1, pi-2, pi-3, pi-4 and 1 more  error  the SSH agent holds no key",
    "                                          → `ssh-add` one",
  ]);
});
