import { join } from "node:path";

/** The files of one machine. Its folder is all there is of it, besides the QEMU process. */
export type MachineFolder = ReturnType<typeof machineFolder>;

export function machineFolder(path: string) {
  const file = (name: string) => join(path, name);
  return {
    path,
    /** Written last when a machine is created: without it the folder is what an interrupted creation left. */
    record: file("machine.json"),
    /** The machine's own disk, an overlay over `base`. */
    disk: file("disk.qcow2"),
    /** Image, kernel and initramfs, hard-linked from the cache: emptying the cache must not break a machine. */
    base: file("base.qcow2"),
    kernel: file("kernel.img"),
    initrd: file("initrd.img"),
    /** Host key, authorized key and names, taken by the machine at its first boot. */
    seed: file("seed.tar"),
    /** Boot partition with cmdline.txt, of a machine that has one. */
    boot: file("boot.img"),
    /** The private key that logs in as `pi`. */
    privateKey: file("id_ed25519"),
    hostKey: file("host_ed25519"),
    /** What the machine's serial console says. */
    serialLog: file("serial.log"),
    /** What QEMU itself says, usually nothing. */
    qemuLog: file("qemu.log"),
  };
}
