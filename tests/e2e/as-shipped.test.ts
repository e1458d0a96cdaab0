import { afterAll, beforeAll, it } from "vitest";
import { expectFirstHour } from "../fleet/first-hour.ts";
import { ShippedPi } from "../fleet/shipped-pi.ts";

const pi = new ShippedPi("trixie");
beforeAll(() => pi.begin());
afterAll(() => pi.end());

it("a Pi as shipped serves after `init` and `up`, without a file of configuration", () =>
  expectFirstHour([pi]));
