import { describe, expect, test } from "vitest";
import { machineFolder } from "./folder.ts";
import { buildQemuCommand, runsFromDisk } from "./qemu.ts";
import type { MachineRecord } from "./spec.ts";

const record: MachineRecord = {
  ...{ name: "pi-0", memoryMiB: 2048, cpus: 4, diskGiB: 8, imageDigest: "a".repeat(64) },
  ...{ forwards: { http: 8080 }, sshPort: 40022, ports: { http: 40080 }, hostKey: "ssh-ed25519 AAAA" },
};
const folder = machineFolder("/data/hosts/pi-0");
const command = buildQemuCommand(record, folder);

/** The values of an option that may be given several times. */
const valuesOf = (option: string, argv = command) =>
  argv.flatMap((arg, i) => (argv[i - 1] === option ? [arg] : []));

describe("the QEMU command line", () => {
  test("emulates a Pi 4's processor with the cores and memory asked for", () => {
    expect(valuesOf("-cpu")).toEqual(["cortex-a72"]);
    expect(valuesOf("-smp")).toEqual(["4"]);
    expect(valuesOf("-m")).toEqual(["2048"]);
  });

  test("listens on loopback only, one port for SSH and one for each forward", () => {
    const forwards = valuesOf("-netdev")
      .join()
      .match(/hostfwd=[^,]+/g);
    expect(forwards).toEqual(["hostfwd=tcp:127.0.0.1:40022-:22", "hostfwd=tcp:127.0.0.1:40080-:8080"]);
  });

  test("is named by its folder, which tells two stacks' machines of one name apart", () => {
    expect(valuesOf("-name")).toEqual(["pipress-pi-0"]);
    const other = machineFolder("/data/hosts/pi-0-3f9a01c2");
    expect(valuesOf("-name", buildQemuCommand(record, other))).toEqual(["pipress-pi-0-3f9a01c2"]);
  });

  test("detaches, shows no window and keeps the console in a file", () => {
    expect(command).toContain("-daemonize");
    expect(valuesOf("-display")).toEqual(["none"]);
    expect(valuesOf("-serial")).toEqual(["file:/data/hosts/pi-0/serial.log"]);
  });

  test("has the machine's own disk first and its seed, read-only, second", () => {
    const [disk, seed] = valuesOf("-drive");
    expect(disk).toMatch(/^file=\/data\/hosts\/pi-0\/disk\.qcow2,format=qcow2/);
    expect(seed).toMatch(/^file=\/data\/hosts\/pi-0\/seed\.tar,format=raw.*readonly=on/);
  });

  test("needs no option ROM, which Debian ships in another package", () => {
    expect(valuesOf("-device")).toContain("virtio-net-pci,netdev=net0,romfile=");
  });
});

describe("a machine with a boot partition", () => {
  const append = (commandLine: string) =>
    valuesOf("-append", buildQemuCommand(record, folder, commandLine)).join();

  test("has cmdline.txt on its kernel's line, and memory accounting as Raspberry Pi's kernel: off unless asked for", () => {
    expect(append("rootwait\n")).toMatch(/ rootwait cgroup_disable=memory$/);
    expect(append("rootwait cgroup_enable=memory\n")).toMatch(/ rootwait cgroup_enable=memory$/);
    expect(valuesOf("-append").join()).not.toContain("cgroup");
  });

  test("ends at a reboot, to be started with what its line is then", () => {
    const withPartition = buildQemuCommand(record, folder, "rootwait");
    expect(withPartition).toContain("-no-reboot");
    expect(valuesOf("-drive", withPartition)[2]).toMatch(/^file=\/data\/hosts\/pi-0\/boot\.img,format=raw/);
    expect(command).not.toContain("-no-reboot");
  });
});

describe("recognising a machine's process", () => {
  const cmdline = `/usr/bin/${command.join("\0")}\0`;

  test("a QEMU that runs from the disk is the machine", () => {
    expect(runsFromDisk(cmdline, folder.disk)).toBe(true);
  });

  test("a machine whose name starts the same is another machine", () => {
    expect(runsFromDisk(cmdline, "/data/hosts/pi/disk.qcow2")).toBe(false);
    expect(runsFromDisk(cmdline, "/hosts/pi-0/disk.qcow2")).toBe(false);
  });

  test("an editor that has the disk's path on its command line is not the machine", () => {
    expect(runsFromDisk(`vi\0${folder.disk}\0`, folder.disk)).toBe(false);
    expect(runsFromDisk(`grep\0file=${folder.disk},x\0`, folder.disk)).toBe(false);
  });

  test("a path with a comma is recognised too", () => {
    const odd = machineFolder("/data,old/hosts/pi-0");
    expect(runsFromDisk(buildQemuCommand(record, odd).join("\0"), odd.disk)).toBe(true);
  });
});
