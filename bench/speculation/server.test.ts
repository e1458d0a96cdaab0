import { expect, test } from "vitest";
import { checksOf } from "./server.ts";

test("the checks of each request are read from the log", () => {
  const log = [
    "0.00.722.154 I slot launch_slot_: id  0 | task 0 | processing task, is_child = 0",
    "0.01.447.447 I slot   operator(): id  0 | task 0 | accepted  2/ 2 draft tokens",
    "0.01.549.127 I slot   operator(): id  0 | task 0 | accepted  0/12 draft tokens",
    "0.01.789.324 I slot print_timing: id  0 | task 0 | draft acceptance = 0.57143 (    8 accepted /    14 generated)",
    "0.01.803.797 I slot launch_slot_: id  0 | task 18 | processing task, is_child = 0",
    "0.02.803.797 I slot launch_slot_: id  0 | task 40 | processing task, is_child = 0",
    "0.02.947.447 I slot   operator(): id  0 | task 40 | accepted  1/ 2 draft tokens",
  ].join("\n");
  expect(checksOf(log)).toEqual([
    [
      { drafted: 2, accepted: 2 },
      { drafted: 12, accepted: 0 },
    ],
    [],
    [{ drafted: 2, accepted: 1 }],
  ]);
});
