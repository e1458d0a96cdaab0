import { expect, it } from "vitest";
import { releaseDigest } from "./release.ts";

const files = { "llama-server": { sha256: "aa" }, "llama-bench": { sha256: "bb" } };

it("gives one digest for the same programs in any order", () => {
  const turned = { "llama-bench": { sha256: "bb" }, "llama-server": { sha256: "aa" } };
  expect(releaseDigest(turned)).toBe(releaseDigest(files));
});

it("gives another digest when two programs swap their contents", () => {
  const swapped = { "llama-server": { sha256: "bb" }, "llama-bench": { sha256: "aa" } };
  expect(releaseDigest(swapped)).not.toBe(releaseDigest(files));
});
