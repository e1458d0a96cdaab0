import { expect, it } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { parseManifest } from "./manifest.ts";

const key = "ab".repeat(32);
const manifest = {
  ...{ schema: 1, key, stage: "convert", name: "convert", run: "r", params: {}, inputs: {} },
  ...{ files: { "model.gguf": { sha256: "0".repeat(64), bytes: 7 } }, metrics: {}, toolVersions: {} },
  ...{ createdAt: "2026-11-23T00:00:00+00:00", seconds: 1, costUsd: 0 },
};

function refusal(text: string, where = `/store/artifacts/${key}/manifest.json`): string {
  try {
    parseManifest(text, where);
  } catch (error) {
    if (error instanceof UserError) return error.message;
  }
  throw new Error("was taken");
}

it("a manifest comes back as it was written", () => {
  for (let times = 0; times < 2; times += 1)
    expect(parseManifest(JSON.stringify(manifest), "x")).toEqual(manifest);
});

it("what is no manifest is refused with everything that is wrong and the command that makes it again", () => {
  const text = refusal(JSON.stringify({ ...manifest, run: undefined, seconds: "long" }));
  expect(text).toMatch(/is not a manifest: .*'run'.*; \/seconds must be number/);
  expect(text).toContain(`./pipress store rm ${key.slice(0, 12)} --yes`);
  expect(refusal("[]")).toContain("/ must be object");
  expect(refusal("{")).toMatch(/manifest\.json: is not JSON/);
});

it("a path that names no artifact leaves the key to the reader", () => {
  expect(refusal("{", "manifest.json")).toContain("./pipress store rm KEY --yes");
});
