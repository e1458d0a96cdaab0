/** Two stacks with a `pi-0` on one computer. QEMU is a stand-in: its processes and ports are real, but no system boots. */
import { existsSync } from "node:fs";
import { mkdtemp, rename, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from "vitest";
import type { Call, Existing } from "../plugin/handler.ts";
import { endProcesses } from "../../common/process/signals.ts";
import { VirtualPiMachine } from "./machine.ts";
import { findMachineProcesses } from "./process.ts";
import { virtualPiResource, type VirtualPiOutputs } from "./resource.ts";
import { machineFolder } from "./folder.ts";
import { sshGreets } from "./ssh.ts";
import { qemuStandIn } from "./testing/qemu-stand-in.ts";

const timeout = 60_000;
const imageDigest = "0".repeat(64);
const common = { name: "pi-0", memoryMiB: 1024, cpus: 2, diskGiB: 4, imageDigest, forwards: { http: 8080 } };
const silent = () => undefined;
const call = { log: { status: silent, warn: silent } } as unknown as Call;
let folder: string;
/** Where an earlier version has its `pi-0`. */
let old: VirtualPiMachine;
let mine: Made;
let theirs: Made;

type Made = Existing & { state: VirtualPiOutputs };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pipress-stacks-"));
  for (const [name, value] of Object.entries(await qemuStandIn(folder, imageDigest))) vi.stubEnv(name, value);
  old = new VirtualPiMachine("pi-0");
  // The only thing that asks the system behind the port.
  vi.spyOn(VirtualPiMachine.prototype, "run").mockResolvedValue({ kind: "ended", code: 0, stdout: "" });
});

beforeEach(async () => {
  [mine, theirs] = await Promise.all([make("aaaaaaaa"), make("bbbbbbbb")]);
}, timeout);

afterEach(async () => {
  await old.destroy();
  for (const { id } of [mine, theirs]) await new VirtualPiMachine("pi-0", id).destroy();
}, timeout);

afterAll(async () => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

async function make(stackId: string): Promise<Made> {
  const inputs = { ...common, stackId };
  const { id, state } = await virtualPiResource.create(inputs, call);
  return { id, inputs, state: state as Made["state"] };
}

const processesOf = ({ state }: Made) =>
  findMachineProcesses(machineFolder(join(state.privateKeyFile, "..")).disk);
const changesOf = async (made: Made, news = {}) =>
  (await virtualPiResource.diff?.(made, { ...made.inputs, ...news }))?.changes;
const remove = (made: Made) => virtualPiResource.delete?.(made, call);

test("their machines have folders, keys, ports and processes of their own", { timeout }, async () => {
  expect([mine.id, theirs.id]).toEqual(["pi-0-aaaaaaaa", "pi-0-bbbbbbbb"]);
  const folders = [mine, theirs].map(({ state }) => basename(join(state.privateKeyFile, "..")));
  expect(folders).toEqual([mine.id, theirs.id]);
  expect(mine.state.hostKey).not.toBe(theirs.state.hostKey);
  const ports = [mine, theirs].flatMap(({ state }) => [state.sshPort, state.ports.http]);
  expect(new Set(ports).size).toBe(4);
  const processes = (await Promise.all([mine, theirs].map(processesOf))).flat();
  expect(new Set(processes).size).toBe(2);
});

test("this user alone reads a machine's keys, its seed and its folder", { timeout }, async () => {
  const { path, privateKey, hostKey, seed, record } = machineFolder(join(mine.state.privateKeyFile, ".."));
  const modes = await Promise.all([path, privateKey, hostKey, seed, record].map((file) => stat(file)));
  expect(modes.map(({ mode }) => (mode & 0o777).toString(8))).toEqual(["700", "600", "600", "600", "600"]);
});

test("the end of one leaves the other as it is", { timeout }, async () => {
  await remove(mine);
  expect(await changesOf(mine)).toHaveProperty("running.replace", true);
  expect(await processesOf(mine)).toEqual([]);
  expect(await changesOf(theirs)).toEqual({});
  expect(await sshGreets(theirs.state.sshPort)).toBe(true);
});

/** As a machine was that an earlier version made: in a folder of its name alone, with no id of a stack in its inputs. */
async function asOfEarlierVersion(made: Made): Promise<Made> {
  await endProcesses(await processesOf(made));
  await rename(new VirtualPiMachine("pi-0", made.id).folder.path, old.folder.path);
  const state = { ...made.state, ...(await old.start(silent)), privateKeyFile: old.folder.privateKey };
  return { id: "pi-0", inputs: common, state };
}

test(
  "a machine of an earlier version is taken over where it is, and replaced whole",
  { timeout },
  async () => {
    const made = await asOfEarlierVersion(mine);
    const news = { ...common, stackId: "aaaaaaaa" };
    expect(await changesOf(made, news)).toEqual({});
    expect(await changesOf(made, { ...news, diskGiB: 8 })).toEqual({
      diskGiB: { kind: "update", replace: true },
    });
    await remove(made);
    expect(existsSync(old.folder.path)).toBe(false);
  },
);

test("of two stacks of an earlier version, each knows its machine by the host key", { timeout }, async () => {
  const theirOld = await asOfEarlierVersion(theirs);
  const myOld: Made = { id: "pi-0", inputs: common, state: mine.state };
  expect(await changesOf(theirOld)).toEqual({});
  expect(await changesOf(myOld)).toHaveProperty("running.replace", true);
  expect(await virtualPiResource.read?.(myOld, call)).toBeUndefined();
  await remove(myOld);
  expect(await changesOf(theirOld)).toEqual({});
});
