// `./pipress doctor` and what `up` makes of the same hosts, as a user runs them: the real engine, real sshds on loopback,
// real Ansible, and a state, a store and jobs of its own. Nothing is compressed: the recipe's model is not there.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { cacheDir, repoRoot } from "../common/paths.ts";
import type { Finding } from "../infra/fleet/preflight/finding.ts";
import { startHosts, type TestHosts } from "../infra/fleet/preflight/testing/hosts.ts";
import type { Machine } from "../infra/ssh/machine.ts";
import { sshdMissing } from "../infra/ssh/testing/sshd.ts";
import { chosenEngine } from "../toolchain/engine/index.ts";
import { toolchainIsCurrent } from "../toolchain/toolchain.ts";

const isBootstrapped = chosenEngine(cacheDir()) !== undefined && toolchainIsCurrent();
const missing =
  sshdMissing ?? (isBootstrapped ? undefined : "no toolchain here; `npm run bootstrap` makes it");
type Yaml = Record<string, unknown>;

describe.skipIf(missing)(`doctor${missing ? ` (skipped: ${missing})` : ""}`, { timeout: 300_000 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "pipress-doctor-"));
  const data = join(folder, "data");
  const configFile = join(folder, "Pulumi.dev.yaml");
  const recipeFile = join(folder, "recipe.yaml");
  const env = {
    PIPRESS_DATA: data,
    PULUMI_BACKEND_URL: pathToFileURL(join(data, "state")).href,
    PULUMI_CONFIG_PASSPHRASE: "pipress-dev",
  };
  let hosts: TestHosts;

  beforeAll(async () => {
    mkdirSync(join(data, "state"), { recursive: true });
    hosts = await startHosts();
    writeRecipe();
  }, 120_000);
  afterAll(async () => {
    await hosts.remove();
    rmSync(folder, { recursive: true });
  });

  /** The dev recipe without pruning, of a model that is not there: nothing is predicted, so that every stage counts as long. */
  function writeRecipe(): void {
    const recipe = parse(readFileSync(join(repoRoot, "models/recipes/smollm2-135m.yaml"), "utf8")) as Yaml;
    const { convert, imatrix, quantize, evaluate } = recipe.steps as Yaml;
    const source = { local: { path: join(folder, "no-model"), sha256: "a".repeat(64) } };
    const steps = { convert, imatrix, quantize, evaluate };
    writeFileSync(recipeFile, stringify({ ...recipe, base: { source }, baselines: false, steps }));
  }

  function configure(machines: readonly Machine[], changes: Yaml = {}): void {
    const { encryptionsalt } = parse(readFileSync(join(repoRoot, "Pulumi.dev.yaml"), "utf8")) as Yaml;
    const values = { recipe: recipeFile, hosts: machines, ...changes };
    const config = Object.fromEntries(
      Object.entries(values).map(([key, value]) => [`pipress:${key}`, value]),
    );
    writeFileSync(configFile, stringify({ encryptionsalt, config }));
  }

  const pipress = (...args: string[]) =>
    execa(join(repoRoot, "pipress"), args, { env, reject: false, all: true, cwd: folder });
  const onStack = (verb: string, ...args: string[]) =>
    pipress(verb, "--stack", "dev", "--config-file", configFile, ...args);

  /** Names of the resources that a preview would touch, each with what would become of it. */
  async function preview(): Promise<string[]> {
    const { stdout } = await onStack("preview", "--json", "--", "--non-interactive");
    const { steps } = JSON.parse(stdout) as { steps: { op: string; urn: string }[] };
    return steps
      .filter(({ op }) => op !== "same")
      .map(({ op, urn }) => `${op} ${urn.split("::").at(-1) ?? ""}`);
  }

  it("shows all that is wrong with all hosts, and ends with 1", async () => {
    const { good, off, impostor, locked } = hosts;
    configure([good, off, impostor, locked]);
    const { exitCode, stdout } = await onStack("doctor");
    expect(stdout).toMatch(/^this machine +note +\d+ cores?, .* of disk free; \d+ of \d+ stages will run/m);
    expect(stdout).toMatch(/^stack dev +error +is not there yet *\n +→ `.\/pipress pulumi stack init dev`/m);
    expect(stdout).toMatch(/^pi-1 +note +Raspberry Pi 4 Model B Rev 1.4, /m);
    expect(stdout).toMatch(/^pi-2 +error +unreachable: nothing listens on 127.0.0.1:\d+ *\n +→ start sshd/m);
    expect(stdout).toMatch(/^pi-3 +error +wrong host key: expected SHA256:/m);
    expect(stdout).toMatch(/^pi-4 +error .*password/m);
    expect(stdout).toMatch(/an `up` would be stopped by the errors$/);
    expect(exitCode).toBe(1);
  });

  it("ends with 0 where nothing stops an up, and says so as JSON too", async () => {
    // The stack is called dev, as its file beside the program exists already.
    await pipress("pulumi", "stack", "init", "dev", "--no-select", "--non-interactive");
    configure([hosts.good, hosts.off], { rollout: { unreachable: "skip" } });
    const { exitCode, stdout } = await onStack("doctor", "--json");
    const { stopsUp, findings } = JSON.parse(stdout) as { stopsUp: boolean; findings: Finding[] };
    expect({ exitCode, stopsUp }).toEqual({ exitCode: 0, stopsUp: false });
    expect(findings.filter(({ where }) => where === "pi-2").map(({ level }) => level)).toEqual(["warning"]);
  });

  it("an up is stopped by all errors of all hosts before a stage starts", async () => {
    const { good, off, impostor } = hosts;
    configure([good, off, impostor]);
    expect(await preview()).toContain("create preflight");
    const { exitCode, all } = await onStack("up", "--yes", "--skip-preview", "--", "--color", "never");
    expect(exitCode).not.toBe(0);
    expect(all).toMatch(/pi-2: unreachable: nothing listens/);
    expect(all).toMatch(/pi-3: wrong host key/);
    expect(all).toMatch(/preflight: 2 of 3 hosts are not ready for a release where 0 may be/);
    expect(existsSync(join(data, "jobs"))).toBe(false);
  });

  it("takes another passphrase and a wrong configuration for findings", async () => {
    configure([hosts.good]);
    const args = ["doctor", "--stack", "dev", "--config-file", configFile];
    const other = { ...env, PULUMI_CONFIG_PASSPHRASE: "another" };
    const refused = await execa(join(repoRoot, "pipress"), args, { env: other, reject: false });
    expect(refused.stdout).toMatch(/^stack dev +error +the passphrase is not the one that it was made with/m);
    expect(refused.stdout).toMatch(/^pi-1 +note/m);
    expect(refused.exitCode).toBe(1);
    configure([{ ...hosts.good, port: 0 }]);
    const { exitCode, stdout } = await onStack("doctor");
    expect(stdout).toMatch(/^pipress:hosts\[0\].port +error +must be a port/m);
    expect(exitCode).toBe(1);
  });
});
