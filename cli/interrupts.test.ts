import { expect, it } from "vitest";
import { Interrupts } from "./interrupts.ts";

it("aborts what is at work, and stays to hear the next Ctrl-C", () => {
  const others = process.listeners("SIGINT");
  const interrupts = new Interrupts();
  const first = interrupts.next();
  process.emit("SIGINT");
  const second = interrupts.next();
  expect([first.aborted, second.aborted]).toEqual([true, false]);
  // What runs child processes ends this one where nobody but itself listens.
  const [own] = process.listeners("SIGINT").filter((listener) => !others.includes(listener));
  expect(own).toBeDefined();
  process.emit("SIGINT");
  expect(second.aborted).toBe(true);
  process.off("SIGINT", own as NodeJS.SignalsListener);
});
