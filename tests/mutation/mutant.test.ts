import { expect, test } from "vitest";
import { sample } from "./mutant.ts";

const mutants = [1, 2, 3, 4, 5].flatMap((line) =>
  Array.from({ length: line === 1 ? 50 : 1 }, (_, id) => ({ file: "a.ts", line, column: 1, id })),
);

test("a seed draws the same mutants, each from a place of its own, in order", () => {
  const drawn = sample(mutants, 3, 7);
  expect(sample(mutants, 3, 7)).toEqual(drawn);
  expect(drawn.map(({ line }) => line)).toEqual([...new Set(drawn.map(({ line }) => line))].sort());
  expect(drawn).toHaveLength(3);
});

test("another seed draws others, and no place is drawn twice where all are wanted", () => {
  const seeds = Array.from({ length: 9 }, (_, seed) =>
    sample(mutants, 2, seed)
      .map(({ line }) => line)
      .join(),
  );
  expect(new Set(seeds).size).toBeGreaterThan(3);
  expect(sample(mutants, 99, 1)).toHaveLength(5);
});
