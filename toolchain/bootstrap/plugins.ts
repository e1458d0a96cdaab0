import { existsSync, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../common/user-error.ts";
import { repoRoot } from "../../common/paths.ts";
import type { EngineChoice } from "../engine/index.ts";
import { putInPlace } from "./files.ts";
import { layout } from "./layout.ts";
import { COMMAND_PLUGIN_VERSION } from "./pins.ts";
import { runTool } from "./process.ts";
import type { TaskContext } from "./task.ts";

const EXECUTABLE = "pulumi-resource-command";
const DROP_IN = join(repoRoot, "infra", "provider", "command", EXECUTABLE);
const QUIETLY = ["--non-interactive", "--color=never"];
const INSTALL_TIMEOUT_MS = 90_000;

export type CommandPlugin = "official" | "drop-in";

function pluginFolder(cacheDir: string): string {
  return join(layout(cacheDir).pulumiHome, "plugins", `resource-command-v${COMMAND_PLUGIN_VERSION}`);
}

/** Which plugin serves the `command` package, if one is in place and its installation was not cut short. */
export function installedCommandPlugin(cacheDir: string): CommandPlugin | undefined {
  const folder = pluginFolder(cacheDir);
  const executable = join(folder, EXECUTABLE);
  if (!existsSync(executable) || existsSync(`${folder}.partial`)) return undefined;
  if (!lstatSync(executable).isSymbolicLink()) return "official";
  return readlinkSync(executable) === DROP_IN ? "drop-in" : undefined; // another clone's: link anew
}

/**
 * The official plugin where it can be had, else the drop-in of the same schema that this repository carries.
 * An engine that had to be built has already shown that its makers' site cannot be reached.
 */
export async function ensureCommandPlugin(ctx: TaskContext, engine: EngineChoice): Promise<CommandPlugin> {
  const installed = installedCommandPlugin(ctx.cacheDir);
  if (installed !== undefined) return installed;
  if (engine.source !== "modules") {
    try {
      await installOfficial(ctx, engine);
      return "official";
    } catch (error) {
      ctx.signal.throwIfAborted();
      if (!(error instanceof UserError)) throw error;
      ctx.progress("the official command plugin cannot be had here; using the drop-in");
    }
  }
  linkDropIn(pluginFolder(ctx.cacheDir));
  return "drop-in";
}

async function installOfficial(ctx: TaskContext, engine: EngineChoice): Promise<void> {
  ctx.progress(`installing the command plugin ${COMMAND_PLUGIN_VERSION}`);
  const { pulumiHome, logs } = layout(ctx.cacheDir);
  rmSync(pluginFolder(ctx.cacheDir), { recursive: true, force: true }); // maybe another clone's drop-in
  await runTool({
    ...ctx,
    where: "engine / command plugin",
    command: join(engine.bin, "pulumi"),
    args: ["plugin", "install", "resource", "command", COMMAND_PLUGIN_VERSION, ...QUIETLY],
    env: { PULUMI_HOME: pulumiHome, PULUMI_SKIP_UPDATE_CHECK: "true" },
    timeout: INSTALL_TIMEOUT_MS,
    logFile: join(logs, "command-plugin.log"),
  });
}

/** Puts the drop-in where the engine looks for the official plugin. */
function linkDropIn(folder: string): void {
  const part = `${folder}.${String(process.pid)}.tmp`;
  rmSync(part, { recursive: true, force: true });
  mkdirSync(part, { recursive: true });
  symlinkSync(DROP_IN, join(part, EXECUTABLE));
  putInPlace(part, folder);
  for (const suffix of [".partial", ".lock"]) rmSync(`${folder}${suffix}`, { force: true });
}
