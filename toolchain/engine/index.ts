import { existsSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { readJsonIfExists, writeAtomically } from "../bootstrap/files.ts";
import { layout } from "../bootstrap/layout.ts";
import { ENGINE_VERSION } from "../bootstrap/pins.ts";
import type { TaskContext } from "../bootstrap/task.ts";
import { buildFromModules } from "./modules.ts";
import { candidateOnPath, judge } from "./on-path.ts";
import { installFromVendor } from "./vendor.ts";

/** The engine that was settled on, remembered so that the next run starts no process to find out again. */
const choiceSchema = z.object({
  /** Where it came from. */
  source: z.enum(["PATH", "vendor", "modules"]),
  version: z.string(),
  /** Folder with `pulumi` and, unless from PATH, everything that belongs beside it. */
  bin: z.string(),
  /** Why this one, for people. */
  reason: z.string(),
  /** Fingerprint of the `pulumi` on PATH when the choice was made, null when there was none. */
  candidate: z.string().nullable(),
});

export type EngineChoice = z.infer<typeof choiceSchema>;

/** Changes when another `pulumi` comes to PATH or the one there is replaced. */
export function fingerprint(candidate: string | undefined): string | null {
  if (candidate === undefined) return null;
  const path = realpathSync(candidate);
  const { size, mtimeMs } = statSync(path);
  return [path, size, mtimeMs].join(" ");
}

/** The engine chosen earlier, if it is still there and PATH offers nothing new to judge. */
export function chosenEngine(cacheDir: string): EngineChoice | undefined {
  const choice = choiceSchema.safeParse(readJsonIfExists(layout(cacheDir).engineChoice)).data;
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
  const { version, refused } = await judge(candidate);
  if (candidate !== undefined && version !== undefined)
    return { source: "PATH", version, bin: dirname(candidate), reason: `${version} on PATH (${candidate})` };
  const modules = layout(ctx.cacheDir).engine(`v${ENGINE_VERSION}`);
  const folders = { vendor: `${modules}-vendor`, modules };
  const made = (source: "vendor" | "modules", reason: string) => {
    const bin = join(folders[source], "bin");
    return { source, version: ENGINE_VERSION, bin, reason: `${ENGINE_VERSION}, ${reason}` };
  };

  if (existsSync(join(folders.vendor, "bin", "pulumi"))) return made("vendor", "the vendor's download");
  if (existsSync(join(folders.modules, "bin", "pulumi"))) return made("modules", "built from Go modules");
  ctx.progress(`${refused}; trying the vendor's download of ${ENGINE_VERSION}`);
  try {
    await installFromVendor(ctx, folders.vendor);
    return made("vendor", `the vendor's download (${refused})`);
  } catch (error) {
    ctx.signal.throwIfAborted();
    const why = (error instanceof Error ? error.message : String(error)).replace(/^https?:\S+: /, "");
    ctx.progress(`vendor's download: ${why}; building ${ENGINE_VERSION} from Go modules`);
    await buildFromModules(ctx, folders.modules);
    return made("modules", `built from Go modules (${refused}; vendor's download: ${why})`);
  }
}
