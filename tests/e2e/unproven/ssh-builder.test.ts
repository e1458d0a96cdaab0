/** The dev recipe on the builder `ssh` (a real sshd on loopback) with its store on a real S3 server, disturbed and not. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startSshd, type TestSshd } from "../../../infra/ansible/testing/sshd.ts";
import { cacheDir } from "../../../infra/paths.ts";
import { S3Store } from "../../../infra/store/s3-store.ts";
import { rootCredentials, TestS3Server } from "../../../infra/store/testing/s3-server.ts";
import { Workspace } from "../workspace.ts";

const recipe = {
  "steps.recover.tokens": 24576,
  "steps.recover.checkpointEverySteps": 4,
  "steps.evaluate.chunks": 4,
};

/** A machine of one's own: its data lie in a folder of the test, its tools are this machine's. */
const boxData = mkdtempSync(join(tmpdir(), "pipress-box-"));
const workspaces: Workspace[] = [];
let sshd: TestSshd;
let s3: TestS3Server;

beforeAll(async () => {
  Object.assign(process.env, rootCredentials);
  s3 = await TestS3Server.start();
  sshd = await startSshd("builder", { ...rootCredentials, PIPRESS_DATA: boxData, PIPRESS_CACHE: cacheDir() });
});

afterAll(async () => {
  for (const workspace of workspaces) {
    await workspace.pulumi("destroy", "--yes", "--skip-preview");
    workspace.remove();
  }
  await Promise.all([sshd.remove(), s3.stop()]);
  rmSync(boxData, { recursive: true });
});

/** A stack without hosts whose stages run on the box. */
async function onTheBox(prefix: string): Promise<Workspace> {
  const workspace = new Workspace();
  workspaces.push(workspace);
  const { address, port, user, hostKey, privateKeyFile } = sshd.host;
  workspace.recipe(recipe);
  workspace.configure({
    recipe: workspace.recipeFile,
    store: s3.url(prefix),
    builder: { ssh: { address, port, user, hostKey, privateKeyFile } },
  });
  await workspace.init();
  return workspace;
}

/** Digests of all files of all artifacts under a prefix, by key and path. */
async function digests(prefix: string): Promise<Record<string, string>> {
  const store = new S3Store(s3.url(prefix));
  const manifests = await Promise.all((await store.list()).map(({ key }) => store.manifest(key)));
  return Object.fromEntries(
    manifests.flatMap((manifest) =>
      Object.entries(manifest?.files ?? {}).map(([path, { sha256 }]) => [`${manifest?.key}/${path}`, sha256]),
    ),
  );
}

/** How often each stage was started on the box, by name. */
function starts(): Record<string, number> {
  const jobs = join(boxData, "jobs");
  const logs = readdirSync(jobs).map((key) => join(jobs, key, "log.txt"));
  const lines = logs
    .filter((log) => existsSync(log))
    .flatMap((log) => readFileSync(log, "utf8").match(/^--- .*$/gm));
  const counts: Record<string, number> = {};
  for (const line of lines) {
    const name = /UTC: ([a-z-]+), run/.exec(line ?? "")?.[1] ?? "";
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

/** Waits until the box is in the middle of recovery, and returns the job's process. */
async function inRecovery(): Promise<number> {
  for (let tries = 0; tries < 1200; tries++) {
    for (const key of existsSync(join(boxData, "jobs")) ? readdirSync(join(boxData, "jobs")) : []) {
      const read = (name: string) => {
        const path = join(boxData, "jobs", key, name);
        return existsSync(path) ? readFileSync(path, "utf8") : "";
      };
      if (/"recover"/.test(read("spec.json")) && (read("log.txt").match(/^step \d+/gm) ?? []).length > 5)
        return (JSON.parse(read("process.json")) as { pid: number }).pid;
    }
    await sleep(500);
  }
  throw new Error("recovery did not begin within ten minutes");
}

async function cutConnection(): Promise<void> {
  await sshd.stop();
  await sleep(1500);
  await sshd.start();
  await sleep(4000);
}

describe("the dev recipe on a machine reached over SSH, its store in a bucket", () => {
  it("comes to the same artifacts when connection, job and operator are cut off on the way", async () => {
    const disturbed = await onTheBox("disturbed");
    const first = disturbed.start(["up", "--yes", "--skip-preview"]);
    const job = await inRecovery();
    for (let cut = 0; cut < 3; cut++) await cutConnection();
    process.kill(-(first.pid ?? 0), "SIGKILL"); // the operator's machine goes down…
    await first;
    process.kill(job, "SIGKILL"); // …and so does the job
    await disturbed.cancel();
    const second = await disturbed.up();
    expect(second.exitCode, second.output).toBe(0);
    const { recover, ...others } = starts();
    expect(recover).toBe(2);
    expect(new Set(Object.values(others))).toEqual(new Set([1]));
    expect(await disturbed.preview()).toEqual([]);

    rmSync(join(boxData, "jobs"), { recursive: true });
    rmSync(join(boxData, "cache"), { recursive: true });
    const quiet = await onTheBox("quiet");
    const undisturbed = await quiet.up();
    expect(undisturbed.exitCode, undisturbed.output).toBe(0);
    expect(await digests("disturbed")).toEqual(await digests("quiet"));
  });

  it("makes an artifact again that was removed from the bucket, and nothing else", async () => {
    const [disturbed] = workspaces;
    const store = new S3Store(s3.url("disturbed"));
    for (const item of await store.list())
      if ((await store.manifest(item.key))?.name === "imatrix") await store.remove(item);
    const before = starts();
    const again = await disturbed?.up();
    expect(again?.exitCode, again?.output).toBe(0);
    const after = starts();
    expect(after["imatrix"]).toBe((before["imatrix"] ?? 0) + 1);
    expect({ ...after, imatrix: 0 }).toEqual({ ...before, imatrix: 0 });
  });
});
