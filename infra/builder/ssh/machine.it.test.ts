/**
 * The builder against a real sshd on loopback and a real S3 server. Only the builder machine's tools are put there by the test.
 *
 *   PIPRESS_IT=1 npx vitest run infra/builder/ssh/machine.it.test.ts
 */
import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sshdMissing, startSshd, type TestSshd } from "../../ssh/testing/sshd.ts";
import { cacheDir, repoRoot } from "../../../common/paths.ts";
import { rootCredentials, s3ServerMissing, TestS3Server } from "../../store/testing/s3-server.ts";
import { pythonEnvironment } from "../../../toolchain/bootstrap/python.ts";
import { llamaCppPin } from "../../../toolchain/llama-cpp/pin.ts";
import { cpuIdentity, hostRecipe, recipeDigest } from "../../../toolchain/llama-cpp/recipe.ts";
import type { SshBuilderConfig } from "../../config/schema.ts";
import type { StageJob } from "../../stage/job.ts";
import { launcher } from "../../stage/stage.ts";
import type { MachineJob } from "./machine.ts";
import { runsAtWork } from "./runs-at-work.ts";

const { folder: venv, python } = pythonEnvironment(cacheDir());
const pythonMissing = existsSync(python)
  ? undefined
  : "no Python environment here; `npm run bootstrap` makes it";
const wanted = process.env.PIPRESS_IT === "1" ? undefined : "only with PIPRESS_IT=1";
const missing = wanted ?? sshdMissing ?? s3ServerMissing ?? pythonMissing;

const key = "ab".repeat(32);
let sshd: TestSshd;
let s3: TestS3Server;
let machine: SshBuilderConfig;
let folder: string;

beforeAll(async () => {
  if (missing !== undefined) return;
  folder = mkdtempSync(join(tmpdir(), "pipress builder-"));
  putToolsInPlace(join(folder, "cache"));
  [sshd, s3] = await Promise.all([startSshd("builder", rootCredentials), TestS3Server.start()]);
  machine = { ...sshd.host, folder };
});
afterAll(async () => {
  if (missing !== undefined) return;
  await Promise.all([sshd.remove(), s3.stop()]);
  rmSync(folder, { recursive: true });
});

/** Python environment and llama.cpp as `prepare.py` looks for them; the programs are never started here. */
function putToolsInPlace(cache: string): void {
  mkdirSync(join(cache, "venv"), { recursive: true });
  symlinkSync(venv, join(cache, "venv", venv.split("/").at(-1) ?? ""));
  const recipe = hostRecipe(cpuIdentity());
  const home = join(cache, "llama.cpp", llamaCppPin.sha256.slice(0, 16));
  for (const path of ["src", "host/bin"]) mkdirSync(join(home, path), { recursive: true });
  writeFileSync(join(home, "src", "convert_hf_to_gguf.py"), "");
  for (const name of recipe.targets) writeFileSync(join(home, "host", "bin", name), "");
  writeFileSync(join(home, "host", "ready.json"), JSON.stringify({ recipe: recipeDigest(recipe) }));
}

/** A stage that takes a moment: two small texts of this machine. */
function textJob(of: string, run = "run-1"): MachineJob {
  const source = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return { local: { path, sha256: createHash("sha256").update(text).digest("hex") }, format: "text" };
  };
  const prose = (word: string) =>
    Array.from({ length: 60 }, (_, i) => `The ${word} number ${i} stands here.`).join("\n\n");
  const params = {
    calibration: [source("a.txt", prose("river"))],
    evaluation: [source("b.txt", prose("stone"))],
  };
  return job({ stage: "fetch-dataset", name: "fetch-dataset", key: of, run, params });
}

function job(changes: Partial<MachineJob["spec"]>): MachineJob {
  const spec = {
    stage: "fetch" as const,
    name: "",
    key,
    run: "run-1",
    forRelease: false,
    params: {},
    inputs: {},
    toolVersions: {},
    ...changes,
  };
  return { machine, spec: { ...spec, store: s3.url("p") } };
}

/** Starts the attaching process as the stage's command does. */
function attach(of: MachineJob) {
  const { store, ...spec } = of.spec;
  const stage: StageJob = { spec, store, builder: { ssh: of.machine } };
  return execa("sh", ["-c", launcher], {
    cwd: repoRoot,
    input: JSON.stringify(stage),
    env: rootCredentials,
    reject: false,
  });
}

/** Collects what an attaching process says; the function returned waits until it has found the job at work. */
function listen(process: ReturnType<typeof attach>): () => Promise<void> {
  let output = "";
  process.stderr.on("data", (chunk: Buffer) => (output += chunk.toString()));
  return () =>
    until(() => output.includes("quantize is at work already: attaching"), "the job to be found at work");
}

