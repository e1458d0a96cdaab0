import { afterAll, afterEach, beforeAll, beforeEach } from "vitest";
import { endpoint } from "./cases/endpoint.ts";
import { interruptions } from "./cases/interruptions.ts";
import { mishaps } from "./cases/mishaps.ts";
import { rollouts } from "./cases/rollouts.ts";
import { sandbox } from "./cases/sandbox.ts";
import { service } from "./cases/service.ts";
import { Fleet } from "./fleet.ts";

// Three emulated Pis with the real engine, roles and health checks. Every case begins and ends with all of them serving what is
// wanted; see `Fleet` for how to try one by itself.
const fleet = new Fleet();

beforeAll(() => fleet.begin());
afterAll(() => fleet.end());

// A case that failed may have left a host in any state: the next one fails for reasons of its own.
let failed = false;
beforeEach(async () => {
  if (failed) await fleet.repair();
});
afterEach(({ task }) => {
  failed = task.result?.state === "fail";
});

rollouts(fleet);
interruptions(fleet);
mishaps(fleet);
service(fleet);
sandbox(fleet);
// Last: what it sets up on the hosts stays.
endpoint(fleet);
