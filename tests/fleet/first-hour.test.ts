import { afterAll, beforeAll, it } from "vitest";
import { expectFirstHour } from "./first-hour.ts";
import { ShippedPi } from "./shipped-pi.ts";

const pis = ["pi-1", "pi-2", "pi-3"].map((name) => new ShippedPi("trixie", name)) as [
  ShippedPi,
  ...ShippedPi[],
];
beforeAll(() => Promise.all(pis.map((pi) => pi.begin())));
afterAll(() => Promise.all(pis.map((pi) => pi.end())));

it("three Pis as shipped serve after `init` and `up`, without a file of configuration", () =>
  expectFirstHour(pis));
