import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sshdMissing, startSshd, type TestSshd } from "../../ssh/testing/sshd.ts";
import type { PlannedStage } from "../../stage/planned.ts";
import { judgeRoom, lookAtBuilder, roomHere } from "./controller.ts";

const store = "file:///srv/store";
const plan = (["fetch", "recover"] as const).map((stage) => ({ name: stage, stage, artifact: undefined }));
const costs = new Map([
  ["fetch", { seconds: 1, bytes: 16e9 }],
  ["recover", { seconds: 1, bytes: 13e9 }],
]);
const room = { memory: 64e9, disk: 100e9, isWritable: true };
const levels = (...given: Parameters<typeof judgeRoom>) => judgeRoom(...given).map(({ level }) => level);

describe("the room for a plan's stages", () => {
  it("is enough, and described", () => {
    const [note] = judgeRoom(plan, costs, room, store);
    expect(note).toMatchObject({ level: "note", where: "this machine" });
    expect(note?.what).toMatch(/64.0 GB of memory, 100 GB of disk free; 2 of 2 stages will run$/);
  });

  it("is too little for what the missing stages make", () => {
    const [error] = judgeRoom(plan, costs, { ...room, disk: 20e9 }, store);
    expect(error?.what).toBe(
      "20.0 GB of disk are free for file:///srv/store, but the missing stages make 29.0 GB",
    );
    expect(error?.remedy).toContain("./pipress store gc");
    const made = plan.map((stage) => ({ ...stage, artifact: {} as PlannedStage["artifact"] }));
    expect(levels(made, costs, { ...room, disk: 20e9 }, store)).toEqual(["note"]);
  });

  it("is too little memory for a whole model, which is a warning where recover is missing", () => {
    expect(levels(plan, costs, { ...room, memory: 8e9 }, store)).toEqual(["warning", "note"]);
    expect(levels(plan.slice(0, 1), costs, { ...room, memory: 8e9 }, store)).toEqual(["note"]);
  });

  it("is a folder that this user may write, the nearest that is there", () => {
    const folder = mkdtempSync(join(tmpdir(), "pipress-room-"));
    const found = roomHere(pathToFileURL(join(folder, "not", "made")).href);
    expect(found).toMatchObject({ isWritable: true });
    expect(found.disk).toBeGreaterThan(0);
    rmSync(folder, { recursive: true });
    expect(levels(plan, costs, { ...room, isWritable: false }, store)).toEqual(["error", "note"]);
  });
});

describe.skipIf(sshdMissing)(`a builder machine on loopback${sshdMissing ?? ""}`, { timeout: 60_000 }, () => {
  let sshd: TestSshd;
  beforeAll(async () => {
    sshd = await startSshd("builder", { PATH: "/nothing:/bin" });
  });
  afterAll(() => sshd.remove());
  const look = () => lookAtBuilder(sshd.host, new AbortController().signal);

  it("answers, with what it has or lacks", async () => {
    const [finding] = await look();
    expect(finding?.where).toBe("builder");
    expect(finding?.what).toMatch(/^127.0.0.1 (answers and has what stages need|lacks [\w.+, ]+)$/);
  });

  it("does not answer, or is another one than expected", async () => {
    await sshd.stop();
    expect(await look()).toMatchObject([{ level: "error", where: "builder", what: /unreachable/ }]);
  });
});
