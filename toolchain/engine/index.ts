import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeAtomically } from "../bootstrap/files.ts";
import { layout } from "../bootstrap/layout.ts";
import { ENGINE_VERSION } from "../bootstrap/pins.ts";
import type { TaskContext } from "../bootstrap/task.ts";
import { fingerprint, readChoice, type EngineChoice } from "./choice.ts";
import { buildFromModules } from "./modules.ts";
import { candidateOnPath, judge } from "./on-path.ts";
import { installFromVendor, vendorSite } from "./vendor.ts";

/** The engine chosen earlier, if it is still there and PATH offers nothing new to judge. */
export function chosenEngine(cacheDir: string): EngineChoice | undefined {
  const choice = readChoice(layout(cacheDir).engineChoice);
  if (choice === undefined || !existsSync(join(choice.bin, "pulumi"))) return undefined;
  if (choice.candidate !== fingerprint(candidateOnPath(cacheDir))) return undefined;
  return choice.source !== "PATH" && choice.version !== ENGINE_VERSION ? undefined : choice;
}

/** A suitable `pulumi` on PATH, else the vendor's download, else a build from Go modules. */
export async function ensureEngine(ctx: TaskContext): Promise<EngineChoice> {
  const chosen = chosenEngine(ctx.cacheDir);
  if (chosen !== undefined) return chosen;
  const candidate = candidateOnPath(ctx.cacheDir);
  const choice = { ...(await choose(ctx, candidate)), candidate: fingerprint(candidate) };
  writeAtomically(layout(ctx.cacheDir).engineChoice, JSON.stringify(choice, null, 2));
  return choice;
}

async function choose(
  ctx: TaskContext,
  candidate: string | undefined,
): Promise<Omit<EngineChoice, "candidate">> {
  const verdict = candidate === undefined ? { refused: "no pulumi on PATH" } : await judge(candidate);
  if (candidate !== undefined && "version" in verdict) {
    const reason = `${verdict.version} on PATH (${candidate})`;
    return { source: "PATH", version: verdict.version, bin: dirname(candidate), reason };
  }
  const refused = "refused" in verdict ? verdict.refused : "";
  const { downloads, engine } = layout(ctx.cacheDir);
  const folderOf = (source: string) =>
    `${engine(`v${ENGINE_VERSION}`)}${source === "vendor" ? "-vendor" : ""}`;
  const made = (source: "vendor" | "modules", reason: string) => {
    const bin = join(folderOf(source), "bin");
    return { source, version: ENGINE_VERSION, bin, reason: `${ENGINE_VERSION}, ${reason}` };
  };

  if (existsSync(join(folderOf("vendor"), "bin", "pulumi"))) return made("vendor", "the vendor's download");
  if (existsSync(join(folderOf("modules"), "bin", "pulumi"))) return made("modules", "built from Go modules");
  ctx.progress(`${refused}; trying the vendor's download of ${ENGINE_VERSION}`);
  try {
    await installFromVendor(ctx, ENGINE_VERSION, folderOf("vendor"), downloads, vendorSite(ENGINE_VERSION));
    return made("vendor", `the vendor's download (${refused})`);
  } catch (error) {
    ctx.signal.throwIfAborted();
    const why = (error instanceof Error ? error.message : String(error)).replace(/^https?:\S+: /, "");
    ctx.progress(`vendor's download: ${why}; building ${ENGINE_VERSION} from Go modules`);
    await buildFromModules(ctx, ENGINE_VERSION, folderOf("modules"));
    return made("modules", `built from Go modules (${refused}; vendor's download: ${why})`);
  }
}
