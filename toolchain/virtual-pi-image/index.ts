/**
 * The virtual Pi's image: Debian arm64 with real systemd and sshd, built once per digest and cached.
 *
 * The build runs no emulated program, which makes it quick: see `scripts/exchange.sh` for the idea. Needs root, or
 * sudo for one step.
 */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import image from "./image.json" with { type: "json" };
import { withBuildLock } from "./build-lock.ts";
import { runStep } from "./run-step.ts";

const here = dirname(fileURLToPath(import.meta.url));

/** Files of a finished image, all in one folder. */
export const imageFiles = ["base.qcow2", "kernel.img", "initrd.img", "packages.txt"] as const;

export interface VirtualPiImage {
  /** Folder with `base.qcow2`, `kernel.img`, `initrd.img` and `packages.txt` (name and version of every package). */
  dir: string;
  /** Digest of everything the image is made from: scripts, files, suite and package list. */
  digest: string;
}

export interface BuildOptions {
  /** The cache; the image goes to `virtual-pi/<digest>/` below it. */
  cacheDir: string;
  /** Called with a short line at every change. */
  progress?: (message: string) => void;
  signal?: AbortSignal;
}

/** SHA-256 over the path and content of every build input, in hex. */
export function imageDigest(): string {
  const hash = createHash("sha256");
  const inputs = ["image.json", ...filesBelow(join(here, "scripts")), ...filesBelow(join(here, "guest"))];
  for (const path of inputs)
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(here, path)))
      .update("\0");
  return hash.digest("hex");
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(here, join(entry.parentPath, entry.name)))
    .sort();
}

/** Folder of the image with this digest, whether it exists or not. */
export function imageDir(cacheDir: string, digest = imageDigest()): string {
  return join(cacheDir, "virtual-pi", digest.slice(0, 16));
}

/** True when the image of this checkout is in the cache. An image folder appears by one rename, so it is complete. */
export function isReady(cacheDir: string): boolean {
  return existsSync(join(imageDir(cacheDir), "base.qcow2"));
}

/**
 * Builds the image unless the cache has it. Safe to call from several processes; an interrupted build keeps what
 * it has downloaded.
 *
 * @throws UserError naming the step, the log's last lines and a remedy.
 */
export async function ensureVirtualPiImage(options: BuildOptions): Promise<VirtualPiImage> {
  const { cacheDir, signal, progress = () => undefined } = options;
  const digest = imageDigest();
  const dir = imageDir(cacheDir, digest);
  const work = join(cacheDir, "virtual-pi", `.work-${basename(dir)}`);
  await mkdir(work, { recursive: true });
  await withBuildLock(join(work, "lock"), { progress, signal }, async () => {
    if (!isReady(cacheDir)) await build({ work, dir, progress, signal });
  });
  await rm(work, { recursive: true, force: true });
  return { dir, digest };
}

interface BuildPaths {
  work: string;
  dir: string;
  progress: (message: string) => void;
  signal?: AbortSignal;
}

async function build({ work, dir, progress, signal }: BuildPaths): Promise<void> {
  const step = (name: string, argv: string[], env: NodeJS.ProcessEnv = {}) =>
    runStep({ name, argv, env, log: join(work, `${name}.log`), progress, signal });

  // Side by side: one is bound by the network, the other by the processor.
  await Promise.all([
    once(join(work, "downloaded"), () => step("download", downloadCommand(work), downloadEnvironment(work))),
    once(join(work, "configured"), () => step("configure", configureCommand(work))),
  ]);
  await step("assemble", assembleCommand(work));
  await step("convert", [
    "qemu-img",
    "convert",
    "-f",
    "raw",
    "-O",
    "qcow2",
    join(work, "root.raw"),
    join(work, "base.qcow2"),
  ]);

  const finished = join(work, "finished");
  await rm(finished, { recursive: true, force: true });
  await mkdir(finished);
  for (const file of imageFiles) await rename(join(work, file), join(finished, file));
  await rename(finished, dir);
}

/** Runs `action` unless an earlier, interrupted build got past it. */
async function once(stamp: string, action: () => Promise<void>): Promise<void> {
  if (existsSync(stamp)) return;
  await action();
  await writeFile(stamp, "");
}

/**
 * mmdebstrap as an apt with the suite's mirror and keys: it installs nothing (`custom` without packages), and its
 * hook downloads. `chrootless` because nothing is run in there.
 */
export function downloadCommand(work: string): string[] {
  return [
    ...["fakeroot", "mmdebstrap", "--mode=chrootless", "--variant=custom", "--format=directory"],
    `--architectures=${image.architecture}`,
    `--customize-hook=${join(here, "scripts", "download.sh")}`,
    ...[image.suite, join(work, "chroot")],
  ];
}

function downloadEnvironment(work: string): NodeJS.ProcessEnv {
  return { OUT: work, PACKAGES: image.packages.join(" "), KERNEL_PACKAGE: image.kernelPackage };
}

/**
 * The same packages on this machine's own architecture, configured in a chroot. The one step that needs root: user
 * namespaces are often forbidden or cannot read the user's home, and fakechroot breaks when the suites' C libraries differ.
 */
export function configureCommand(work: string, isRoot = process.getuid?.() === 0): string[] {
  const excluded = ["man", "info", "locale", "doc"].map(
    (name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`,
  );
  return [
    ...(isRoot ? [] : ["sudo", "--non-interactive"]),
    ...["mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar"],
    `--include=${image.packages.join(",")}`,
    ...["--aptopt=APT::Install-Recommends false", "--aptopt=APT::Sandbox::User root"],
    ...["--dpkgopt=force-unsafe-io", ...excluded, "--dpkgopt=path-include=/usr/share/doc/*/copyright"],
    `--customize-hook=${join(here, "guest", "customize.sh")}`,
    ...[image.suite, join(work, "native.tar")],
  ];
}

function assembleCommand(work: string): string[] {
  return ["fakeroot", join(here, "scripts", "rootfs.sh"), work, String(image.diskMiB)];
}
