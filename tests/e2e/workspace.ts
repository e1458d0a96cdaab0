import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa, type ResultPromise } from "execa";
import { parse, stringify } from "yaml";
import type { Machine } from "../../infra/ssh/machine.ts";
import { repoRoot } from "../../common/paths.ts";
import { environment } from "../../cli/environment.ts";

type Yaml = Record<string, unknown>;

/** How a command ended, with everything it printed. */
export interface Outcome {
  exitCode: number | undefined;
  output: string;
}

/** One resource in a preview, by the operation that Pulumi plans for it. */
export interface PlannedStep {
  op: string;
  name: string;
  type: string;
}

/**
 * A stack of its own on the real engine: own state, own store, own virtual hosts, in a temporary folder. Only the cache
 * of pinned tools is shared with the rest of the machine.
 */
export class Workspace {
  readonly data: string;
  readonly recipeFile: string;
  readonly configFile: string;
  readonly env: NodeJS.ProcessEnv;
  private readonly context: { cwd: string; env: NodeJS.ProcessEnv; extendEnv: false };

  /** @param dir folder of all of it; one that held a workspace before is that workspace again */
  constructor(readonly dir = mkdtempSync(join(tmpdir(), "pipress-e2e-"))) {
    this.data = join(dir, "data");
    this.recipeFile = join(dir, "recipe.yaml");
    this.configFile = join(dir, "Pulumi.dev.yaml");
    const state = join(this.data, "state");
    mkdirSync(state, { recursive: true });
    const own = { PIPRESS_DATA: this.data, PULUMI_BACKEND_URL: pathToFileURL(state).href };
    this.env = {
      ...process.env,
      ...environment("dev", { ...process.env, ...own }),
      ...own,
      PULUMI_STACK: "dev",
    };
    this.context = { cwd: repoRoot, env: this.env, extendEnv: false };
  }

  /** Writes the stack's configuration; `hosts` and others as they stand in `Pulumi.dev.yaml`. */
  configure(config: Yaml): void {
    // Encrypted like the dev stack, whose passphrase everybody knows: docs/decisions/0003.
    const dev = parse(readFileSync(join(repoRoot, "Pulumi.dev.yaml"), "utf8")) as Yaml;
    const entries = Object.entries(config).map(([key, value]) => [`pipress:${key}`, value]);
    const file = { encryptionsalt: dev.encryptionsalt, config: Object.fromEntries(entries) as Yaml };
    writeFileSync(this.configFile, stringify(file));
  }

  /** Writes the dev recipe with some of its values replaced, by path: `{"steps.quantize.type": "Q5_K_M"}`. */
  recipe(changes: Yaml): void {
    const recipe = parse(readFileSync(join(repoRoot, "models/recipes/smollm2-135m.yaml"), "utf8")) as Yaml;
    for (const [path, value] of Object.entries(changes)) {
      const keys = path.split(".");
      const last = keys.pop() ?? "";
      const parent = keys.reduce<Yaml>((node, key) => (node[key] ??= {}) as Yaml, recipe);
      if (value === undefined) Reflect.deleteProperty(parent, last);
      else parent[last] = value;
    }
    writeFileSync(this.recipeFile, stringify(recipe));
  }

  /** Starts `pulumi` in a process group of its own, so that a test can end it as a terminal or a power cut would. */
  start(args: readonly string[]): ResultPromise<{ reject: false; all: true; detached: true }> {
    return execa("pulumi", [...args, "--non-interactive", "--config-file", this.configFile], {
      ...this.context,
      reject: false,
      all: true,
      detached: true,
    });
  }

  /** Runs a verb of `./pipress` with `input` on its standard input. */
  async pipress(args: readonly string[], input: string) {
    return execa(join(repoRoot, "pipress"), [...args, "--config-file", this.configFile], {
      ...this.context,
      input,
      reject: false,
    });
  }

  /** Takes away the lock that a killed engine left on the stack. */
  async cancel(): Promise<void> {
    await execa("pulumi", ["cancel", "--yes"], { ...this.context, reject: false });
  }

  async pulumi(...args: string[]): Promise<Outcome> {
    const { exitCode, all } = await this.start(args);
    return { exitCode, output: all };
  }

  /**
   * Makes the stack, unless it is there. It has the dev stack's name, and so its configuration file beside the program,
   * which stays as it is.
   */
  async init(): Promise<void> {
    const { stdout } = await execa("pulumi", ["stack", "ls", "--json"], this.context);
    if ((JSON.parse(stdout) as unknown[]).length === 0)
      await execa("pulumi", ["stack", "init", "dev", "--non-interactive"], this.context);
  }

  up(...args: string[]): Promise<Outcome> {
    return this.pulumi("up", "--yes", "--skip-preview", "--suppress-permalink", ...args);
  }

  /** What a preview plans to do, without the resources that stay as they are. */
  async preview(...args: string[]): Promise<PlannedStep[]> {
    const { exitCode, stdout, stderr } = await execa(
      "pulumi",
      ["preview", "--json", "--non-interactive", "--config-file", this.configFile, ...args],
      { ...this.context, reject: false },
    );
    if (exitCode !== 0) throw new Error(`preview failed:\n${stdout}\n${stderr}`);
    const { steps } = JSON.parse(stdout) as { steps: { op: string; urn: string }[] };
    return steps
      .map(({ op, urn }) => {
        const [, , type = "", name = ""] = urn.split("::");
        return { op, name, type: type.split("$").at(-1) ?? "" };
      })
      .filter(({ op }) => !["same", "read", "refresh"].includes(op));
  }

  async outputs<Outputs>(): Promise<Outputs> {
    const { stdout } = await execa("pulumi", ["stack", "output", "--json", "--show-secrets"], this.context);
    return JSON.parse(stdout) as Outputs;
  }

  /** The state of the stack, with its secrets. */
  async exported<State>(): Promise<State> {
    const { stdout } = await execa("pulumi", ["stack", "export", "--show-secrets"], this.context);
    return JSON.parse(stdout) as State;
  }

  /** Runs a command as root on a host of the stack, verifying its host key as everything else does. */
  async onHost(name: string, ...argv: string[]): Promise<Outcome> {
    const { hosts } = await this.outputs<{ hosts: Record<string, Machine> }>();
    const host = hosts[name];
    if (host === undefined) throw new Error(`the stack has no host ${name}`);
    const knownHosts = join(this.dir, `known_hosts-${name}`);
    writeFileSync(knownHosts, `[${host.address}]:${host.port} ${host.hostKey}\n`);
    const options = [`UserKnownHostsFile=${knownHosts}`, "StrictHostKeyChecking=yes", "BatchMode=yes"];
    const { exitCode, all } = await execa(
      "ssh",
      [
        ...options.flatMap((option) => ["-o", option]),
        ...["-i", host.privateKeyFile ?? "", "-p", String(host.port), `${host.user}@${host.address}`],
        ...["sudo", "sh", "-c", `'${argv.join(" ")}'`],
      ],
      { reject: false, all: true },
    );
    return { exitCode, output: all };
  }

  /** Removes the folder. The stack must have been destroyed. */
  remove(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}
