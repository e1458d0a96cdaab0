/** The dev recipe on the builder `ssh` (a real sshd on loopback) with its store on a real S3 server, disturbed and not. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startSshd, type TestSshd } from "../../infra/ssh/testing/sshd.ts";
import { cacheDir } from "../../common/paths.ts";
import { S3Store } from "../../infra/store/s3-store.ts";
import { rootCredentials, TestS3Server } from "../../infra/store/testing/s3-server.ts";
import { Workspace } from "../e2e/workspace.ts";

/** Every stage of the dev stack, on less text; checkpoints close enough for a test to fall between them. */
const recipe = {
  "steps.prune.calibrationTokens": 2048,
  "steps.recover.checkpointEverySteps": 3,
  "steps.imatrix.chunks": 4,
  "steps.evaluate": { contextLength: 512, chunks: 2, questions: 3, benchTokens: 8, promptTokens: 8 },
};

/** Figures of the machine and of the hour, which no two runs share; all else that a stage leaves is the same in each. */
const measured = new Set(["tokensPerSecondBuilder", "loadSeconds", "peakRssBytes", "seconds", "bytes"]);

/** A machine of one's own: its data lie in a folder of the test, its tools are this machine's. */
const machineData = mkdtempSync(join(tmpdir(), "pipress-builder-"));
const workspaces: Workspace[] = [];
type Run = ReturnType<Workspace["start"]>;
let sshd: TestSshd;
let s3: TestS3Server;

beforeAll(async () => {
  Object.assign(process.env, rootCredentials);
  s3 = await TestS3Server.start();
  const own = { ...rootCredentials, PIPRESS_DATA: machineData, PIPRESS_CACHE: cacheDir() };
  sshd = await startSshd("builder", { ...registryEnvironment(), ...own });
});

afterAll(async () => {
  for (const workspace of workspaces) {
    await workspace.pulumi("destroy", "--yes", "--skip-preview");
    workspace.remove();
  }
  await Promise.all([sshd.remove(), s3.stop()]);
  rmSync(machineData, { recursive: true });
});

/** How this machine reaches package registries, where its environment says so: the builder machine is in the same network. */
function registryEnvironment(): Record<string, string> {
  const names = /^(PIP_\w+|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|(HTTPS?|NO)_PROXY)$/i;
  const variables = Object.entries(process.env).filter(
    ([name, value]) => names.test(name) && value !== undefined,
  );
  return Object.fromEntries(variables) as Record<string, string>;
}

/** A stack without hosts whose stages run on the builder machine. */
async function onTheMachine(prefix: string): Promise<Workspace> {
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

/** Digests of all files of all artifacts under a prefix, by key and path; of documents with `measured` figures, the rest of them. */
async function digests(prefix: string): Promise<Record<string, string>> {
  const store = new S3Store(s3.url(prefix));
  const byFile: Record<string, string> = {};
  for (const { key } of await store.list()) {
    const manifest = await store.manifest(key);
    for (const [path, { sha256 }] of Object.entries(manifest?.files ?? {})) {
      if (path === "report.html") continue; // report.json as a page
      const isMeasured = path === "evaluation.json" || path === "report.json";
      const object = `artifacts/${key}/${manifest?.attempt}/${path}`;
      byFile[`${manifest?.name}/${path} ${key}`] = isMeasured
        ? withoutMeasured(await store.text(object))
        : sha256;
    }
  }
  return byFile;
}

function withoutMeasured(document = ""): string {
  const kept = JSON.parse(document, (name, value: unknown) =>
    measured.has(name) ? undefined : value,
  ) as object;
  return JSON.stringify(kept);
}

/** How often each stage was started on the builder machine, by name. */
function starts(): Record<string, number> {
  const jobs = join(machineData, "jobs");
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

/** Waits until the builder machine's job of a stage has logged what is asked for; returns its process. */
async function atWork(name: string, logged: RegExp, up: Run): Promise<number> {
  for (let tries = 0; tries < 3600; tries++) {
    if (up.exitCode !== null) throw new Error(`\`up\` ended before ${name} got so far:\n${(await up).all}`);
    for (const key of existsSync(join(machineData, "jobs")) ? readdirSync(join(machineData, "jobs")) : []) {
      const read = (file: string) => {
        const path = join(machineData, "jobs", key, file);
        return existsSync(path) ? readFileSync(path, "utf8") : "";
      };
      if (read("spec.json").includes(`"name": "${name}"`) && logged.test(read("log.txt")))
        return (JSON.parse(read("process.json")) as { pid: number }).pid;
    }
    await sleep(500);
  }
  throw new Error(`${name} did not get so far within half an hour`);
}

async function cutConnection(): Promise<void> {
  await sshd.stop();
  await sleep(1500);
  await sshd.start();
  await sleep(3000);
}

describe("the dev recipe on a machine reached over SSH, its store in a bucket", () => {
  it("comes to its end, no stage run twice, when connection, job and operator are cut off on the way", async () => {
    const disturbed = await onTheMachine("disturbed");
    const first: Run = disturbed.start(["up", "--yes", "--skip-preview"]);
    let printed = "";
    first.all.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    for (const [stage, logged] of [
      ["prune", /UTC: prune,/],
      ["recover", /^step 1\//m],
      ["recover", /^step 4\//m],
    ] as const) {
      const before = printed.length;
      await atWork(stage, logged, first);
      await cutConnection();
      await expect
        .poll(() => printed.slice(before), { timeout: 20_000 })
        .toContain(`${stage} lost the connection to 127.0.0.1`);
    }
    const job = await atWork("recover", /^step 7\//m, first);
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
  });

  it("leaves the same artifacts as when nothing is cut off", async () => {
    rmSync(join(machineData, "jobs"), { recursive: true });
    rmSync(join(machineData, "cache"), { recursive: true });
    const quiet = await onTheMachine("quiet");
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
