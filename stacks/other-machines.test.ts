/**
 * A stack that is up, previewed from somewhere else, on the real engine: no stage changes. Every artifact is made up, so
 * nothing is compressed, and no stage has work to do.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, renameSync, rmSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, delimiter, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { cacheDir, repoRoot } from "../common/paths.ts";
import { planRecipe } from "../infra/prediction/forecast.ts";
import { smolLM2 } from "../infra/prediction/testing/shapes.ts";
import { loadRecipe } from "../infra/recipe/recipe.ts";
import { FileStore } from "../infra/store/file-store.ts";
import { chosenEngine } from "../toolchain/engine/index.ts";
import type { Toolchain } from "../toolchain/toolchain.ts";

const engine = chosenEngine(cacheDir())?.bin;
const missing = engine === undefined ? " (skipped: no engine here; `npm run bootstrap` brings it)" : "";
const timeout = 600_000;
const folder = mkdtempSync(join(tmpdir(), "pipress-machines-"));
/** The dev recipe without its longest steps: each stage takes its seconds of an `up`. */
const recipe = join(folder, "recipe.yaml");

/** Somebody's machine: a clone of their own, HOME, and a toolchain of which only the paths are looked at. */
interface Machine {
  clone: string;
  home: string;
}

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function makeMachine(name: string): Machine {
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
function settle({ clone, home }: Machine): void {
  const cache = join(home, ".cache", "pipress");
  const file = (name: string) => ({ sha256: "a".repeat(64), bytes: 1, path: join(cache, name) });
  const toolchain: Toolchain = {
    python: join(cache, "venv", "bin", "python"),
    ansiblePlaybook: join(cache, "venv", "bin", "ansible-playbook"),
    llamaCpp: {
      ...{ version: "b1", sourceSha256: "b".repeat(64), sourceArchive: join(cache, "llama.cpp.tar.gz") },
      ...{ hostBin: join(cache, "bin"), convertScript: join(cache, "convert_hf_to_gguf.py") },
      release: { digest: "c".repeat(64), dir: cache, files: { "llama-server": file("llama-server") } },
    },
    virtualPiImage: { dir: join(cache, "image"), digest: "d".repeat(64) },
  };
  const plugin = join(home, ".pulumi", "plugins", "resource-command-v1.2.1");
  for (const path of [cache, plugin]) mkdirSync(path, { recursive: true });
  writeFileSync(join(cache, "toolchain.json"), JSON.stringify(toolchain));
  writeFileSync(join(cache, "server-flags.json"), "{}");
  rmSync(join(plugin, "pulumi-resource-command"), { force: true });
  symlinkSync(
    join(clone, "infra", "provider", "command", "pulumi-resource-command"),
    join(plugin, "pulumi-resource-command"),
  );
}

/** Runs `pulumi` on a stack whose state all machines share. */
async function pulumi({ clone, home }: Machine, stack: string, ...args: string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await execa(
    "pulumi",
    [...args, "--stack", stack, "--non-interactive"],
    {
      cwd: clone,
      env: {
        HOME: home,
        PULUMI_HOME: join(home, ".pulumi"),
        PATH: [engine, dirname(process.execPath), process.env.PATH].join(delimiter),
        PULUMI_BACKEND_URL: pathToFileURL(join(folder, "state")).href,
        PULUMI_CONFIG_PASSPHRASE: "pipress-dev",
        PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true",
        PULUMI_SKIP_UPDATE_CHECK: "true",
      },
      extendEnv: false,
      reject: false,
    },
  );
  if (exitCode !== 0)
    throw new Error(`pulumi ${args.join(" ")} ended with ${exitCode}:\n${stdout}\n${stderr}`);
  return stdout;
}

/** Makes a stack up, with every artifact in its store. @param store the store's folder @param url as configured */
async function bringUp(machine: Machine, stack: string, store: string, url?: string): Promise<void> {
  const dev = parse(readFileSync(join(repoRoot, "Pulumi.dev.yaml"), "utf8")) as { encryptionsalt: string };
  const config = { "pipress:recipe": recipe, ...(url !== undefined && { "pipress:store": url }) };
  writeFileSync(configOf(stack), stringify({ encryptionsalt: dev.encryptionsalt, config }));
  await makeArtifacts(machine, store);
  mkdirSync(join(folder, "state"), { recursive: true });
  writeFileSync(join(machine.clone, `Pulumi.${stack}.yaml`), readFileSync(configOf(stack)));
  await pulumi(machine, stack, "stack", "init");
  await pulumi(machine, stack, "up", "--yes", "--skip-preview");
}

const configOf = (stack: string): string => join(folder, `Pulumi.${stack}.yaml`);

function writeRecipe(): void {
  const written = readFileSync(join(repoRoot, "models", "recipes", "smollm2-135m.yaml"), "utf8");
  const { steps, ...rest } = parse(written) as { steps: Record<string, unknown> };
  const { convert, imatrix, quantize, evaluate } = steps;
  const short = { ...rest, baselines: false, steps: { convert, imatrix, quantize, evaluate } };
  writeFileSync(recipe, stringify(short));
}

async function makeArtifacts({ home }: Machine, folder: string): Promise<void> {
  const toolchain = JSON.parse(
    readFileSync(join(home, ".cache", "pipress", "toolchain.json"), "utf8"),
  ) as Toolchain;
  const store = new FileStore(pathToFileURL(folder).href);
  for (const { key, stage, name, params, inputKeys } of await planRecipe(
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
    writeFileSync(join(store.locate(key), "manifest.json"), JSON.stringify(manifest));
  }
}

/** What a preview would do, as `update convert`; nothing where all stays as it is. */
async function preview(machine: Machine, stack: string): Promise<string[]> {
  writeFileSync(join(machine.clone, `Pulumi.${stack}.yaml`), readFileSync(configOf(stack)));
  const { steps } = JSON.parse(await pulumi(machine, stack, "preview", "--json")) as {
    steps: { op: string; urn: string }[];
  };
  return steps
    .filter(({ op }) => op !== "same")
    .map(({ op, urn }) => `${op} ${urn.split("::").at(-1) ?? ""}`);
}

/** Gives a package another version in the lock that the environment is made from. */
function bump({ clone }: Machine, name: string): void {
  const lock = join(clone, "models", "requirements.lock");
  const text = readFileSync(lock, "utf8");
  const bumped = text.replace(new RegExp(`^${name}==\\S+`, "m"), `${name}==99.0`);
  expect(bumped).not.toBe(text);
  writeFileSync(lock, bumped);
}

describe.skipIf(engine === undefined)(`a stack that is up${missing}`, () => {
  let own: Machine;
  let colleague: Machine;

  beforeAll(async () => {
    writeRecipe();
    own = makeMachine("own");
    await bringUp(own, "default-store", join(own.home, ".local", "share", "pipress", "store"));
    const shared = join(folder, "shared");
    await bringUp(own, "shared-store", shared, pathToFileURL(shared).href);
    colleague = makeMachine("colleague");
  }, timeout);

  it("holds no folder of the machine that made it", { timeout }, async () => {
    const state = await pulumi(own, "default-store", "stack", "export");
    const { deployment } = JSON.parse(state) as {
      deployment: { resources: { type: string; inputs?: unknown; outputs?: unknown }[] };
    };
    const stages = deployment.resources.filter(({ type }) => type === "command:local:Command");
    expect(stages.length).toBeGreaterThan(5);
    for (const { inputs, outputs } of stages)
      expect(JSON.stringify({ inputs, outputs })).not.toContain(folder);
  });

  it("changes nothing when the clone was moved to another folder, and HOME too", { timeout }, async () => {
    const moved = { clone: join(folder, "elsewhere", "pipress"), home: join(folder, "home of another name") };
    mkdirSync(dirname(moved.clone));
    renameSync(own.clone, moved.clone);
    renameSync(own.home, moved.home);
    own = moved;
    settle(own);
    expect(await preview(own, "default-store")).toEqual([]);
    expect(await preview(own, "shared-store")).toEqual([]);
  });

  it("changes nothing in a colleague's checkout", { timeout }, async () => {
    expect(await preview(colleague, "shared-store")).toEqual([]);
  });

  it(
    "changes nothing when a dependency has another version that no key depends on",
    { timeout },
    async () => {
      bump(own, "ansible-core");
      expect(await preview(own, "default-store")).toEqual([]);
    },
  );

  it(
    "runs the stages again whose key depends on a dependency with another version",
    { timeout },
    async () => {
      bump(own, "numpy");
      expect(await preview(own, "default-store")).toContain("update convert");
    },
  );
});
