import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { execa } from "execa";
import { expect } from "vitest";
import { cacheDir, repoRoot } from "../../common/paths.ts";
import { sudoPasswordVariable } from "../../infra/ansible/sudo-password.ts";
import { VirtualPiMachine } from "../../infra/virtual-pi/machine.ts";
import type { MachineRecord } from "../../infra/virtual-pi/spec.ts";
import { buildImage, imageDigest, isReady, type Suite } from "../../toolchain/virtual-pi-image/index.ts";
import type { Outputs } from "../e2e/scenario.ts";
import type { Outcome } from "../e2e/workspace.ts";
import { ask } from "./fleet.ts";
import { closeWorkspace, openWorkspace } from "./kept-workspace.ts";
import { smallRecipe } from "./small-recipe.ts";
import { openLine, type UnreliableLine } from "./unreliable-line.ts";

const SSH_PORT = 2222;
const HTTP_PORT = 8080;
const user = "anna";
export const password = "kein Geheimnis";

/** What the kernel is started with, and where a Pi has it. */
export const shippedCommandLine = "console=serial0,115200 rootfstype=ext4 fsck.repair=yes rootwait";
export const commandLineFile = "/boot/firmware/cmdline.txt";

/** What the card's first start makes of Debian. */
const firstStart = `
useradd --create-home --shell /bin/bash --groups sudo ${user}
echo "${user}:${password}" | chpasswd
echo "%sudo ALL=(ALL:ALL) ALL" > /etc/sudoers.d/sudo
install -d -o ${user} -g ${user} -m 0700 /home/${user}/.ssh
install -o ${user} -g ${user} -m 0600 /home/pi/.ssh/authorized_keys /home/${user}/.ssh/authorized_keys
echo LANG=de_DE.UTF-8 > /etc/default/locale
mkdir -p /boot/firmware
printf "[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/mount /dev/vdc /boot/firmware\\n" > /etc/systemd/system/boot-partition.service
mkdir -p /etc/systemd/system/multi-user.target.wants
ln -s ../boot-partition.service /etc/systemd/system/multi-user.target.wants/boot-partition.service
systemctl daemon-reload
systemctl start boot-partition.service
`;

/**
 * A virtual Pi as a card for a Raspberry Pi is written since 2026: no user `pi` but one with a password at sudo, a German
 * locale, no memory accounting in the kernel. Its stack knows it as any host with an address. Its own user `pi`, which has
 * sudo without a password, is the test's eye on it. Debian's image carries no translations: what is German is what the
 * locale alone makes so.
 */
export class ShippedPi {
  readonly workspace;
  /** How often the machine was started, as its power supply sees it. */
  starts = 1;
  private readonly machine: VirtualPiMachine;
  private record!: MachineRecord;
  private recipe!: Record<string, unknown>;
  private watching = true;
  private watch: Promise<void> | undefined;
  private readonly lines: UnreliableLine[] = [];

  /** @param suite the Debian that its Raspberry Pi OS is made from */
  constructor(
    private readonly suite: Suite,
    readonly name = "stock",
  ) {
    this.workspace = openWorkspace("as-shipped", suite, name);
    this.machine = new VirtualPiMachine(name, name, join(this.workspace.data, "hosts"));
  }

  /** Boots it for the first time, and makes a stack for it. */
  async begin(): Promise<void> {
    const signal = new AbortController().signal;
    if (!isReady(cacheDir(), this.suite))
      await buildImage({ cacheDir: cacheDir(), progress: () => undefined, signal }, this.suite);
    this.recipe = await smallRecipe(join(this.workspace.dir, "small-model"));
    const size = { memoryMiB: 1536, cpus: 2, diskGiB: 4 };
    const digest = imageDigest(this.suite);
    const spec = { name: this.name, ...size, imageDigest: digest, forwards: { http: HTTP_PORT } };
    this.record = await this.machine.create(spec, () => undefined, `${shippedCommandLine}\n`);
    await this.onHost(firstStart);
    this.watch = this.startAgainAfterReboots();
    await this.workspace.init();
  }

