import { cpSync, mkdirSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, delimiter, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { parse, stringify } from "yaml";
import { cacheDir, repoRoot } from "../../common/paths.ts";
import { planModel } from "../../infra/prediction/forecast.ts";
import { smolLM2 } from "../../infra/prediction/testing/shapes.ts";
import { loadRecipe } from "../../infra/recipe/recipe.ts";
import { FileStore } from "../../infra/store/file-store.ts";
import { chosenEngine } from "../../toolchain/engine/index.ts";
import { pythonEnvironment } from "../../toolchain/bootstrap/python.ts";
import type { Toolchain } from "../../toolchain/toolchain.ts";

/** Folder of the real engine; undefined where bootstrap has not run. */
export const engine = chosenEngine(cacheDir())?.bin;

/** Somebody's machine: a clone of their own, HOME, and a toolchain of which only Ansible is real. */
export interface Machine {
  clone: string;
  home: string;
}

export function makeMachine(folder: string, name: string): Machine {
  const machine = { clone: join(folder, name, "src", "pipress"), home: join(folder, name, "home") };
  const left = new Set(["node_modules", ".git", ".pipress"]);
  cpSync(repoRoot, machine.clone, {
    verbatimSymlinks: true,
    recursive: true,
    filter: (path) => !left.has(basename(path)),
  });
  symlinkSync(realpathSync(join(repoRoot, "node_modules")), join(machine.clone, "node_modules"));
  settle(machine);
  return machine;
}

/** Puts in place what bootstrap leaves, below the machine's HOME. */
export function settle({ clone, home }: Machine): void {
  const cache = join(home, ".cache", "pipress");
  const plugin = join(home, ".pulumi", "plugins", "resource-command-v1.2.1");
  for (const path of [cache, plugin]) mkdirSync(path, { recursive: true });
  const file = (name: string) => {
    writeFileSync(join(cache, name), "x");
    return { sha256: "a".repeat(64), bytes: 1, path: join(cache, name) };
  };
  const { python } = pythonEnvironment(cacheDir());
  const files = { "llama-server": file("llama-server"), "llama-bench": file("llama-bench") };
  const toolchain: Toolchain = {
    python,
    ansiblePlaybook: join(dirname(python), "ansible-playbook"),
    llamaCpp: {
      ...{ version: "b1", sourceSha256: "b".repeat(64), sourceArchive: file("llama.cpp.tar.gz").path },
      ...{ hostBin: join(cache, "bin"), convertScript: join(cache, "convert_hf_to_gguf.py") },
      release: { digest: "c".repeat(64), dir: cache, files },
    },
    virtualPiImage: { dir: join(cache, "image"), digest: "d".repeat(64) },
  };
  writeFileSync(join(cache, "toolchain.json"), JSON.stringify(toolchain));
  writeFileSync(join(cache, "server-flags.json"), "{}");
  rmSync(join(plugin, "pulumi-resource-command"), { force: true });
  symlinkSync(
    join(clone, "infra", "provider", "command", "pulumi-resource-command"),
    join(plugin, "pulumi-resource-command"),
  );
}

/**
 * Runs `pulumi` there on a stack.
 * @param state folder that all machines share
 * @returns its standard output. @throws where it fails
 */
export async function runPulumi(
  { clone, home }: Machine,
  state: string,
  args: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<string> {
  mkdirSync(state, { recursive: true });
  const { exitCode, stdout, stderr } = await execa("pulumi", [...args, "--non-interactive"], {
    cwd: clone,
    env: {
      HOME: home,
      PULUMI_HOME: join(home, ".pulumi"),
      PATH: [engine, dirname(process.execPath), process.env.PATH].join(delimiter),
      PULUMI_BACKEND_URL: pathToFileURL(state).href,
      PULUMI_CONFIG_PASSPHRASE: "pipress-dev",
      PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
      PULUMI_SKIP_UPDATE_CHECK: "true",
      ...variables,
    },
    extendEnv: false,
    reject: false,
  });
  if (exitCode !== 0)
    throw new Error(`pulumi ${args.join(" ")} ended with ${exitCode}:\n${stdout}\n${stderr}`);
  return stdout;
}

/** The dev recipe without its longest steps: each stage takes its seconds of an `up`. */
export function writeShortRecipe(file: string): void {
  const written = readFileSync(join(repoRoot, "models", "recipes", "smollm2-135m.yaml"), "utf8");
  const { steps, ...rest } = parse(written) as { steps: Record<string, unknown> };
  const { convert, imatrix, quantize, evaluate } = steps;
  writeFileSync(
    file,
    stringify({ ...rest, baselines: false, steps: { convert, imatrix, quantize, evaluate } }),
  );
}

/** A stack's file: a configuration, secrets encrypted as those of the stack `dev`. */
export function stackFile(config: Record<string, unknown>): string {
  const dev = parse(readFileSync(join(repoRoot, "Pulumi.dev.yaml"), "utf8")) as { encryptionsalt: string };
  return stringify({ encryptionsalt: dev.encryptionsalt, config });
}

/** Fills a store with every artifact of a recipe, made up, so that no stage has work to do. */
export async function makeArtifacts({ home }: Machine, recipe: string, folder: string): Promise<void> {
  const toolchain = JSON.parse(
    readFileSync(join(home, ".cache", "pipress", "toolchain.json"), "utf8"),
  ) as Toolchain;
  const store = new FileStore(pathToFileURL(folder).href);
  for (const { key, stage, name, params, inputKeys } of await planModel(
    loadRecipe(recipe),
    store,
    toolchain,
  )) {
    const manifest = {
      ...{ schema: 1, key, stage, name, run: "made-up", params, inputs: inputKeys },
      ...{ metrics: stage === "fetch" ? smolLM2 : {} },
      ...{ files: { "model.gguf": { sha256: "e".repeat(64), bytes: 1 } }, toolVersions: {} },
      ...{ createdAt: "2026-01-01T00:00:00+00:00", seconds: 1, costUsd: 0 },
    };
    mkdirSync(store.locate(key), { recursive: true });
    writeFileSync(join(store.locate(key), "model.gguf"), "x");
    writeFileSync(join(store.locate(key), "manifest.json"), JSON.stringify(manifest));
  }
}
