import { chmod, mkdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { imageDir } from "../../../toolchain/virtual-pi-image/index.ts";

/** Listens where QEMU would for the machine, and greets as its sshd would; says `ready` when it does. */
const listener = `
import { once } from "node:events";
import { createServer } from "node:net";
const ports = process.argv.join(" ").match(/(?<=127\\.0\\.0\\.1:)\\d+/g);
const listening = ports.map((port) => once(createServer((client) => client.end("SSH-2.0-stand-in\\r\\n")).listen(Number(port), "127.0.0.1"), "listening"));
await Promise.all(listening);
console.log("ready");
`;

/** As `-daemonize`: returns once the machine listens. Its command line is QEMU's, by which a machine is found. */
const qemu = (folder: string) => `#!/bin/bash
coproc machine { exec -a qemu-system-aarch64 ${process.execPath} ${join(folder, "listener.mjs")} "$@" 2>/dev/null; }
read -r _ <&"\${machine[0]}"
`;

/**
 * Puts a stand-in for QEMU into a folder, and an empty image into a cache there: processes and ports are real, but no system
 * boots.
 * @returns variables under which both are found
 */
export async function qemuStandIn(folder: string, imageDigest: string): Promise<Record<string, string>> {
  const cache = join(folder, "cache");
  const image = imageDir(cache, imageDigest);
  await mkdir(image, { recursive: true });
  for (const file of ["base.qcow2", "kernel.img", "initrd.img"]) await writeFile(join(image, file), "");
  const bin = join(folder, "bin");
  await mkdir(bin);
  await writeFile(join(folder, "listener.mjs"), listener);
  const programs = { "qemu-system-aarch64": qemu(folder), "qemu-img": '#!/bin/sh\ntouch "$9"\n' };
  for (const [name, script] of Object.entries(programs)) {
    await writeFile(join(bin, name), script);
    await chmod(join(bin, name), 0o755);
  }
  return {
    PATH: [bin, process.env.PATH].join(delimiter),
    PIPRESS_CACHE: cache,
    PIPRESS_DATA: join(folder, "data"),
  };
}
