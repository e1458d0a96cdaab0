import { randomBytes } from "node:crypto";
import { z } from "zod";
import { checkAgainst } from "../plugin/check-against.ts";
import type { ResourceHandler } from "../plugin/handler.ts";

/** Four bytes: lower-case hex fits every name that carries it, and two stacks on one bucket will not share one. */
const BYTES = 4;

/** Makes the id once; from then on the state is where it lives, also when the stack is renamed. */
export const stackIdResource: ResourceHandler = {
  check: (inputs) => checkAgainst(z.strictObject({}), inputs),
  create: () => {
    const value = randomBytes(BYTES).toString("hex");
    return Promise.resolve({ id: value, state: { value } });
  },
};
