import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";
import { UserError } from "../errors/user-error.ts";
import { FileStore } from "./file-store.ts";

const key = "ab".repeat(32);
let store: FileStore;

beforeEach(() => {
  store = new FileStore(pathToFileURL(mkdtempSync(join(tmpdir(), "pipress-store-"))).href);
  mkdirSync(store.locate(key), { recursive: true });
});

describe("FileStore", () => {
  it("has no manifest where there is no artifact, nor where a folder has none", async () => {
    expect(await store.manifest("cd".repeat(32))).toBeUndefined();
    expect(await store.manifest(key)).toBeUndefined();
  });

  it("refuses a manifest that is cut off or lacks fields, naming the file and the remedy", async () => {
    for (const text of ['{"schema": 1', '{"schema": 1}']) {
      writeFileSync(join(store.locate(key), "manifest.json"), text);
      const error = await store.manifest(key).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(UserError);
      expect((error as UserError).message).toContain(`${key}/manifest.json: is not`);
      expect((error as UserError).message).toContain("remove this artifact");
    }
  });
});
