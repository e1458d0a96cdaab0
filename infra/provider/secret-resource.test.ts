import { expect, test } from "vitest";
import type { Call } from "../plugin/handler.ts";
import { secret } from "../plugin/values.ts";
import { secretResource } from "./secret-resource.ts";

const call = {} as Call;

test("a secret is as long as asked, in base64url, marked secret, and never the same twice", async () => {
  const [one, two] = await Promise.all([1, 2].map(() => secretResource.create({ bytes: 32 }, call)));
  expect(one?.state.value).toEqual(secret(expect.stringMatching(/^[A-Za-z0-9_-]{43}$/)));
  expect(one?.state.value).not.toEqual(two?.state.value);
  expect(one?.id).not.toBe(two?.id);
});

test("another length makes a new secret", async () => {
  const diff = await secretResource.diff?.({ id: "x", inputs: { bytes: 32 }, state: {} }, { bytes: 64 });
  expect(diff?.changes).toEqual({ bytes: { kind: "update", replace: true } });
});

test("lengths that can be guessed are refused", () => {
  const { failures } = secretResource.check?.({ bytes: 4 }) ?? {};
  expect(failures).toMatchObject([{ property: "bytes" }]);
});
