import { afterAll, beforeAll, expect, it } from "vitest";
import { ShippedPi } from "../fleet/shipped-pi.ts";

const pi = new ShippedPi("trixie");
beforeAll(() => pi.begin());
afterAll(() => pi.end());

it("a Pi as shipped serves, once it has the password that doctor asks for", async () => {
  await pi.expectServesFromTheBox();
  expect(await pi.workspace.preview()).toEqual([]);
});