  async end(): Promise<void> {
    await closeWorkspace(this.workspace);
    await Promise.all(this.lines.map((line) => line.close()));
    this.watching = false;
    await this.watch;
    await this.machine.destroy();
  }

  /** QEMU ends at a reboot, so that the next start has the kernel's line as it is then: the boot loader's part. */
  private async startAgainAfterReboots(): Promise<void> {
    while (this.watching) {
      if (!(await this.machine.isRunning())) {
        this.starts += 1;
        await this.machine.start(() => undefined);
      }
      await sleep(1000);
    }
  }

  /** Runs a script as root. */
  async onHost(script: string): Promise<string> {
    const encoded = Buffer.from(script).toString("base64");
    const ending = await this.machine.run(this.record, `echo ${encoded} | base64 -d | sudo sh -e 2>&1`);
    if (ending.kind === "lost") throw ending.failure;
    expect(ending.code, ending.stdout).toBe(0);
    return ending.stdout.trim();
  }

  /** @param sudo the password in the environment */
  configure(config: Record<string, unknown> = {}, sudo?: string): void {
    const { sshPort: port, hostKey } = this.record;
    const privateKeyFile = this.machine.folder.privateKey;
    this.workspace.recipe(this.recipe);
    this.workspace.configure({
      recipe: this.workspace.recipeFile,
      hosts: [{ name: this.name, address: "127.0.0.1", port, user, hostKey, privateKeyFile }],
      ...config,
    });
    this.workspace.env[sudoPasswordVariable] = sudo;
  }

  /** `./pipress doctor`, as a user runs it. */
  async doctor(): Promise<Outcome> {
    const { env, configFile } = this.workspace;
    const args = ["doctor", "--stack", "dev", "--config-file", configFile];
    const { exitCode, all } = await execa(join(repoRoot, "pipress"), args, {
      ...{ env, extendEnv: false, reject: false, all: true },
    });
    return { exitCode, output: all };
  }

  async countsMemory(): Promise<boolean> {
    return (await this.onHost("cat /sys/fs/cgroup/cgroup.controllers")).split(" ").includes("memory");
  }

  async expectAnswer(): Promise<void> {
    const { apiKey } = await this.workspace.outputs<Outputs>();
    expect(await ask(`http://127.0.0.1:${this.record.ports.http}/v1`, apiKey)).toBe("answers");
  }

  /** The key that its user signs in with. */
  get privateKeyFile(): string {
    return this.machine.folder.privateKey;
  }

  /**
   * Lets it be reached at an address of its own, as a board is: sshd at 2222 there, the service at its own port.
   * @param address of this machine's loopback
   * @param privateKeyFile whose public key its user gets besides
   * @returns what `init` is given, and what it has to find
   */
  async connect(address: string, privateKeyFile: string): Promise<{ destination: string; hostKey: string }> {
    const publicKey = readFileSync(`${privateKeyFile}.pub`, "utf8").trim();
    await this.onHost(`echo "${publicKey}" >> /home/${user}/.ssh/authorized_keys`);
    const { sshPort, hostKey, ports } = this.record;
    this.lines.push(await openLine(sshPort, [], { address, port: SSH_PORT }));
    this.lines.push(await openLine(Number(ports.http), [], { address, port: HTTP_PORT }));
    return { destination: `${user}@${address}:${SSH_PORT}`, hostKey };
  }

  /** The way of a newcomer with a stock Pi: what is missing is told as that, and then the host serves. */
  async expectServesFromTheBox(): Promise<void> {
    this.configure();
    const examined = await this.doctor();
    expect(examined.exitCode, examined.output).toBe(1);
    expect(examined.output).toContain("sudo asks the user for a password, and there is none");
    expect(examined.output).not.toContain("Python");

    this.configure({}, password);
    const { exitCode, output } = await this.workspace.up();
    expect(exitCode, output).toBe(0);
    expect(output).not.toContain(password);
    expect(await this.countsMemory()).toBe(false);
    await this.expectAnswer();
    const state = JSON.stringify(await this.workspace.exported());
    expect(state).toContain("the kernel counts no memory per service");
    expect(state).not.toContain(password);
    expect(this.starts).toBe(1);
  }
}
