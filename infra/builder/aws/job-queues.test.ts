import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { S3Store } from "../../store/s3-store.ts";
import { rootCredentials, s3ServerMissing, TestS3Server } from "../../store/testing/s3-server.ts";
import { sharedName } from "./names.ts";
import { JobQueues, sourceObject } from "./job-queues.ts";

const [home, theirHome] = ["aaaaaaaa", "bbbbbbbb"].map((id) => sharedName("home", id)) as [string, string];
const key = (digit: string) => digit.repeat(64);
const job = (digit: string, name: string) =>
  JSON.stringify({
    submission: `s-${name}`,
    submittedAt: 1,
    spec: { key: key(digit), name, run: `run-${name}` },
  });
const status = (digit: string, name: string, state: string, at: number) =>
  JSON.stringify({ submission: `s-${name}`, key: key(digit), name, state, line: `${name} 45 %`, at });
const boot = (instance: string, began: number, until: number, state: string) =>
  JSON.stringify({
    instance,
    type: "g6e.2xlarge",
    lifecycle: "spot",
    began,
    until,
    usdPerHour: 1,
    costUsd: 1,
    state,
    why: null,
  });

describe.skipIf(s3ServerMissing)("the queues of a stack's instances", () => {
  let s3: TestS3Server;
  let queues: JobQueues;
  beforeAll(async () => {
    for (const [name, value] of Object.entries(rootCredentials)) vi.stubEnv(name, value);
    s3 = await TestS3Server.start();
    queues = new JobQueues(new S3Store(s3.url("p")), home);
    const objects: [folder: string, digit: string, text: string][] = [
      [`${home}/gpu/jobs`, "a", job("a", "prune")],
      [`${home}/gpu/status`, "a", status("a", "prune", "working", 1000)],
      [`${home}/build/jobs`, "b", job("b", "quantize")],
      [`${home}/build/status`, "c", status("c", "convert", "failed", 900)],
      [`${theirHome}/gpu/jobs`, "d", job("d", "theirs")],
    ];
    for (const [folder, digit, text] of objects) await s3.put(`p/boxes/${folder}/${key(digit)}.json`, text);
    await s3.put(`p/boxes/${home}/gpu/logs/${key("a")}.txt`, "layer 3\n");
    await s3.put(`p/boxes/${home}/gpu/boots/i-2.json`, boot("i-2", 500, 990, "running"));
    await s3.put(`p/boxes/${home}/gpu/boots/i-1.json`, boot("i-1", 100, 400, "running"));
    await s3.put(`p/boxes/${home}/gpu/boots/i-1-watch.log`, "ending this instance");
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await s3.stop();
  });

  it("name the runs at work, for this stack alone and not for another of its name", async () => {
    expect(await queues.runs()).toEqual(
      new Map([
        [key("a"), "run-prune"],
        [key("b"), "run-quantize"],
      ]),
    );
  });

  it("say how each job is getting on, which waits for an instance, and which failed", async () => {
    expect(await queues.lines(1010)).toEqual(
      new Map([
        [key("c"), "convert 45 %"],
        [key("a"), "prune 45 %"],
        [key("b"), "quantize waiting for an instance"],
      ]),
    );
    expect((await queues.lines(9999)).get(key("a"))).toBe("prune waiting for an instance");
  });

  it("tell instances that run from those that were not heard of again", async () => {
    expect(
      (await queues.instances(1000)).map(({ instance, name, state, why }) => [instance, name, state, why]),
    ).toEqual([
      ["i-1", "gpu", "ended", "it was not heard of again"],
      ["i-2", "gpu", "running", null],
    ]);
  });

  it("hold a job's log", async () => {
    expect(await queues.log(key("a"))).toBe("layer 3\n");
    expect(await queues.log(key("b"))).toBeUndefined();
  });

  it("take the code once, under the name that instances are told", async () => {
    const source = { digest: "d", archive: Buffer.from("packed") };
    const store = new S3Store(s3.url("p"));
    const { path } = sourceObject(home, source);
    expect(await store.text(path)).toBeUndefined();
    await queues.upload(source);
    await queues.upload(source);
    expect(await store.text(path)).toBe("packed");
  });

  it("let go of jobs that no stage wants any more", async () => {
    await queues.removeUnwanted(new Set([key("b")]));
    expect([...(await queues.runs()).keys()]).toEqual([key("b")]);
    const theirs = new JobQueues(new S3Store(s3.url("p")), theirHome);
    expect([...(await theirs.runs()).keys()]).toEqual([key("d")]);
  });
});
