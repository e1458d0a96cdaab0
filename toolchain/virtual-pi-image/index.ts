/**
 * The virtual Pi's image: Debian arm64 with real systemd and sshd, built once per digest and cached.
 *
 * The build runs no emulated program, which makes it quick: see `scripts/exchange.sh` for the idea. Needs root, or
 * sudo for one step.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { basename, join, relative } from "node:path";
import { repoRoot } from "../../common/paths.ts";
import { filesBelow, putInPlace, sha256, writeStamp } from "../bootstrap/files.ts";
import { runTool } from "../bootstrap/process.ts";
import type { TaskContext } from "../bootstrap/task.ts";
import image from "./image.json" with { type: "json" };

const here = join(repoRoot, "toolchain", "virtual-pi-image");

/** Files of a finished image, all in one folder; `packages.txt` has name and version of every package. */
const imageFiles = ["base.qcow2", "kernel.img", "initrd.img", "packages.txt"];

/** A release of Debian by its code name. Raspberry Pi OS is made from one; tests ask for the one before. */
export type Suite = "trixie" | "bookworm";
const defaultSuite = image.suite as Suite;

/** SHA-256 over the suite, and the path and content of every build input (scripts, files, package list), in hex. */
export function imageDigest(suite = defaultSuite): string {
  const folders = ["scripts", "guest"].flatMap((folder) => filesBelow(join(here, folder)));
  const inputs = [join(here, "image.json"), ...folders];
  return sha256(
    `${suite}\0`,
    ...inputs.flatMap((file) => [`${relative(here, file)}\0`, readFileSync(file), "\0"]),
  );
}

/** Folder of the image with this digest, whether it exists or not. */
export function imageDir(cacheDir: string, digest = imageDigest()): string {
  return join(cacheDir, "virtual-pi", digest.slice(0, 16));
}

/** True when the image of this checkout is in the cache. An image folder appears by one rename, so it is complete. */
export function isReady(cacheDir: string, suite = defaultSuite): boolean {
  return existsSync(join(imageDir(cacheDir, imageDigest(suite)), "base.qcow2"));
}

/**
 * Builds the image; an interrupted build keeps what it has downloaded.
 *
 * @throws UserError naming the step, the log's last lines and a remedy.
 */
export async function buildImage(ctx: TaskContext, suite = defaultSuite): Promise<void> {
  const dir = imageDir(ctx.cacheDir, imageDigest(suite));
  const work = join(dir, "..", `.work-${basename(dir)}`);
  mkdirSync(work, { recursive: true });
  const step = (name: string, argv: string[], env?: Record<string, string>) =>
    runStep(ctx, work, name, argv, env);

  const download = () => {
    rmSync(join(work, "chroot"), { recursive: true, force: true }); // an interrupted one's: mmdebstrap wants none
    return step("download", downloadCommand(work, suite), downloadEnvironment(work));
  };
  // Side by side: one is bound by the network, the other by the processor.
  await Promise.all([
    once(join(work, "downloaded"), download),
    once(join(work, "configured"), () => step("configure", configureCommand(work, suite))),
  ]);
  await step("assemble", assembleCommand(work));
  const formats = ["-f", "raw", "-O", "qcow2"];
  await step("convert", [
    "qemu-img",
    "convert",
    ...formats,
    join(work, "root.raw"),
    join(work, "base.qcow2"),
  ]);

  const finished = join(work, "finished");
  rmSync(finished, { recursive: true, force: true });
  mkdirSync(finished);
  for (const file of imageFiles) renameSync(join(work, file), join(finished, file));
  putInPlace(finished, dir);
  rmSync(work, { recursive: true, force: true });
}

/** Runs `action` unless an earlier, interrupted build got past it. */
async function once(stamp: string, action: () => Promise<void>): Promise<void> {
  if (existsSync(stamp)) return;
  await action();
  writeStamp(stamp);
}

/**
 * mmdebstrap as an apt with the suite's mirror and keys: it installs nothing (`custom` without packages), and its
 * hook downloads. `chrootless` because nothing is run in there.
 */
export function downloadCommand(work: string, suite = defaultSuite): string[] {
  return [
    ...["fakeroot", "mmdebstrap", "--mode=chrootless", "--variant=custom", "--format=directory"],
    `--architectures=${image.architecture}`,
    `--customize-hook=${join(here, "scripts", "download.sh")}`,
    ...[suite, join(work, "chroot")],
  ];
}

function downloadEnvironment(work: string): Record<string, string> {
  return { OUT: work, PACKAGES: image.packages.join(" "), KERNEL_PACKAGE: image.kernelPackage };
}

/**
 * The same packages on this machine's own architecture, configured in a chroot. The one step that needs root: user
 * namespaces are often forbidden or cannot read the user's home, and fakechroot breaks when the suites' C libraries differ.
 */
export function configureCommand(
  work: string,
  suite = defaultSuite,
  isRoot = process.getuid?.() === 0,
): string[] {
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
    ...[suite, join(work, "native.tar")],
  ];
}

function assembleCommand(work: string): string[] {
  return ["fakeroot", join(here, "scripts", "rootfs.sh"), work, String(image.diskMiB)];
}

/** Runs one build command and says what it is at whenever that changes. */
export async function runStep(
  ctx: TaskContext,
  work: string,
  name: string,
  argv: string[],
  env: Record<string, string> = {},
): Promise<void> {
  const report = (activity: string) => {
    ctx.progress(`${name} · ${activity}`);
  };
  const [command = "", ...args] = argv;
  report("starting");
  await runTool({
    signal: ctx.signal,
    where: `virtual Pi image / ${name}`,
    command,
    args,
    // mke2fs, depmod and useradd live in folders that are not on every user's PATH.
    env: { ...env, PATH: `${process.env.PATH ?? ""}:/usr/local/sbin:/usr/sbin:/sbin`, LC_ALL: "C.UTF-8" },
    // sudo knows who typed the password by the terminal, which another process group has not; it passes signals on.
    ownGroup: command !== "sudo",
    progress: (line) => {
      const activity = describe(line);
      if (activity !== undefined) report(activity);
    },
    logFile: join(work, `${name}.log`),
    remedy: remedyFor,
  });
}

/** What a line of output says about how far a step is; undefined for lines that say nothing. */
export function describe(line: string): string | undefined {
  const counted = /^progress (\d+) (\d+)$/.exec(line);
  if (counted) return `package ${counted[1]} of ${counted[2]}`;
  const fetched = /^Get:\d+ \S+ \S+ \S+ (\S+)/.exec(line);
  if (fetched) return `fetching ${fetched[1]}`;
  const configured = /^Setting up (\S+)/.exec(line);
  if (configured) return `setting up ${configured[1]?.replace(/:.*/, "")}`;
  return /^I: (.*?)\.*$/.exec(line)?.[1] ?? /^((?:unpacking|adding|filling) .*)$/.exec(line)?.[1];
}

function remedyFor(output: readonly string[]): string {
  const recent = output.slice(-15);
  if (recent.some((line) => line.startsWith("sudo:")))
    return "root is needed: run `sudo -v` first, or the same command as root once; the image is cached afterwards";
  return recent.some((line) => /Could not resolve|Failed to fetch|Cannot initiate the connection/.test(line))
    ? "check the network, then run the same command again: what was downloaded is kept"
    : "run the same command again";
}
