import { existsSync, mkdirSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { UserError } from "../common/user-error.ts";
import { cacheDir, dataDir } from "../common/paths.ts";
import { chosenEngine } from "../toolchain/engine/index.ts";
import { layout } from "../toolchain/bootstrap/layout.ts";
import { installedCommandPlugin } from "../toolchain/bootstrap/plugins.ts";
import { passphraseVariables } from "./passphrase.ts";
import { pythonEnvironment } from "../toolchain/bootstrap/python.ts";

/**
 * The variables under which `pulumi` finds what bootstrap put in place. Backend and passphrase are the embedded ones
 * unless `user`, the caller's own environment, names others.
 * @param stack the one that pulumi is to work on, whose passphrase it needs; undefined for none
 * @throws UserError when bootstrap has not run
 */
export function environment(
  stack: string | undefined,
  user: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const cache = cacheDir();
  const engine = chosenEngine(cache);
  if (engine === undefined) {
    throw new UserError({
      where: "environment",
      what: "there is no engine yet",
      remedy: "run `npm start` once",
    });
  }
  const python = dirname(pythonEnvironment(cache).python);
  const variables: Record<string, string> = {
    PATH: [engine.bin, python, ...withoutFolders(user.PATH, [engine.bin, python])].join(delimiter),
    PULUMI_HOME: layout(cache).pulumiHome,
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_SUPPRESS_NEO_LINK: "true",
    // Where a shell forbids bytecode, each stage would spend 20 s compiling torch's and transformers' sources anew.
    PYTHONDONTWRITEBYTECODE: "",
    // Node 22 and newer keep what they have compiled of the SDK there; an older one does not look at it.
    NODE_COMPILE_CACHE: join(cache, "node"),
  };
  // What is not in place could not be downloaded either: say so at once instead of after its retries.
  if (installedCommandPlugin(cache) === "drop-in")
    variables.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION = "true";
  // How many hosts are at work at a time is for `rollout.concurrency` to say, not for the number of this machine's cores.
  if (user.PULUMI_PARALLEL === undefined) variables.PULUMI_PARALLEL = "256";
  if (user.PULUMI_BACKEND_URL === undefined) variables.PULUMI_BACKEND_URL = fileBackend();
  const backend = variables.PULUMI_BACKEND_URL ?? user.PULUMI_BACKEND_URL ?? "";
  return { ...variables, ...passphraseVariables(stack, backend, user) };
}

/** Address of the embedded backend: a folder, which must exist. */
function fileBackend(): string {
  const folder = join(dataDir(), "state");
  mkdirSync(dirname(folder), { recursive: true });
  if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
  return pathToFileURL(folder).href;
}

function withoutFolders(path: string | undefined, folders: string[]): string[] {
  return (path ?? "").split(delimiter).filter((folder) => folder !== "" && !folders.includes(folder));
}
