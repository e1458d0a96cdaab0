// Boots a real machine, which takes a minute or two and the image (`npm run bootstrap`):
//   PIPRESS_IT=1 npx vitest run infra/virtual-pi/machine.it.test.ts
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { imageDigest } from "../../toolchain/virtual-pi-image/index.ts";
import { repoRoot } from "../../common/paths.ts";
import { VirtualPiMachine } from "./machine.ts";
import { findMachineProcesses } from "./process.ts";
import { sshGreets } from "./ssh.ts";
import type { Call, Existing, Props, ResourceHandler } from "../plugin/handler.ts";
import type { VirtualPiOutputs } from "./resource.ts";

const inputs = {
  ...{
    name: "it-pi",
    memoryMiB: 768,
    cpus: 2,
    diskGiB: 4,
    imageDigest: imageDigest(),
    forwards: { http: 8080 },
    stackId: "0a1b2c3d",
  },
};
const id = "it-pi-0a1b2c3d";
const silent = () => undefined;
const call = { log: { status: silent, warn: silent } } as unknown as Call;

describe.runIf(process.env.PIPRESS_IT === "1")("a virtual Pi", { timeout: 15 * 60_000 }, () => {
  let data = "";
  let resource: Required<ResourceHandler>;
  let outputs: VirtualPiOutputs;
  let machine: VirtualPiMachine;

  const existing = (): Existing => ({ id, inputs, state: { ...outputs } });
  const changes = async (news: Props) => (await resource.diff(existing(), news)).changes;

  async function onHost(...command: string[]): Promise<string> {
    const ending = await machine.run(outputs, command.join(" "));
    if (ending.kind === "lost") throw ending.failure;
    expect(ending.code, command.join(" ")).toBe(0);
    return ending.stdout.trim();
  }

  beforeAll(async () => {
    data = await mkdtemp(join(tmpdir(), "pipress it, "));
    process.env.PIPRESS_DATA = data;
    resource = (await import("./resource.ts")).virtualPiResource as Required<ResourceHandler>;
    machine = new VirtualPiMachine(inputs.name, id);
    // What an interrupted creation leaves must not be in the way.
    await rm(machine.folder.path, { recursive: true, force: true });
    outputs = (await resource.create(inputs, call)).state as unknown as VirtualPiOutputs;
  }, 15 * 60_000);

  afterAll(async () => {
    await machine.destroy();
    await rm(data, { recursive: true, force: true });
  }, 60_000);

  test("is a Debian with running systemd on a Cortex-A72 without dot product", async () => {
    expect(await onHost("systemctl", "is-system-running")).toBe("running");
    const cpu = await onHost("cat", "/proc/cpuinfo");
    expect(cpu).toContain("asimd");
    expect(cpu).not.toContain("asimddp");
    expect(await onHost("hostname")).toBe(inputs.name);
    expect(await onHost("sudo", "id", "-u")).toBe("0");
    expect(await onHost("cat", "/sys/fs/cgroup/cgroup.controllers")).toContain("memory");
    expect(await onHost("sudo", "dpkg", "--audit")).toBe("");
  });

  test("has the disk it was asked for", async () => {
    const bytes = Number(await onHost("df", "--output=size", "-B1", "/", "|", "tail", "-1"));
    expect(bytes).toBeGreaterThan(3.8e9);
  });

  test("shows no change while nothing changes, and a change of size as what it needs", async () => {
    expect(await changes(inputs)).toEqual({});
    expect(await changes({ ...inputs, memoryMiB: 1024 })).toEqual({ memoryMiB: { kind: "update" } });
    expect(await changes({ ...inputs, diskGiB: 5 })).toEqual({ diskGiB: { kind: "update", replace: true } });
  });

  test("a wrong host key is refused with the machine's name, and the machine goes on", async () => {
    const record = await readFile(machine.folder.record, "utf8");
    await writeFile(machine.folder.record, record.replace(outputs.hostKey, otherKey));
    await expect(machine.start(silent)).rejects.toThrow(/it-pi: .*another host key/);
    expect(await machine.isRunning()).toBe(true);
    await writeFile(machine.folder.record, record);
  });

  test("what is killed shows as drift, and starts again with its keys, ports and files", async () => {
    await onHost("echo", "kept", ">", "note;", "sync");
    for (const pid of await findMachineProcesses(machine.folder.disk)) process.kill(pid, "SIGKILL");
    await expect.poll(() => machine.isRunning()).toBe(false);

    expect(await resource.read(existing(), call)).toMatchObject({ state: { running: false } });
    expect(await changes(inputs)).toEqual({ running: { kind: "delete", input: false, replace: false } });

    const again = await resource.update(existing(), inputs, call);
    expect(again).toEqual(outputs);
    expect(await onHost("cat", "note")).toBe("kept");
  });

  test("restarts with more memory", async () => {
    const larger = { ...inputs, memoryMiB: 1024 };
    outputs = (await resource.update(existing(), larger, call)) as unknown as VirtualPiOutputs;
    expect(Number(await onHost("awk", "'/MemTotal/ { print $2 }'", "/proc/meminfo"))).toBeGreaterThan(
      900_000,
    );
  });

  test("survives whoever started it", async () => {
    await machine.stop();
    const starter = spawn("npx", ["tsx", join(repoRoot, "infra/virtual-pi/cli.ts"), "up", id], {
      ...{ cwd: repoRoot, detached: true, stdio: "ignore" },
    });
    await expect.poll(() => machine.isRunning(), { timeout: 60_000 }).toBe(true);
    process.kill(-(starter.pid ?? 0), "SIGKILL");
    await once(starter, "exit");
    await machine.start(silent);
    expect(await onHost("hostname")).toBe(inputs.name);
  });

  test("deleting leaves no process, port or folder, and can be repeated", async () => {
    await resource.delete(existing(), call);
    expect(await machine.isRunning()).toBe(false);
    expect(await sshGreets(outputs.sshPort, 200)).toBe(false);
    expect(existsSync(machine.folder.path)).toBe(false);
    await resource.delete(existing(), call);
    expect(await resource.read(existing(), call)).toBeUndefined();
  });
});

/** A valid ed25519 public key that belongs to nobody here. */
const otherKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g";
