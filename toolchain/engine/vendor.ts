import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { downloadVerified, fetchText, type DownloadOptions } from "../bootstrap/download.ts";
import { replaceFolder } from "../bootstrap/files.ts";
import { runTool } from "../bootstrap/process.ts";
import type { TaskContext } from "../bootstrap/task.ts";

export interface VendorSite {
  /** Folder of the archives. */
  archives: string;
  /** Folder of the file with the archives' SHA-256 digests: another host, so that one alone cannot lie. */
  checksums: string;
}

/** Where Pulumi's makers publish `version`. Both can be set, for mirrors: `PIPRESS_PULUMI_ARCHIVES`, `PIPRESS_PULUMI_CHECKSUMS`. */
export function vendorSite(version: string): VendorSite {
  const { PIPRESS_PULUMI_ARCHIVES: archives, PIPRESS_PULUMI_CHECKSUMS: checksums } = process.env;
  return {
    archives: archives ?? "https://get.pulumi.com/releases/sdk",
    checksums: checksums ?? `https://github.com/pulumi/pulumi/releases/download/v${version}`,
  };
}

const CONNECT_TIMEOUT_MS = 5000;

/**
 * Brings the vendor's engine of `version` to `target/bin`. Rejects quickly where the vendor cannot be reached, and
 * for an archive whose digest is not the published one.
 */
export async function installFromVendor(
  ctx: TaskContext,
  version: string,
  target: string,
  downloads: string,
  site = vendorSite(version),
): Promise<void> {
  const archive = archiveName(version);
  const options: DownloadOptions = { ...ctx, connectTimeout: CONNECT_TIMEOUT_MS };
  ctx.progress("asking for the vendor's checksums");
  const checksums = await fetchText(`${site.checksums}/pulumi-${version}-checksums.txt`, options);
  const file = join(downloads, archive);
  await downloadVerified(`${site.archives}/${archive}`, file, digestOf(archive, checksums), options);

  const unpacked = `${target}.part`;
  rmSync(unpacked, { recursive: true, force: true });
  mkdirSync(unpacked, { recursive: true });
  await runTool({ ...ctx, where: "engine / unpack", command: "tar", args: ["-xzf", file, "-C", unpacked] });
  // pulumi/pulumi, or pulumi/bin/pulumi as on other systems
  const bin = [join(unpacked, "pulumi", "bin"), join(unpacked, "pulumi")].find((dir) =>
    existsSync(join(dir, "pulumi")),
  );
  if (bin === undefined) throw new Error(`${archive}: no pulumi in it`);
  replaceFolder(bin, join(target, "bin"));
  rmSync(unpacked, { recursive: true, force: true });
  rmSync(file);
}

function archiveName(version: string): string {
  const arch = { x64: "x64", arm64: "arm64" }[process.arch as string];
  if (arch === undefined) throw new Error(`the vendor has no Linux build for ${process.arch}`);
  return `pulumi-v${version}-linux-${arch}.tar.gz`;
}

/** The SHA-256 that a checksums file (`<hex>  <name>` lines) states for `name`. */
export function digestOf(name: string, checksums: string): string {
  for (const line of checksums.split("\n")) {
    const [digest, file] = line.trim().split(/\s+\*?/);
    if (file === name && digest !== undefined && /^[0-9a-f]{64}$/i.test(digest)) return digest.toLowerCase();
  }
  throw new Error(`${name} is not in the vendor's checksums`);
}
