import { expect, it } from "vitest";
import { dataDir } from "../../common/paths.ts";
import { FileStore } from "./file-store.ts";
import { defaultStore, openStore } from "./open-store.ts";
import { S3Store } from "./s3-store.ts";

it("the store that nobody named is a folder of this machine's data", async () => {
  for (const store of [await openStore(), await openStore(defaultStore)]) {
    expect(store).toBeInstanceOf(FileStore);
    expect(store.locate("k")).toBe(`${dataDir()}/store/artifacts/k`);
  }
});

it("a URL says whether it is a folder or a bucket", async () => {
  expect(await openStore("file:///srv/s3:")).toBeInstanceOf(FileStore);
  expect((await openStore("file:///srv/models")).locate("k")).toBe("/srv/models/artifacts/k");
  const bucket = await openStore("s3://models/p?region=eu-central-1");
  expect(bucket).toBeInstanceOf(S3Store);
  expect(bucket.locate("k")).toBe("s3://models/p/artifacts/k");
  expect(bucket.localFolder("k")).toBe(`${dataDir()}/cache/artifacts/k`);
});
