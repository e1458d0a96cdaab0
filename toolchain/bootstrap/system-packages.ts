import { existsSync, readFileSync } from "node:fs";
import { UserError } from "../../common/user-error.ts";
import { findOnPath } from "./find-on-path.ts";
import { ask, runTool } from "./process.ts";
import type { TaskContext } from "./task.ts";

export interface SystemPackage {
  /** Debian's and Ubuntu's name. */
  deb: string;
  /** It counts as installed when all of these are on PATH, */
  commands: readonly string[];
  /** and all of these exist. */
  files?: readonly string[];
  /** What it is for, shown when it is missing. */
  for: string;
}

const PYTHON: SystemPackage = {
  deb: "python3",
  commands: ["python3"],
  for: "the model's stages and Ansible",
};

/** What pipress itself needs from the distribution. */
export const RUNTIME_PACKAGES: readonly SystemPackage[] = [
  PYTHON,
  { deb: "gcc", commands: ["gcc"], for: "building llama.cpp for this machine" },
  { deb: "g++", commands: ["g++"], for: "building llama.cpp for this machine" },
  { deb: "cmake", commands: ["cmake"], for: "building llama.cpp" },
  { deb: "ninja-build", commands: ["ninja"], for: "building llama.cpp" },
  { deb: "gcc-aarch64-linux-gnu", commands: ["aarch64-linux-gnu-gcc"], for: "building llama.cpp for the Pi" },
  { deb: "g++-aarch64-linux-gnu", commands: ["aarch64-linux-gnu-g++"], for: "building llama.cpp for the Pi" },
  {
    deb: "binutils-aarch64-linux-gnu",
    commands: ["aarch64-linux-gnu-objdump"],
    for: "checking the Pi's binary",
  },
  { deb: "openssh-client", commands: ["ssh", "ssh-keygen"], for: "reaching hosts" },
  { deb: "qemu-system-arm", commands: ["qemu-system-aarch64"], for: "the virtual Pi" },
  { deb: "qemu-utils", commands: ["qemu-img"], for: "the virtual Pi's disk" },
  { deb: "mmdebstrap", commands: ["mmdebstrap"], for: "the virtual Pi's image" },
  {
    deb: "debian-archive-keyring",
    commands: [],
    files: ["/usr/share/keyrings/debian-archive-keyring.gpg"],
    for: "verifying the virtual Pi's packages",
  },
  { deb: "fakeroot", commands: ["fakeroot"], for: "the virtual Pi's image" },
  { deb: "e2fsprogs", commands: ["mke2fs"], for: "the virtual Pi's image" },
  { deb: "cpio", commands: ["cpio"], for: "the virtual Pi's initramfs" },
  { deb: "kmod", commands: ["depmod"], for: "the virtual Pi's kernel modules" },
  { deb: "xz-utils", commands: ["xz"], for: "the virtual Pi's initramfs" },
];

/** What it takes to run the Pi's llama-server here without a whole virtual Pi. */
export const EMULATOR_PACKAGES: readonly SystemPackage[] = [
  { deb: "qemu-user-static", commands: ["qemu-aarch64-static"], for: "running the Pi's llama-server" },
];

/** What the linters need. */
export const LINT_PACKAGES: readonly SystemPackage[] = [
  PYTHON,
  { deb: "shellcheck", commands: ["shellcheck"], for: "linting shell scripts" },
];

// Debian keeps some administrator's tools out of an ordinary user's PATH.
const searchPath = () => [process.env.PATH, "/usr/local/sbin", "/usr/sbin", "/sbin"].join(":");

/** Those of `packages` that are not installed. Looks at files only; takes a millisecond. */
export function missingPackages(packages: readonly SystemPackage[], path = searchPath()): SystemPackage[] {
  return packages.filter(({ commands }) =>
    commands.some((command) => findOnPath(command, path) === undefined),
  );
}

/** The one error that names everything missing and the line that installs it. */
export function missingPackagesError(missing: readonly SystemPackage[], why: string): UserError {
  const names = missing.map(({ deb }) => deb).join(" ");
  const list = missing.map(
    ({ deb, commands, for: purpose }) => `  ${deb} (${commands.join(", ")}): ${purpose}`,
  );
  return new UserError({
    where: "system packages",
    what: [`${String(missing.length)} missing, and ${why}`, ...list].join("\n"),
    remedy: `on Debian or Ubuntu run:\n  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${names}`,
  });
}

/** Whether this is Debian or descends from it, as Ubuntu and Raspberry Pi OS do. */
export function isDebianLike(osRelease: string): boolean {
  const words = /^ID(?:_LIKE)?=(.*)$/gm;
  return [...osRelease.matchAll(words)].some(([, value]) => /\b(debian|ubuntu)\b/.test(value ?? ""));
}

/** What to put before `apt-get`: nothing as root, sudo when it asks no password, undefined when neither. */
async function asRoot(): Promise<string[] | undefined> {
  if (process.getuid?.() === 0) return [];
  return findOnPath("sudo") !== undefined && (await ask("sudo", ["-n", "true"])) !== undefined
    ? ["sudo", "-n"]
    : undefined;
}

/** Installs what is missing of `packages`. @throws UserError when it may not or cannot. */
export async function installPackages(ctx: TaskContext, packages: readonly SystemPackage[]): Promise<string> {
  const missing = missingPackages(packages);
  if (missing.length === 0) return "all there";
  const osRelease = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  if (!isDebianLike(osRelease) || findOnPath("apt-get") === undefined) {
    throw missingPackagesError(missing, "this is neither Debian nor Ubuntu");
  }
  const prefix = await asRoot();
  if (prefix === undefined) {
    throw missingPackagesError(missing, "installing needs root or sudo without a password");
  }
  const apt = async (...args: string[]) => {
    const line = [
      ...prefix,
      "env",
      "DEBIAN_FRONTEND=noninteractive",
      "apt-get",
      "-o",
      "DPkg::Lock::Timeout=300",
    ];
    const [command = "", ...rest] = [...line, ...args];
    const { message: remedy } = missingPackagesError(missing, "apt-get could not install them");
    await runTool({
      ...ctx,
      where: `system packages / apt-get ${args[0] ?? ""}`,
      command,
      args: rest,
      remedy,
    });
  };
  const names = missing.map(({ deb }) => deb);
  ctx.progress(`apt-get install ${names.join(" ")}`);
  await apt("update", "-q");
  await apt("install", "-y", "-q", "--no-install-recommends", ...names);
  const still = missingPackages(missing);
  if (still.length > 0)
    throw missingPackagesError(still, "they are still missing after apt-get installed them");
  return `installed ${names.join(", ")}`;
}
