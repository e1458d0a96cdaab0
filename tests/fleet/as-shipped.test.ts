import { setTimeout as sleep } from "node:timers/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { VirtualPiMachine } from "../../infra/virtual-pi/machine.ts";
import type { MachineRecord } from "../../infra/virtual-pi/spec.ts";
import { imageDigest } from "../../toolchain/virtual-pi-image/index.ts";
import { sudoPasswordVariable } from "../../infra/ansible/sudo-password.ts";
import type { Outputs } from "../e2e/scenario.ts";
import { ask } from "./fleet.ts";
import { closeWorkspace, openWorkspace } from "./kept-workspace.ts";
import { smallRecipe } from "./small-recipe.ts";

// A virtual Pi as a card for a Raspberry Pi is written since 2026: no user `pi` but one with a password at sudo, a German
// locale, no memory accounting in the kernel. The stack knows it as any host with an address. Its own user `pi`, which has sudo
// without a password, is the test's eye on it. Debian's image carries no translations: what is German is what the
// locale alone makes so.
const name = "stock";
const user = "anna";
const password = "kein Geheimnis";
const shipped = "console=serial0,115200 rootfstype=ext4 fsck.repair=yes rootwait";

const commandLine = "/boot/firmware/cmdline.txt";
/** What pipress has tried. */
const note = "/var/lib/pipress/memory-cgroup.json";

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

const workspace = openWorkspace("as-shipped");
const machine = new VirtualPiMachine(name, join(workspace.data, "hosts"));
let record: MachineRecord;
let recipe: Record<string, unknown>;
/** How often the machine was started, as its power supply sees it. */
let starts = 1;
let watching = true;
let watch: Promise<void>;

beforeAll(async () => {
  recipe = await smallRecipe(join(workspace.dir, "small-model"));
  const size = { memoryMiB: 1536, cpus: 2, diskGiB: 4 };
  const spec = { name, ...size, imageDigest: imageDigest(), forwards: { http: 8080 } };
  record = await machine.create(spec, () => undefined, `${shipped}\n`);
  await onHost(firstStart);
  watch = startAgainAfterReboots();
  await workspace.init();
});

afterAll(async () => {
  await closeWorkspace(workspace);
  watching = false;
  await watch;
  await machine.destroy();
});

/** QEMU ends at a reboot, so that the next start has the kernel's line as it is then: the boot loader's part. */
async function startAgainAfterReboots(): Promise<void> {
  while (watching) {
    if (!(await machine.isRunning())) {
      starts += 1;
      await machine.start(() => undefined);
    }
    await sleep(1000);
  }
}

/** Runs a script as root. */
async function onHost(script: string): Promise<string> {
  const encoded = Buffer.from(script).toString("base64");
  const ending = await machine.run(record, `echo ${encoded} | base64 -d | sudo sh -e 2>&1`);
  if (ending.kind === "lost") throw ending.failure;
  expect(ending.code, ending.stdout).toBe(0);
  return ending.stdout.trim();
}

/** @param sudo the password in the environment */
function configure(config: Record<string, unknown> = {}, sudo?: string): void {
  const { sshPort: port, hostKey } = record;
  const privateKeyFile = machine.folder.privateKey;
  workspace.recipe(recipe);
  workspace.configure({
    recipe: workspace.recipeFile,
    hosts: [{ name, address: "127.0.0.1", port, user, hostKey, privateKeyFile }],
    ...config,
  });
  workspace.env[sudoPasswordVariable] = sudo;
}

async function countsMemory(): Promise<boolean> {
  return (await onHost("cat /sys/fs/cgroup/cgroup.controllers")).split(" ").includes("memory");
}

async function answers(): Promise<void> {
  const { apiKey } = await workspace.outputs<Outputs>();
  expect(await ask(`http://127.0.0.1:${record.ports.http}/v1`, apiKey)).toBe("answers");
}

describe("a Pi as shipped", () => {
  it("asks for a password at sudo, which is told as that", async () => {
    configure();
    const { exitCode, output } = await workspace.up();
    expect(exitCode).not.toBe(0);
    expect(output).toContain("sudo asks the user for a password, and there is none");
    expect(output).not.toContain("Python");
  });

  it("does not take a wrong one, which is told as that", async () => {
    configure({}, "nicht das Passwort");
    const { exitCode, output } = await workspace.up();
    expect(exitCode).not.toBe(0);
    expect(output).toContain("sudo does not take the password that it was given");
    expect(output).not.toContain("nicht das Passwort");
  });

  it("serves without memory accounting, with a warning", async () => {
    configure({}, password);
    const { exitCode, output } = await workspace.up();
    expect(exitCode, output).toBe(0);
    expect(output).not.toContain(password);
    expect(await countsMemory()).toBe(false);
    await answers();
    const state = JSON.stringify(await workspace.exported());
    expect(state).toContain("the kernel counts no memory per service");
    expect(state).not.toContain(password);
    expect(starts).toBe(1);
  });

  it("gets its file back where the kernel did not take the word, without another reboot", async () => {
    // What a preparation leaves whose reboot came up without memory accounting.
    await onHost(`
      cp ${commandLine} ${commandLine}.before-pipress
      sed -i "s/$/ cgroup_enable=memory/" ${commandLine}
      echo "{\\"boot\\": \\"an earlier one\\", \\"file\\": \\"${commandLine}\\"}" > ${note}`);
    configure({ prepareHosts: true }, password);
    const { exitCode, output } = await workspace.up();
    expect(exitCode, output).toBe(0);
    expect(JSON.stringify(await workspace.exported())).toContain(
      "came up without memory accounting all the same",
    );
    expect(await onHost(`cat ${commandLine}`)).toBe(shipped);
    expect(starts).toBe(1);
    await onHost(`rm ${note}`);
  });

  it("is prepared by one reboot, which a refresh announces", async () => {
    const refresh = await workspace.pulumi("refresh", "--yes", "--skip-preview");
    expect(refresh.exitCode, refresh.output).toBe(0);
    expect(JSON.stringify(await workspace.exported())).toContain(
      `cgroup_enable=memory in ${commandLine}, then a reboot`,
    );
    expect(starts).toBe(1);

    const { exitCode, output } = await workspace.up();
    expect(exitCode, output).toBe(0);
    expect(starts).toBe(2);
    expect(await countsMemory()).toBe(true);
    expect(await onHost(`cat ${commandLine}`)).toBe(`${shipped} cgroup_enable=memory`);
    expect(await onHost(`cat ${commandLine}.before-pipress`)).toBe(shipped);
    await answers();
  });

  it("is not rebooted again, and nothing is left to do", async () => {
    const { exitCode, output } = await workspace.up("--refresh");
    expect(exitCode, output).toBe(0);
    expect(await workspace.preview()).toEqual([]);
    expect(starts).toBe(2);
  });
});
