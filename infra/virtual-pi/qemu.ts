import { basename } from "node:path";
import type { MachineFolder } from "./folder.ts";
import type { MachineRecord } from "./spec.ts";

const kernelParameters = "console=ttyAMA0 quiet loglevel=4 net.ifnames=0 systemd.show_status=0";
/**
 * These save boot time under emulation: protections against other tenants' code that an emulated processor does not
 * need, and memory that is zeroed twice.
 */
const fasterBoot = "mitigations=off kpti=off nokaslr apparmor=0 selinux=0 audit=0 init_on_alloc=0 nowatchdog";

/**
 * The argument vector that starts a machine in the background. Data only: nothing is run.
 * @param commandLine the content of cmdline.txt, for a machine with a boot partition
 */
export function buildQemuCommand(
  machine: MachineRecord,
  folder: MachineFolder,
  commandLine?: string,
): string[] {
  const fromBootPartition = commandLine === undefined ? [] : [asRaspberryPiKernel(commandLine)];
  return [
    "qemu-system-aarch64",
    ...["-name", `pipress-${basename(folder.path)}`],
    // Cortex-A72 as in a Pi 4: NEON, no dot product. One host thread per core; 512 MiB is the ceiling for
    // translated code, of which a booted machine uses about a third.
    ...["-machine", "virt", "-cpu", "cortex-a72", "-accel", "tcg,thread=multi,tb-size=512"],
    ...["-smp", String(machine.cpus), "-m", String(machine.memoryMiB)],
    // No default devices, no window; the console goes to a file, and QEMU detaches from whoever starts it.
    ...["-nodefaults", "-display", "none", "-monitor", "none", "-daemonize"],
    ...["-serial", `file:${folder.serialLog}`],
    ...[
      "-kernel",
      folder.kernel,
      "-initrd",
      folder.initrd,
      "-append",
      [kernelParameters, fasterBoot, ...fromBootPartition].join(" "),
    ],
    ...["-drive", drive(folder.disk, "format=qcow2,if=virtio,discard=unmap")],
    ...["-drive", drive(folder.seed, "format=raw,if=virtio,readonly=on")],
    // A reboot ends QEMU, which is given the kernel's line when it starts: whoever watches the machine starts it again.
    ...(commandLine === undefined
      ? []
      : ["-drive", drive(folder.boot, "format=raw,if=virtio"), "-no-reboot"]),
    // Outbound through this computer's network; inbound only what is forwarded, and only from loopback.
    ...["-netdev", ["user", "id=net0", "ipv6=off", ...portForwards(machine)].join(",")],
    // No network boot, so no option ROM (which Debian ships in a package of its own).
    ...["-device", "virtio-net-pci,netdev=net0,romfile="],
  ];
}

/** Raspberry Pi's kernel counts no memory per service unless its line asks for it; Debian's does, unless its line forbids it. */
function asRaspberryPiKernel(commandLine: string): string {
  const words = commandLine.trim().split(/\s+/);
  return [...words, ...(words.includes("cgroup_enable=memory") ? [] : ["cgroup_disable=memory"])].join(" ");
}

function drive(file: string, options: string): string {
  return `file=${quote(file)},${options}`;
}

function portForwards({ sshPort, forwards, ports }: MachineRecord): string[] {
  const forward = (hostPort: number, guestPort: number) => `hostfwd=tcp:127.0.0.1:${hostPort}-:${guestPort}`;
  return [
    forward(sshPort, 22),
    ...Object.entries(forwards).map(([name, guestPort]) => forward(ports[name] ?? guestPort, guestPort)),
  ];
}

/** QEMU's option syntax: a comma in a value is written twice. */
function quote(value: string): string {
  return value.replaceAll(",", ",,");
}

/** True when a process' command line (as in `/proc/<pid>/cmdline`) is a QEMU that runs from this disk. */
export function runsFromDisk(cmdline: string, disk: string): boolean {
  const [program = "", ...args] = cmdline.split("\0");
  return (
    program.endsWith("qemu-system-aarch64") && args.some((arg) => arg.startsWith(`file=${quote(disk)},`))
  );
}
