import { createHash, randomBytes } from "node:crypto";
import { z } from "zod";
import { checkAgainst } from "../plugin/check-against.ts";
import { diffProps } from "../plugin/detailed-diff.ts";
import type { ResourceHandler } from "../plugin/handler.ts";
import { secret } from "../plugin/values.ts";

/** Sixteen bytes cannot be guessed; a kilobyte fits every use. */
const schema = z.strictObject({ bytes: z.int().min(16).max(1024).default(32) });

/** Makes a random value once; from then on the state is where it lives. */
export const secretResource: ResourceHandler = {
  check: (inputs) => checkAgainst(schema, inputs),
  diff: ({ inputs }, news) => ({ changes: diffProps(inputs, news, ["bytes"]) }),
  create: (inputs) => {
    const { bytes } = schema.parse(inputs);
    const value = randomBytes(bytes).toString("base64url");
    // The id is plain text in state: enough of a digest to tell two secrets apart, of no use to find either.
    const id = createHash("sha256").update(value).digest("hex").slice(0, 16);
    return Promise.resolve({ id, state: { bytes, value: secret(value) } });
  },
};
