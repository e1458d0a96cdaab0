import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { constants, copyFile, link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { basename, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import getPort from "get-port";
import writeFileAtomic from "write-file-atomic";
import { imageDir } from "../../toolchain/virtual-pi-image/index.ts";
import { UserError } from "../../common/user-error.ts";
import { cacheDir, dataDir } from "../../common/paths.ts";
import { allGone, endProcesses } from "../../common/process/signals.ts";
import { type Ending, Session } from "../ssh/session.ts";
import { machineFolder, type MachineFolder } from "./folder.ts";
import { findMachineProcesses } from "./process.ts";
import { buildQemuCommand } from "./qemu.ts";
import { buildSeed } from "./seed.ts";
import type { MachineRecord, VirtualPiSpec } from "./spec.ts";
import { generateKey, sshGreets } from "./ssh.ts";

/** Says what is going on, e.g. `booting 12 s`. */
export type Progress = (message: string) => void;

/** How long a boot may take. On two quiet cores it is well under a minute; a busy computer is given time. */
const bootMinutes = 8;

/** Where e2fsprogs is, which is not on every user's path. */
const withSbin = { PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` };

/**
 * One virtual Pi 4 on this computer: a folder and a QEMU process that outlives whoever started it. Every method can
 * be called after any other was cut short.
 */
export class VirtualPiMachine {
  readonly folder: MachineFolder;

  /**
   * @param name its host name, which messages begin with
   * @param id name of its folder, which no other machine on this computer has
   */
  constructor(
    readonly name: string,
    id = name,
    hostsFolder = join(dataDir(), "hosts"),
  ) {
    this.folder = machineFolder(resolve(hostsFolder, id));
  }

  /**
   * Makes the machine, boots it and returns once it answers over SSH with the host key it was given. What an
   * interrupted creation left in its folder is cleared away first.
   *
   * @param commandLine content of cmdline.txt on a boot partition of its own, /dev/vdc, as a Raspberry Pi has one; it counts
   *   at the next start
   * @throws UserError when the image is missing, a program is missing, or the boot fails or takes too long.
   */
  async create(spec: VirtualPiSpec, progress: Progress, commandLine?: string): Promise<MachineRecord> {
    await this.destroy();
    await mkdir(this.folder.path, { recursive: true, mode: 0o700 });
    progress("preparing disk and keys");
    await this.takeImage(spec.imageDigest);
    await this.makeDisk(spec.diskGiB);
    if (commandLine !== undefined) await this.makeBootPartition(commandLine);
    const hostKey = await this.makeKeysAndSeed();
    const record = { ...spec, hostKey, ...(await this.choosePorts(spec)) };
    await this.save(record);
    await this.boot(record, progress);
    return record;
  }

  /**
   * Starts the machine if it does not run, for example after this computer was restarted: same disk, same keys, same
   * ports unless somebody else took one meanwhile.
   */
  async start(progress: Progress): Promise<MachineRecord> {
    const saved = await this.existing();
    if (await this.isRunning()) {
      await this.waitUntilReady(saved, progress);
      return saved;
    }
    const record = { ...saved, ...(await this.choosePorts(saved, saved)) };
    await this.save(record);
    await this.boot(record, progress);
    return record;
  }

  /** Restarts the machine with other memory, cores or forwards; its disk stays. */
  async reconfigure(
    { memoryMiB, cpus, forwards }: Pick<VirtualPiSpec, "memoryMiB" | "cpus" | "forwards">,
    progress: Progress,
  ): Promise<MachineRecord> {
    const saved = await this.existing();
    progress("shutting down");
    await this.stop();
    await this.save({ ...saved, memoryMiB, cpus, forwards });
    return this.start(progress);
  }

  async isRunning(): Promise<boolean> {
    return (await findMachineProcesses(this.folder.disk)).length > 0;
  }

  /** What was created in this folder; undefined when nothing was, or only in part. */
  async read(): Promise<MachineRecord | undefined> {
    const text = await readFile(this.folder.record, "utf8").catch(() => undefined);
    return text === undefined ? undefined : (JSON.parse(text) as MachineRecord);
  }

  /** Shuts down cleanly within a minute, or else pulls the plug. */
  async stop(): Promise<void> {
    const pids = await findMachineProcesses(this.folder.disk);
    const record = await this.read();
    if (pids.length === 0) return;
    if (record !== undefined) {
      await this.run(record, "sudo systemctl poweroff", 30_000);
      if (await allGone(pids, 60_000)) return;
    }
    await endProcesses(pids);
  }

  /** Leaves nothing: no process, no port, no folder. Fine to call when there is nothing, or only a part. */
  async destroy(): Promise<void> {
    await endProcesses(await findMachineProcesses(this.folder.disk));
    await rm(this.folder.path, { recursive: true, force: true });
  }

  /** Runs a command on the machine. @param timeoutMs after which it is given up */
  run(
    { sshPort, hostKey }: Pick<MachineRecord, "sshPort" | "hostKey">,
    command: string,
    timeoutMs?: number,
  ): Promise<Ending> {
    const { privateKey } = this.folder;
    const access = { address: "127.0.0.1", port: sshPort, user: "pi", hostKey, privateKeyFile: privateKey };
    const signal = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
    return Session.use({ name: this.name, ...access }, (session) =>
      session.run(command, "", { quiet: true, ...(signal && { signal }) }),
    );
  }

  private async takeImage(digest: string): Promise<void> {
    const image = imageDir(cacheDir(), digest);
    if (!existsSync(join(image, "base.qcow2")))
      throw new UserError({
        where: this.name,
        what: `the virtual Pi's image ${digest.slice(0, 16)} is not in the cache`,
        remedy: "`npm start` builds it",
      });
    const { base, kernel, initrd } = this.folder;
    for (const file of [base, kernel, initrd]) await linkOrCopy(join(image, basename(file)), file);
  }

  private async makeDisk(diskGiB: number): Promise<void> {
    const { base, disk } = this.folder;
    await execa("qemu-img", ["create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", disk, `${diskGiB}G`]);
  }

  /** As ext2 where a Raspberry Pi has FAT: what makes and reads it, makes the image too. */
  private async makeBootPartition(commandLine: string): Promise<void> {
    const { path, boot } = this.folder;
    const content = join(path, "boot");
    await mkdir(content);
    await writeFile(join(content, "cmdline.txt"), commandLine);
    await execa("mke2fs", ["-q", "-t", "ext2", "-d", content, boot, "4M"], { env: withSbin });
    await rm(content, { recursive: true });
  }

  /** cmdline.txt as the machine left it; undefined for a machine without a boot partition. */
  private async commandLine(): Promise<string | undefined> {
    const { boot } = this.folder;
    if (!existsSync(boot)) return undefined;
    const { stdout } = await execa("debugfs", ["-R", "cat /cmdline.txt", boot], { env: withSbin });
    return stdout;
  }

  private async makeKeysAndSeed(): Promise<string> {
    const { folder, name } = this;
    const hostPublicKey = await generateKey(folder.hostKey, name);
    const authorizedKey = await generateKey(folder.privateKey, `pi@${name}`);
    const hostPrivateKey = await readFile(folder.hostKey, "utf8");
    const machineId = randomBytes(16).toString("hex");
    const seed = buildSeed({ name, machineId, hostPrivateKey, hostPublicKey, authorizedKey });
    await writeFile(folder.seed, seed, { mode: 0o600 });
    return hostPublicKey.split(" ").slice(0, 2).join(" ");
  }

  /** Free loopback ports: those of `before` where they are still free. */
  private async choosePorts({ forwards }: VirtualPiSpec, before?: Pick<MachineRecord, "sshPort" | "ports">) {
    const chosen: number[] = [];
    const choose = async (preferred?: number) => {
      // getPort alone would not give back, for half a minute, a port that this very process was given before.
      const isKept = preferred !== undefined && (await isFree(preferred));
      const port = isKept ? preferred : await getPort({ host: "127.0.0.1", exclude: chosen });
      chosen.push(port);
      return port;
    };
    const sshPort = await choose(before?.sshPort);
    const ports: Record<string, number> = {};
    for (const forward of Object.keys(forwards)) ports[forward] = await choose(before?.ports[forward]);
    return { sshPort, ports };
  }

  private async save(record: MachineRecord): Promise<void> {
    await writeFileAtomic(this.folder.record, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  }

  private async existing(): Promise<MachineRecord> {
    const record = await this.read();
    if (record === undefined || !existsSync(this.folder.disk))
      throw new UserError({
        where: this.name,
        what: "there is no such virtual Pi on this computer",
        remedy: "`pulumi refresh` notices that it is gone, the next `pulumi up` makes it again",
      });
    return record;
  }

  private async boot(record: MachineRecord, progress: Progress): Promise<void> {
    progress("starting QEMU");
    const [qemu = "", ...args] = buildQemuCommand(record, this.folder, await this.commandLine());
    // Into a file, never a pipe: the machine outlives this process and must not hold anything of it open.
    const output = { file: this.folder.qemuLog };
    const started = await execa(qemu, args, {
      cwd: "/",
      stdin: "ignore",
      stdout: output,
      stderr: output,
      detached: true,
      reject: false,
      timeout: 60_000,
    });
    if (started.code === "ENOENT")
      throw new UserError({
        where: this.name,
        what: "qemu-system-aarch64 is not installed",
        remedy: "install Debian's or Ubuntu's package qemu-system-arm",
      });
    if (started.failed) throw await this.failure("QEMU did not start");
    try {
      await this.waitUntilReady(record, progress);
    } catch (error) {
      await endProcesses(await findMachineProcesses(this.folder.disk));
      throw error;
    }
  }

  /** Until a command can be run over SSH, which proves the host key, the login and the system behind it. */
  private async waitUntilReady(record: MachineRecord, progress: Progress): Promise<void> {
    const started = Date.now();
    const elapsed = () => Math.round((Date.now() - started) / 1000);
    const ticker = setInterval(() => {
      progress(`booting ${elapsed()} s`);
    }, 4_000);
    try {
      while (elapsed() < bootMinutes * 60) {
        if (!(await this.isRunning())) throw await this.failure("the machine stopped while booting");
        if ((await sshGreets(record.sshPort)) && (await this.answers(record))) {
          progress(`ready after ${elapsed()} s`);
          return;
        }
        await sleep(500);
      }
      throw await this.failure(`no answer over SSH within ${bootMinutes} minutes`);
    } finally {
      clearInterval(ticker);
    }
  }

  private async answers(record: MachineRecord): Promise<boolean> {
    const ending = await this.run(record, "true", 60_000);
    if (ending.kind === "lost" && ending.failure.kind === "hostKey")
      throw new UserError({
        where: this.name,
        what: `what answers on 127.0.0.1:${record.sshPort} has another host key than the one this machine was given`,
        remedy: "see who listens on that port (`ss -ltnp`); the machine was not touched",
      });
    return ending.kind === "ended" && ending.code === 0;
  }

  private async failure(what: string): Promise<UserError> {
    const logs = await Promise.all([tail(this.folder.qemuLog), tail(this.folder.serialLog)]);
    return new UserError({
      where: this.name,
      what: `${what}; the end of its log:\n${logs.join("").replace(/^/gm, "    ")}`,
      remedy: `the whole log is ${this.folder.serialLog}; running the same command again starts afresh`,
    });
  }
}

/** True when nobody listens on this loopback port. */
async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, "127.0.0.1"), "listening");
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch {
    // Another file system, or one without hard links.
    await copyFile(from, to, constants.COPYFILE_FICLONE);
  }
}

/** The last lines of a log; an empty text when there is none. */
async function tail(file: string, lines = 12): Promise<string> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.trimEnd().split(/\r?\n/).slice(-lines).join("\n");
}
