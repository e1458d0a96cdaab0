import { expect, it, vi } from "vitest";
import { operate } from "./pulumi.ts";

const runPulumi = vi.hoisted(() => vi.fn(() => Promise.resolve(0)));
vi.mock("./run-pulumi.ts", () => ({ runPulumi }));
vi.mock("./stack.ts", () => ({ bootstrapOnce: () => Promise.resolve() }));

it("tells removals by a variable that the models go too: pulumi knows no such option", async () => {
  await operate(["destroy", "--yes", "--purge"], true);
  expect(runPulumi).toHaveBeenLastCalledWith(["destroy", "--yes"], undefined, { PIPRESS_PURGE: "true" });
  await operate(["destroy", "--yes"], true);
  expect(runPulumi).toHaveBeenLastCalledWith(["destroy", "--yes"], undefined, {});
});
