import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { downloadVerified, fetchText } from "../bootstrap/download.ts";
import { putInPlace } from "../bootstrap/files.ts";
import { layout } from "../bootstrap/layout.ts";
import { ENGINE_VERSION } from "../bootstrap/pins.ts";
import { runTool } from "../bootstrap/process.ts";
import type { TaskContext } from "../bootstrap/task.ts";

export interface VendorSite {
  /** Folder of the archives. */
  archives: string;
  /** Folder of the file with the archives' SHA-256 digests: another host, so that one alone cannot lie. */
  checksums: string;
}

/** Where Pulumi's makers publish the engine. Both can be set, for mirrors: `PIPRESS_PULUMI_ARCHIVES`, `PIPRESS_PULUMI_CHECKSUMS`. */
function vendorSite(): VendorSite {
  const { PIPRESS_PULUMI_ARCHIVES: archives, PIPRESS_PULUMI_CHECKSUMS: checksums } = process.env;
  return {
    archives: archives ?? "https://get.pulumi.com/releases/sdk",
    checksums: checksums ?? `https://github.com/pulumi/pulumi/releases/download/v${ENGINE_VERSION}`,
  };
}

/**
 * Brings the vendor's engine to `target/bin`. Rejects quickly where the vendor cannot be reached, and for an archive whose
 * digest is not the published one.
 */
export async function installFromVendor(
  ctx: TaskContext,
  target: string,
  site = vendorSite(),
): Promise<void> {
  const archive = archiveName();
  ctx.progress("asking for the vendor's checksums");
  const checksums = await fetchText(`${site.checksums}/pulumi-${ENGINE_VERSION}-checksums.txt`, ctx);
  const file = join(layout(ctx.cacheDir).downloads, archive);
  await downloadVerified(`${site.archives}/${archive}`, file, digestOf(archive, checksums), ctx);

  const unpacked = `${target}.part`;
  rmSync(unpacked, { recursive: true, force: true });
  mkdirSync(unpacked, { recursive: true });
  await runTool({ ...ctx, where: "engine / unpack", command: "tar", args: ["-xzf", file, "-C", unpacked] });
  // pulumi/pulumi, or pulumi/bin/pulumi as on other systems
  const bin = [join(unpacked, "pulumi", "bin"), join(unpacked, "pulumi")].find((dir) =>
    existsSync(join(dir, "pulumi")),
  );
  if (bin === undefined) throw new Error(`${archive}: no pulumi in it`);
  putInPlace(bin, join(target, "bin"));
  rmSync(unpacked, { recursive: true, force: true });
  rmSync(file);
}

function archiveName(): string {
  const { arch } = process;
  if (arch !== "x64" && arch !== "arm64") throw new Error(`the vendor has no Linux build for ${arch}`);
  return `pulumi-v${ENGINE_VERSION}-linux-${arch}.tar.gz`;
}

/** The SHA-256 that a checksums file (`<hex>  <name>` lines) states for `name`. */
export function digestOf(name: string, checksums: string): string {
  for (const line of checksums.split("\n")) {
    const [digest, file] = line.trim().split(/\s+\*?/);
    if (file === name && digest !== undefined && /^[0-9a-f]{64}$/i.test(digest)) return digest.toLowerCase();
  }
  throw new Error(`${name} is not in the vendor's checksums`);
}
