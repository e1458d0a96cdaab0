/** What every store promises to this side, tried on each kind; artifacts are laid out as the Python side lays them out. */
import { existsSync, mkdirSync, mkdtempSync, watch, writeFileSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { createServer, request as httpRequest, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import {
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { FileStore } from "./file-store.ts";
import { openStore } from "./open-store.ts";
import { S3Store } from "./s3-store.ts";
import type { Store, StoredItem } from "./store.ts";
import { rootCredentials, s3ServerMissing, TestS3Server } from "./testing/s3-server.ts";

const key = "ab".repeat(32);
const other = "cd".repeat(32);
const attempt = "0123456789abcdef";

const manifest = (of: string, changes: object = {}): string =>
  JSON.stringify({
    schema: 1,
    key: of,
    stage: "convert",
    name: "convert",
    run: "r",
    params: {},
    inputs: {},
    files: { "model.gguf": { sha256: "0".repeat(64), bytes: 7 } },
    metrics: {},
    toolVersions: {},
    createdAt: "2026-11-23T00:00:00+00:00",
    seconds: 1,
    costUsd: 0,
    ...changes,
  });

/** A kind of store with the means to put things into it. */
interface Kind {
  store: Store;
  put(of: string, path: string, content: string): Promise<void> | void;
  /** Where the files of an artifact lie. */
  files: string;
  /** Removes an artifact and returns what was removed of it, in order. */
  removals(item: StoredItem): Promise<string[]>;
  /** How long to wait for a later time of writing, in milliseconds. */
  tick: number;
}

let server: TestS3Server | undefined;
let prefixes = 0;

beforeAll(async () => {
  for (const [name, value] of Object.entries(rootCredentials)) vi.stubEnv(name, value);
  if (s3ServerMissing === undefined) server = await TestS3Server.start();
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await server?.stop();
});

function running(): TestS3Server {
  if (server === undefined) throw new Error(s3ServerMissing);
  return server;
}

const kinds: Record<string, () => Kind> = {
  folder: () => {
    const root = mkdtempSync(join(tmpdir(), "pipress-store-"));
    const put = (of: string, path: string, content: string) => {
      const file = join(root, "artifacts", of, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
    };
    const store = new FileStore(pathToFileURL(root).href);
    const removals = async (item: StoredItem): Promise<string[]> => {
      const removed = new Set<string>();
      const watcher = watch(item.folder ?? "", (_, name) => removed.add(name ?? ""));
      await store.remove(item);
      await sleep(200);
      watcher.close();
      return [...removed].filter((name) => name !== item.key);
    };
    return { store, put, removals, files: "", tick: 20 };
  },
  bucket: () => {
    const prefix = `p${++prefixes}`;
    const put = (of: string, path: string, content: string) =>
      running().put(`${prefix}/artifacts/${of}/${path}`, content);
    const removals = async (item: StoredItem): Promise<string[]> => {
      const removed: string[] = [];
      const { endpoint, close } = await proxy(({ method, url = "" }) => {
        if (method === "DELETE") removed.push(url.split(/[/?]/).at(-2) ?? "");
        return false;
      });
      await new S3Store(`s3://${running().bucket}/${prefix}?endpoint=${endpoint}&region=us-east-1`).remove(
        item,
      );
      close();
      return removed;
    };
    return { store: new S3Store(running().url(prefix)), put, removals, files: `${attempt}/`, tick: 1100 };
  },
};

describe.each(Object.keys(kinds))("a store in a %s", (name) => {
  const missing = name === "bucket" ? s3ServerMissing : undefined;
  let kind: Kind;
  beforeEach((context) => {
    if (missing !== undefined) return context.skip(missing);
    kind = kinds[name]?.() as Kind;
  });

  const artifact = async (of: string) => {
    await kind.put(of, `${kind.files}model.gguf`, "weights");
    await kind.put(of, "manifest.json", manifest(of, kind.files === "" ? {} : { attempt }));
  };

  it("has no manifest where there is no artifact, nor where files lie without one", async () => {
    await kind.put(key, `${kind.files}model.gguf`, "weights");
    expect(await kind.store.manifest(key)).toBeUndefined();
    expect(await kind.store.manifest(other)).toBeUndefined();
  });

  it("reads the manifest of an artifact", async () => {
    await artifact(key);
    expect(await kind.store.manifest(key)).toMatchObject({ key, run: "r" });
  });

  it("refuses a manifest that is cut off or lacks fields, naming it and the remedy", async () => {
    for (const text of ['{"schema": 1', '{"schema": 1}']) {
      await kind.put(key, "manifest.json", text);
      const error = await kind.store.manifest(key).catch((caught: unknown) => caught);
      expect(error).toBeInstanceOf(UserError);
      expect((error as UserError).message).toContain(`${key}/manifest.json: is not`);
      expect((error as UserError).message).toContain(`./pipress store rm ${key.slice(0, 12)} --yes`);
    }
  });

  it("lists nothing when it is new", async () => {
    expect(await kind.store.list()).toEqual([]);
  });

  it("lists artifacts with their sizes, and what never became one apart from them", async () => {
    await artifact(key);
    await kind.put(other, `${kind.files}model.gguf`, "half");
    const items = (await kind.store.list()).sort((a, b) => a.key.localeCompare(b.key));
    expect(items.map((item) => [item.kind, item.key])).toEqual([
      ["artifact", key],
      ["leftovers", other],
    ]);
    expect(items[1]?.bytes).toBe(4);
    expect(items[0]?.bytes).toBe(7 + (await kind.store.manifest(key).then(() => manifestBytes())));
    expect(Date.now() - (items[0]?.changed.getTime() ?? 0)).toBeLessThan(60_000);
  });

  const manifestBytes = () => manifest(key, kind.files === "" ? {} : { attempt }).length;

  it("removes an artifact's manifest first, so that half an artifact never counts as one", async () => {
    await artifact(key);
    for (let number = 0; number < 9; number += 1) await kind.put(key, `${kind.files}${number}`, "more");
    const [item] = await kind.store.list();
    const removed = await kind.removals(item as StoredItem);
    expect(removed).toHaveLength(11);
    expect(removed[0]).toBe("manifest.json");
  });

  it("removes what never became an artifact", async () => {
    await kind.put(other, `${kind.files}model.gguf`, "half");
    for (const item of await kind.store.list()) await kind.store.remove(item);
    expect(await kind.store.list()).toEqual([]);
  });

  it("knows what was never finished by the latest of its files", async () => {
    const changed = async () => (await kind.store.list())[0]?.changed.getTime() ?? 0;
    for (const name of ["a", "z"]) await kind.put(other, `${kind.files}deep/${name}`, "half");
    const before = await changed();
    await sleep(kind.tick);
    await kind.put(other, `${kind.files}deep/m`, "half");
    expect(await changed()).toBeGreaterThan(before);
    expect((await kind.store.list()).map(({ bytes }) => bytes)).toEqual([12]);
  });

  it("removes an artifact wholly and nothing else", async () => {
    await artifact(key);
    await artifact(other);
    const [item] = (await kind.store.list()).filter((stored) => stored.key === key);
    if (item) await kind.store.remove(item);
    expect(await kind.store.manifest(key)).toBeUndefined();
    expect((await kind.store.list()).map((item) => item.key)).toEqual([other]);
  });
});

describe.skipIf(s3ServerMissing)("a store in a bucket, besides", () => {
  it("lists and removes an artifact whose manifest is damaged", async () => {
    const { store, put } = (kinds["bucket"] as () => Kind)();
    for (const damaged of ["{", "null"]) {
      await put(key, `${attempt}/model.gguf`, "weights");
      await put(key, "manifest.json", damaged);
      const items = await store.list();
      expect(items).toMatchObject([{ kind: "artifact", key, bytes: 7 + damaged.length }]);
      for (const item of items) await store.remove(item);
      expect(await store.list()).toEqual([]);
    }
  });

  it("lists the files of an attempt that lost, and removes them without touching the artifact", async () => {
    const { store, put } = (kinds["bucket"] as () => Kind)();
    await put(key, `${attempt}/model.gguf`, "weights");
    await put(key, "fedcba9876543210/model.gguf", "lost");
    await put(key, "manifest.json", manifest(key, { attempt }));
    const lost = (await store.list()).filter(({ kind }) => kind === "leftovers");
    expect(lost).toMatchObject([{ key, folder: "fedcba9876543210", bytes: 4 }]);
    for (const item of lost) await store.remove(item);
    expect((await store.list()).map(({ kind }) => kind)).toEqual(["artifact"]);
    const { Contents = [] } = await running().client.send(
      new ListObjectsV2Command({ Bucket: "artifacts", Prefix: `p${prefixes}/` }),
    );
    expect(Contents.map(({ Key }) => Key?.split(`${key}/`)[1])).toEqual([
      `${attempt}/model.gguf`,
      "manifest.json",
    ]);
  });

  it("lists uploads that nobody completed, and gives them up", async () => {
    const { store } = (kinds["bucket"] as () => Kind)();
    const Key = `p${prefixes}/artifacts/${key}/${attempt}/model.gguf`;
    await running().client.send(new CreateMultipartUploadCommand({ Bucket: "artifacts", Key }));
    const items = await store.list();
    expect(items).toMatchObject([{ kind: "leftovers", key, upload: { name: Key } }]);
    for (const item of items) await store.remove(item);
    const { Uploads = [] } = await running().client.send(
      new ListMultipartUploadsCommand({ Bucket: "artifacts", Prefix: Key }),
    );
    expect(Uploads).toEqual([]);
  });

  const failure = async (url: string): Promise<string> => {
    const store = await openStore(url);
    const error = await store.manifest(key).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(UserError);
    return (error as UserError).message;
  };

  it("says which bucket is missing", async () => {
    expect(await failure(running().url("p", "nowhere"))).toBe(
      "s3://nowhere/p: there is no bucket nowhere — make it, or mend `store` in the configuration",
    );
  });

  it("says that credentials are refused, and what to set", async () => {
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "wrong");
    const message = await failure(running().url("p"));
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", rootCredentials.AWS_SECRET_ACCESS_KEY);
    expect(message).toMatch(/credentials are refused \(SignatureDoesNotMatch\) — set AWS_PROFILE/);
  });

  it("says that a server does not answer", async () => {
    expect(await failure("s3://artifacts/p?endpoint=http://127.0.0.1:9")).toMatch(
      /http:\/\/127.0.0.1:9 cannot be reached \(ECONNREFUSED\) — check the network/,
    );
  });
});

describe.skipIf(s3ServerMissing)("small documents in a bucket", () => {
  it.each(["p/q", ""])(
    "are written, read, copied, listed and dropped by their paths below the prefix %j",
    async (prefix) => {
      const store = new S3Store(running().url(prefix));
      await store.put("queue/a b+c", Buffer.from("one"));
      await store.copy("queue/a b+c", "queue/second");
      await store.put("other", Buffer.from("two"));
      expect((await store.paths("queue/")).sort()).toEqual(["queue/a b+c", "queue/second"]);
      expect([await store.text("queue/second"), await store.text("queue/none")]).toEqual(["one", undefined]);
      await store.drop("queue/a b+c");
      expect(await store.paths("queue/")).toEqual(["queue/second"]);
      for (const path of ["queue/second", "other"]) await store.drop(path);
      expect(await store.text("other")).toBeUndefined();
    },
  );

  it("are found where the URL names a server and no region", async () => {
    vi.stubEnv("AWS_REGION", undefined);
    const store = new S3Store(`s3://artifacts/r?endpoint=${running().endpoint}`);
    await store.put("x", Buffer.from("one"));
    expect(await store.text("x")).toBe("one");
    expect(store.locate(key)).toBe(`s3://artifacts/r/artifacts/${key}`);
  });

  it("are asked for in the region that the URL names", async () => {
    const regions: (string | undefined)[] = [];
    const { endpoint, close } = await proxy(({ headers }) => {
      regions.push(/Credential=[^/]+\/\d+\/([^/]+)/.exec(headers.authorization ?? "")?.[1]);
      return false;
    });
    for (const region of ["", "&region=us-east-1", "&region=eu-central-1"])
      await new S3Store(`s3://artifacts/r?endpoint=${endpoint}${region}`).text("none").catch(() => undefined);
    expect([...new Set(regions)]).toEqual(["us-east-1", "eu-central-1"]);
    close();
  });

  it("are refused by the action that may not be done, and the object", async () => {
    for (const name of ["x", `artifacts/${key}/manifest.json`]) await running().put(`refused/${name}`, "{}");
    for (const [name, value] of Object.entries(
      await running().addUser("lister", "s3:GetObject", "s3:ListBucket"),
    ))
      vi.stubEnv(name, value);
    const store = new S3Store(running().url("refused"));
    const item: StoredItem = { kind: "artifact", key, bytes: 0, changed: new Date() };
    const refusal = /the credentials may not do (\S+) on s3:\/\/artifacts\/refused\/(\S+)/;
    const refused = (work: Promise<unknown>) =>
      work.catch((error: unknown) => refusal.exec(String(error))?.slice(1, 3));
    expect(await refused(store.put("y", Buffer.from("")))).toEqual(["s3:PutObject", "y"]);
    expect(await refused(store.copy("x", "y"))).toEqual(["s3:PutObject", "y"]);
    expect(await refused(store.drop("x"))).toEqual(["s3:DeleteObject", "x"]);
    expect(await refused(store.remove(item))).toEqual(["s3:DeleteObject", `artifacts/${key}/manifest.json`]);
    for (const [name, value] of Object.entries(rootCredentials)) vi.stubEnv(name, value);
  });
});

describe.skipIf(s3ServerMissing)("a server that cannot do everything", () => {
  /** A store behind a proxy that refuses some requests. */
  async function refusing(status: number, which: (request: IncomingMessage) => boolean) {
    const { endpoint, close } = await proxy((request) => which(request) && status);
    return { store: new S3Store(`s3://artifacts/u?endpoint=${endpoint}&region=us-east-1`), close };
  }
  const uploads = ({ url = "" }: IncomingMessage) => url.includes("uploads");

  it.each([400, 405, 501])(
    "shows the rest where it does not list uploads (%i), and says so",
    async (status) => {
      await running().put(`u/artifacts/${key}/${attempt}/model.gguf`, "half");
      const { store, close } = await refusing(status, uploads);
      expect(await store.list()).toMatchObject([{ kind: "leftovers", key, folder: attempt, bytes: 4 }]);
      expect(store.unseen).toMatch(/^uploads that were not completed: /);
      close();
    },
  );

  it("is not taken for one where something else is wrong", async () => {
    const listing = await refusing(404, uploads);
    await expect(listing.store.list()).rejects.toThrow(
      /s3:ListBucketMultipartUploads on s3:\/\/artifacts\/u.* failed/,
    );
    const writing = await refusing(404, ({ headers }) => headers["if-none-match"] !== undefined);
    await expect(writing.store.probe()).rejects.toThrow(
      /s3:PutObject on s3:\/\/artifacts\/u\/probe\/\S+ failed/,
    );
    for (const { close } of [listing, writing]) close();
  });
});

describe("a folder that jobs are at work in", () => {
  it("is listed while artifacts come and go", async () => {
    const root = mkdtempSync(join(tmpdir(), "pipress-store-"));
    const store = new FileStore(pathToFileURL(root).href);
    const [unfinished, done] = [join(root, "tmp", `${key}.here`), join(root, "artifacts", key)];
    mkdirSync(join(root, "artifacts"));
    let listing = true;
    const jobs = (async () => {
      while (listing) {
        await mkdir(join(unfinished, "deep"), { recursive: true });
        for (let number = 0; number < 20; number++)
          await writeFile(join(unfinished, "deep", String(number)), "x");
        await rename(unfinished, done);
        await rm(done, { recursive: true });
      }
    })();
    for (let tries = 0; tries < 200; tries++)
      for (const item of await store.list()) expect(item.key).toBe(key);
    listing = false;
    await jobs;
  });

  it("has leftovers in the folder of each machine that is at work, whatever is in them", async () => {
    const root = mkdtempSync(join(tmpdir(), "pipress-store-"));
    const folder = join(root, "tmp", `${key}.here`);
    await mkdir(join(folder, "deep"), { recursive: true });
    await writeFile(join(folder, "manifest.json"), "{}");
    await writeFile(join(folder, "deep", "model.gguf"), "half");
    const store = new FileStore(pathToFileURL(root).href);
    expect(await store.list()).toMatchObject([{ kind: "leftovers", key, folder, bytes: 6 }]);
    expect(store.unseen).toBeUndefined();
  });

  it("is not taken for empty where it cannot be read", async () => {
    const root = mkdtempSync(join(tmpdir(), "pipress-store-"));
    const store = new FileStore(pathToFileURL(root).href);
    await mkdir(join(root, "artifacts", key, "manifest.json"), { recursive: true });
    await expect(store.manifest(key)).rejects.toThrow("EISDIR");
    await writeFile(join(root, "tmp"), "");
    await expect(store.list()).rejects.toThrow("ENOTDIR");
  });

  it("removes nothing without a folder, and accepts that a folder is gone already", async () => {
    const root = mkdtempSync(join(tmpdir(), "pipress-store-"));
    const store = new FileStore(pathToFileURL(root).href);
    await store.remove({ kind: "leftovers", key, bytes: 0, changed: new Date() });
    await store.remove({ kind: "artifact", key, folder: join(root, "gone"), bytes: 0, changed: new Date() });
  });

  it("is made where it is missing, however deep, and lacks nothing", async () => {
    const folder = join(mkdtempSync(join(tmpdir(), "pipress-store-")), "deep", "store");
    const store = new FileStore(pathToFileURL(folder).href);
    expect(await store.probe()).toEqual([]);
    expect(await store.probe()).toEqual([]);
    expect(existsSync(folder)).toBe(true);
    expect(store.localFolder(key)).toBe(join(folder, "artifacts", key));
  });

  it("is refused before anything runs when nothing can be written there", async () => {
    const file = join(mkdtempSync(join(tmpdir(), "pipress-store-")), "file");
    writeFileSync(file, "");
    const store = new FileStore(pathToFileURL(join(file, "store")).href);
    await expect(store.probe()).rejects.toThrow(
      /^file:\/\/\S+: artifacts cannot be written there: ENOTDIR.* — mend the folder's permissions, or `pipress:store`/,
    );
  });
});

describe.skipIf(s3ServerMissing !== undefined)("a server that is tried before hours of work", () => {
  it("lacks nothing, and keeps nothing of the trial", async () => {
    const store = new S3Store(running().url("probe"));
    expect(await store.probe()).toEqual([]);
    expect(await store.paths("")).toEqual([]);
  });

  it.each([
    ["x-amz-checksum", "knows no checksum headers: parts are sent with their MD5 instead"],
    [
      "if-none-match",
      "knows no conditional writes: of two runs that make one artifact at once, the last to end wins",
    ],
  ])("is named with what it lacks: %s", async (header, lack) => {
    const { endpoint, close } = await serverWithout(header);
    expect(
      await new S3Store(`s3://${running().bucket}/p?endpoint=${endpoint}&region=us-east-1`).probe(),
    ).toEqual([lack]);
    close();
  });

  it("refuses who may not write", async () => {
    for (const [name, value] of Object.entries(
      await running().addUser("reader", "s3:GetObject", "s3:ListBucket"),
    ))
      vi.stubEnv(name, value);
    const store = new S3Store(running().url("probe"));
    await expect(store.probe()).rejects.toThrow(/the credentials may not do s3:PutObject on s3:/);
    expect(await store.list()).toEqual([]);
    expect(store.unseen).toMatch(/^uploads that were not completed: /);
    for (const [name, value] of Object.entries(rootCredentials)) vi.stubEnv(name, value);
  });
});

/** The server behind a proxy that refuses a header as a server does that does not know it. */
function serverWithout(header: string): Promise<{ endpoint: string; close: () => void }> {
  return proxy(({ headers }) => Object.keys(headers).some((name) => name.startsWith(header)) && 501);
}

/** The server behind a proxy. @param refuse the status with which a request is refused, or false */
async function proxy(
  refuse: (request: IncomingMessage) => number | false,
): Promise<{ endpoint: string; close: () => void }> {
  const server = createServer((request, response) => {
    const status = refuse(request);
    if (status !== false) {
      response.writeHead(status, { "content-type": "application/xml" });
      response.end("<Error><Code>NotImplemented</Code><Message>made up by the test</Message></Error>");
      return;
    }
    const { hostname, port } = new URL(running().endpoint);
    const { method, url: path, headers } = request;
    const onward = httpRequest({ hostname, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { endpoint: `http://127.0.0.1:${String(port)}`, close: () => server.close() };
}