async function until(condition: () => boolean, what: string): Promise<void> {
  for (let tries = 0; tries < 3600; tries++) {
    if (condition()) return;
    await sleep(50);
  }
  throw new Error(`waited three minutes for ${what}`);
}

const jobFile = (of: string, name: string) => join(folder, "data", "jobs", of, name);
const readJob = (of: string, name: string): string =>
  existsSync(jobFile(of, name)) ? readFileSync(jobFile(of, name), "utf8") : "";

/** Takes the builder machine's one turn for heavy stages, so that a job waits until the process is ended. */
function keepBusy(): ChildProcess {
  mkdirSync(join(folder, "data", "jobs"), { recursive: true });
  // Not forked: a child would hold the lock after the process that is ended here.
  return spawn("flock", ["--no-fork", join(folder, "data", "jobs", "slot"), "sleep", "600"], {
    stdio: "ignore",
  });
}

describe.skipIf(missing)("a builder over SSH", { timeout: 600_000 }, () => {
  it("gets the code, runs a stage, and leaves the artifact in the bucket; afterwards no builder machine is needed", async () => {
    const first = await attach(textJob(key));
    expect(first.stderr).toContain("fetch-dataset sending the code");
    expect(first.exitCode, first.stderr).toBe(0);
    const result = JSON.parse(first.stdout) as Record<string, unknown>;
    expect(result).toMatchObject({ key, run: "run-1" });
    expect(Object.keys(result["files"] as object).sort()).toEqual([
      "calibration.jsonl",
      "evaluation.jsonl",
      "validation.jsonl",
    ]);

    await sshd.stop();
    const again = await attach(textJob(key, "run-2"));
    await sshd.start();
    expect(JSON.parse(again.stdout)).toEqual(result);
    expect(again.stderr).toBe("");
  });

  it("goes on with the job after the connection was cut, and a second attacher finds the same job", async () => {
    const of = "cd".repeat(32);
    const busy = keepBusy();
    const heavy = job({
      stage: "quantize",
      name: "quantize",
      key: of,
      params: { type: "Q4_K_M" },
      inputs: { model: "ef".repeat(32) },
    });
    const one = attach(heavy);
    const oneIsBack = listen(one);
    await until(() => readJob(of, "progress.json").includes("waiting"), "a waiting job");
    const worker = readJob(of, "process.json");
    for (let cut = 0; cut < 2; cut++) {
      await sshd.stop();
      await sleep(300);
      await sshd.start();
    }
    expect(await runsAtWork(machine)).toEqual(new Map([[of, "run-1"]]));
    await oneIsBack();
    const two = attach({ ...heavy, spec: { ...heavy.spec, run: "run-2" } });
    await listen(two)();
    expect(readJob(of, "process.json")).toBe(worker);
    busy.kill();
    const [first, second] = await Promise.all([one, two]);
    expect(first.stderr).toContain("quantize lost the connection to 127.0.0.1; trying again");
    expect(first.stderr).toContain("quantize is at work already: attaching");
    for (const { exitCode, stderr } of [first, second]) {
      expect(exitCode).toBe(1);
      expect(stderr).toContain(`${"ef".repeat(32)} is not in the store — run \`up\` again`);
    }
    expect(readJob(of, "log.txt").match(/^--- /gm)).toHaveLength(1);
  });

  it("starts the job again after a reboot took it along", async () => {
    const of = "12".repeat(32);
    const busy = keepBusy();
    const heavy = job({
      stage: "quantize",
      name: "quantize",
      key: of,
      params: { type: "Q4_K_M" },
      inputs: { model: "ef".repeat(32) },
    });
    const one = attach(heavy);
    await until(() => readJob(of, "progress.json").includes("waiting"), "a waiting job");
    const { pid } = JSON.parse(readJob(of, "process.json")) as { pid: number };
    await sshd.stop();
    process.kill(pid, "SIGKILL");
    await sshd.start();
    await until(() => (readJob(of, "log.txt").match(/^--- /gm) ?? []).length === 2, "the job's second start");
    busy.kill();
    expect((await one).stderr).toContain("is not in the store");
  });

  it("refuses a builder machine with another host key before anything is sent", async () => {
    const { hostKey } = await startOther();
    const { exitCode, stderr } = await attach({
      ...textJob("34".repeat(32)),
      machine: { ...machine, hostKey },
    });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/^builder: wrong host key: expected SHA256:.* nothing was sent/);
    expect(existsSync(join(folder, "data", "jobs", "34".repeat(32)))).toBe(false);
  });
});

/** The host key of another machine. */
async function startOther(): Promise<{ hostKey: string }> {
  const other = await startSshd("other");
  await other.remove();
  return { hostKey: other.host.hostKey };
}
