import { expect, test } from "vitest";
import { checkAgainst } from "../plugin/check-against.ts";
import type { Props } from "../plugin/handler.ts";
import { virtualPiSpec } from "./spec.ts";

const sound = {
  ...{
    name: "pi-0",
    memoryMiB: 2048,
    cpus: 4,
    diskGiB: 8,
    imageDigest: "a".repeat(64),
    forwards: { http: 8080 },
  },
};

const problemsOf = (inputs: Props) => checkAgainst(virtualPiSpec, inputs).failures ?? [];

test("a sound specification has no problems", () => {
  expect(problemsOf(sound)).toEqual([]);
});

test("every problem is reported at once, each at its property", () => {
  const problems = problemsOf({
    ...{ name: "Pi 0", memoryMiB: 100, cpus: 8, diskGiB: 0.5, imageDigest: "none", forwards: { http: 0 } },
  });
  expect(problems.map(({ property }) => property)).toEqual([
    ...["name", "memoryMiB", "cpus", "diskGiB", "imageDigest", "forwards.http"],
  ]);
});

test("a name cannot lead out of the folder of hosts", () => {
  for (const name of ["../etc", "a/b", "", "-o", "a".repeat(33)])
    expect(problemsOf({ ...sound, name })).toHaveLength(1);
});
