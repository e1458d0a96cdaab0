/**
 * A stack that is up, previewed from somewhere else, on the real engine: no stage changes. Every artifact is made up, so
 * nothing is compressed, and no stage has work to do.
 */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  engine,
  type Machine,
  makeArtifacts,
  makeMachine,
  runPulumi,
  settle,
  stackFile,
  writeShortRecipe,
} from "./testing/machine.ts";

const missing = engine === undefined ? " (skipped: no engine here; `npm run bootstrap` brings it)" : "";
const timeout = 600_000;
const folder = mkdtempSync(join(tmpdir(), "pipress-machines-"));
const recipe = join(folder, "recipe.yaml");

afterAll(() => {
  rmSync(folder, { recursive: true });
}, 60_000);

/** Runs `pulumi` on a stack whose state all machines share. */
function pulumi(machine: Machine, stack: string, ...args: string[]): Promise<string> {
  return runPulumi(machine, join(folder, "state"), [...args, "--stack", stack]);
}

/** Makes a stack up, with every artifact in its store. @param store the store's folder @param url as configured */
async function bringUp(machine: Machine, stack: string, store: string, url?: string): Promise<void> {
  const config = { "pipress:recipe": recipe, ...(url !== undefined && { "pipress:store": url }) };
  writeFileSync(configOf(stack), stackFile(config));
  await makeArtifacts(machine, recipe, store);
  writeFileSync(join(machine.clone, `Pulumi.${stack}.yaml`), readFileSync(configOf(stack)));
  await pulumi(machine, stack, "stack", "init");
  await pulumi(machine, stack, "up", "--yes", "--skip-preview");
}

const configOf = (stack: string): string => join(folder, `Pulumi.${stack}.yaml`);

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
    writeShortRecipe(recipe);
    own = makeMachine(folder, "own");
    await bringUp(own, "default-store", join(own.home, ".local", "share", "pipress", "store"));
    const shared = join(folder, "shared");
    await bringUp(own, "shared-store", shared, pathToFileURL(shared).href);
    colleague = makeMachine(folder, "colleague");
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
