import { expect, test } from "vitest";
import type { Call } from "../plugin/handler.ts";
import { stackIdResource } from "./stack-id-resource.ts";

test("a stack's id is eight hex digits, in clear text, and never the same twice", async () => {
  const make = () => stackIdResource.create({}, {} as Call);
  const [one, two] = await Promise.all([make(), make()]);
  expect(one.state.value).toMatch(/^[0-9a-f]{8}$/);
  expect(one.id).toBe(one.state.value);
  expect(one.id).not.toBe(two.id);
});
