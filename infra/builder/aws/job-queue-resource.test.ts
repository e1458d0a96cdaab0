import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import type { Call } from "../../plugin/handler.ts";
import { S3Store } from "../../store/s3-store.ts";
import { rootCredentials, s3ServerMissing, TestS3Server } from "../../store/testing/s3-server.ts";
import { jobQueueResource } from "./job-queue-resource.ts";

const key = (digit: string) => digit.repeat(64);
const call = {} as Call;

describe.skipIf(s3ServerMissing)("the job queues of a stack", () => {
  let s3: TestS3Server;
  beforeAll(async () => {
    for (const [name, value] of Object.entries(rootCredentials)) vi.stubEnv(name, value);
    s3 = await TestS3Server.start();
    for (const digit of ["a", "b"]) await s3.put(`p/boxes/home/gpu/jobs/${key(digit)}.json`, "{}");
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await s3.stop();
  });

  const jobs = async () =>
    (await new S3Store(s3.url("p")).paths("boxes/home/")).map((path) => path.split("/").at(-1)?.[0]);

  it("lose the jobs that no stage of the plan wants, when they are declared and when the plan changes", async () => {
    const inputs = { store: s3.url("p"), stack: "home", wanted: [key("a"), key("b")] };
    const { id } = await jobQueueResource.create(inputs, call);
    expect(await jobs()).toEqual(["a", "b"]);
    const news = { ...inputs, wanted: [key("b")] };
    await jobQueueResource.update?.({ id, inputs, state: inputs }, news, call);
    expect(await jobs()).toEqual(["b"]);
  });

  it("of an earlier version, which two stacks may share, hand over what jobs of the plan saved", async () => {
    for (const digit of ["a", "b"])
      await s3.put(`p/boxes/old/gpu/checkpoints/${key(digit)}.tar`, `saved ${digit}`);
    const state = { store: s3.url("p"), stack: "old", wanted: [key("a")] };
    await jobQueueResource.update?.(
      { id: "old", inputs: state, state },
      { ...state, stack: "old-3f9a01c2" },
      call,
    );
    const store = new S3Store(s3.url("p"));
    expect(await store.paths("boxes/old-3f9a01c2/")).toEqual([
      `boxes/old-3f9a01c2/gpu/checkpoints/${key("a")}.tar`,
    ]);
    expect(await store.text(`boxes/old-3f9a01c2/gpu/checkpoints/${key("a")}.tar`)).toBe("saved a");
    expect(await store.paths("boxes/old/")).toHaveLength(2);
  });

  it("are left as they are when the stack no longer needs instances", () => {
    expect(jobQueueResource.delete).toBeUndefined();
  });
});
