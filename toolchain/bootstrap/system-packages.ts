import { existsSync, readFileSync } from "node:fs";
import { UserError } from "../../common/user-error.ts";
import { findOnPath } from "./find-on-path.ts";
import { ask, runTool } from "./process.ts";
import table from "./system-packages.json" with { type: "json" };
import type { Purpose, TaskContext } from "./task.ts";

export interface SystemPackage {
  /** Debian's and Ubuntu's name. */
  deb: string;
  /** It counts as installed when all of these are on PATH, */
  commands?: readonly string[];
  /** and all of these exist. */
  files?: readonly string[];
  /** The one distribution that it is wanted on: Ubuntu's chromium is a snap, which apt cannot bring into a container. */
  distribution?: "debian";
  /** What it is for, shown when it is missing. */
  for: string;
}

/** What each purpose of bootstrap needs from the distribution, besides what every purpose needs. */
const packages = table as Record<"common" | "run" | "emulate" | "lint" | "test", SystemPackage[]>;

/** @param osRelease content of /etc/os-release */
export function packagesFor(purpose: Purpose, osRelease = readOsRelease()): SystemPackage[] {
  const { common, run, emulate, lint, test } = packages;
  const wanted = {
    run: [...common, ...run],
    lint: [...common, ...lint],
    test: [...common, ...run, ...lint, ...test],
    emulate: [...common, ...run, ...emulate],
    compare: [...common, ...run],
  }[purpose];
  const isHere = (distribution?: string): boolean =>
    distribution === undefined || new RegExp(`^ID="?${distribution}"?$`, "m").test(osRelease);
  return wanted.filter(({ distribution }) => isHere(distribution));
}

function readOsRelease(): string {
  return existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
}

// Debian keeps some administrator's tools out of an ordinary user's PATH.
const searchPath = () => [process.env.PATH, "/usr/local/sbin", "/usr/sbin", "/sbin"].join(":");

/** Those of `packages` that are not installed. Looks at files only; takes a millisecond. */
export function missingPackages(packages: readonly SystemPackage[], path = searchPath()): SystemPackage[] {
  return packages.filter(
    ({ commands = [], files = [] }) =>
      commands.some((command) => findOnPath(command, path) === undefined) ||
      files.some((file) => !existsSync(file)),
  );
}

/** The one error that names everything missing and the line that installs it. */
export function missingPackagesError(missing: readonly SystemPackage[], why: string): UserError {
  const names = missing.map(({ deb }) => deb).join(" ");
  const list = missing.map(
    ({ deb, commands = [], files = [], for: purpose }) =>
      `  ${deb} (${[...commands, ...files].join(", ")}): ${purpose}`,
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
  if (!isDebianLike(readOsRelease()) || findOnPath("apt-get") === undefined) {
    throw missingPackagesError(missing, "this is neither Debian nor Ubuntu");
  }
  const prefix = await asRoot();
  if (prefix === undefined) {
    throw missingPackagesError(missing, "installing needs root or sudo without a password");
  }
  const environment = ["env", "DEBIAN_FRONTEND=noninteractive"];
  const apt = async (...args: string[]) => {
    const line = [...prefix, ...environment, "apt-get", "-o", "DPkg::Lock::Timeout=300", ...args];
    const [command = "", ...rest] = line;
    await runTool({
      ...ctx,
      where: `system packages / apt-get ${args[0] ?? ""}`,
      command,
      args: rest,
      remedy: missingPackagesError(missing, "apt-get could not install them").message,
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
