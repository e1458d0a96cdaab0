import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { expect } from "vitest";
import { signalAll } from "../../common/process/signals.ts";
import { processTree } from "../../common/process/tree.ts";
import type { HostRun } from "../../infra/fleet/rollout/playbook-resource.ts";
import { VirtualPiMachine } from "../../infra/virtual-pi/machine.ts";
import { findMachineProcesses } from "../../infra/virtual-pi/process.ts";
import type { MachineRecord } from "../../infra/virtual-pi/spec.ts";
import type { Outputs as StackOutputs } from "../e2e/scenario.ts";
import type { Outcome } from "../e2e/workspace.ts";
import { closeWorkspace, openWorkspace } from "./kept-workspace.ts";
import { smallRecipe } from "./small-recipe.ts";

/** Where a host keeps releases and store. */
export const root = "/var/lib/pipress";

export const names = ["pi-0", "pi-1", "pi-2"] as const;
// One core each: three machines of more would only take turns on this one's. But for the canary, which switches alone: a
// host's own work, systemd's and the health check's, goes on beside the server, as on the four cores of a real Pi.
const virtualOf = (name: string) => ({ memory: "1536 MiB", cpus: name === names[0] ? 2 : 1, disk: "4 GiB" });

/** How long a host may take to serve again: an emulated one on a busy machine needs minutes to boot. */
const patience = { timeout: 10 * 60_000, interval: 3_000 };

/** What a release is made of here: another quantization moves a model, another context length only settings. */
interface Wanted {
  quantization: "Q8_0" | "Q6_K";
  context: number;
}

/** What a case changes for itself alone. */
export interface Extras {
  recipe?: Record<string, unknown>;
  /** Hosts beside the three. */
  hosts?: object[];
  rollout?: object;
  config?: Record<string, unknown>;
}

export type Outputs = StackOutputs & {
  hosts: Record<string, { port: number; privateKeyFile: string }>;
};

/**
 * Three emulated Pis, and a stack that rolls out to them. With PIPRESS_FLEET_DIR they are kept in that folder and go on
 * running, so that the next run boots none and compresses nothing: that is how one case is tried by itself
 * (`npx vitest run --config tests/fleet/vitest.config.ts virtual-pis -t "wrong host key"`).
 */
export class Fleet {
  readonly workspace = openWorkspace();
  private wanted: Wanted = { quantization: "Q8_0", context: 512 };
  private recipe: Record<string, unknown> = {};
  private apiKey: string | undefined;

  constructor() {
    if (existsSync(this.wantedFile))
      this.wanted = JSON.parse(readFileSync(this.wantedFile, "utf8")) as Wanted;
  }

  private get wantedFile(): string {
    return join(this.workspace.dir, "wanted.json");
  }

  /** Boots the hosts and brings them their first release; hosts that were kept are taken as they are. */
  async begin(): Promise<void> {
    this.recipe = await smallRecipe(join(this.workspace.dir, "small-model"));
    this.configure();
    await this.workspace.init();
    // What a run before this one may have left when it was ended.
    await this.workspace.cancel();
    if (await this.allAreRunning()) return;
    const { exitCode, output } = await this.workspace.up();
    expect(exitCode, output).toBe(0);
  }

  private async allAreRunning(): Promise<boolean> {
    const running = await Promise.all(names.map((name) => this.machine(name).isRunning()));
    return running.every(Boolean);
  }

  end(): Promise<void> {
    return closeWorkspace(this.workspace);
  }

  /** Writes recipe and configuration of the release that is wanted, with what a case adds to them. */
  configure({ recipe = {}, hosts = [], rollout = {}, config = {} }: Extras = {}): void {
    const { quantization, context } = this.wanted;
    this.workspace.recipe({
      ...structuredClone(this.recipe),
      "steps.quantize.type": quantization,
      "server.contextLength": context,
      ...recipe,
    });
    const store = process.env.PIPRESS_FLEET_STORE;
    this.workspace.configure({
      recipe: this.workspace.recipeFile,
      ...(store !== undefined && { store: pathToFileURL(store).href }),
      hosts: [...names.map((name) => ({ name, virtual: virtualOf(name) })), ...hosts],
      rollout: { soak: "2 s", ...rollout },
      ...config,
    });
  }

  /** Wants a release that no host has seen yet, of the same model. */
  wantOtherSettings(extras: Extras = {}): void {
    this.want({ context: this.wanted.context >= 1984 ? 512 : this.wanted.context + 32 }, extras);
  }

  /** Wants a release of another model, and takes from every host what it may have of that from before: it has to travel. */
  async wantOtherModel(extras: Extras = {}): Promise<void> {
    this.want({ quantization: this.wanted.quantization === "Q8_0" ? "Q6_K" : "Q8_0" }, extras);
    const current = (part: string) => `$(basename $(readlink -f ${root}/current/${part}))`;
    const keep = ["model.gguf", "llama-server"].map((part) => `! -name "${current(part)}*"`).join(" ");
    await Promise.all(names.map((name) => this.sh(name, `find ${root}/store -type f ${keep} -delete`)));
  }

  private want(change: Partial<Wanted>, extras: Extras): void {
    this.wanted = { ...this.wanted, ...change };
    writeFileSync(this.wantedFile, JSON.stringify(this.wanted));
    this.configure(extras);
  }

  machine(name: string): VirtualPiMachine {
    const hosts = join(this.workspace.data, "hosts");
    // The stack's id is behind the name.
    const id = existsSync(hosts) && readdirSync(hosts).find((folder) => folder.startsWith(`${name}-`));
    return new VirtualPiMachine(name, id || name, hosts);
  }

  /** Runs a script as root on a host; it must not hold a single quote. */
  async sh(name: string, script: string): Promise<string> {
    const { exitCode, output } = await this.run(name, script);
    expect(exitCode, `${name}: ${script}\n${output}`).toBe(0);
    return output;
  }

  /** The same, whatever comes of it. Goes by the machine's own record: asking the stack takes seconds each time. */
  private async run(name: string, script: string): Promise<Outcome> {
    const ending = await this.machine(name).run(await this.record(name), `sudo sh -c '${script}' 2>&1`);
    if (ending.kind === "lost") return { exitCode: undefined, output: ending.failure.message };
    return { exitCode: ending.code, output: ending.stdout.trim() };
  }

  private async record(name: string): Promise<MachineRecord> {
    const record = await this.machine(name).read();
    if (record === undefined) throw new Error(`there is no machine ${name}`);
    return record;
  }

  /** URL of a host's server, without `/v1`. */
  async addressOf(name: string): Promise<string> {
    return `http://127.0.0.1:${(await this.record(name)).ports.http}`;
  }

  /** Resolves when a condition holds on a host, asked again and again there. */
  async until(name: string, condition: string): Promise<void> {
    const giveUp = "tries=$((tries + 1)); test $tries -lt 6000 || exit 9";
    await this.sh(name, `tries=0; until ${condition}; do ${giveUp}; sleep 0.1; done`);
  }

  outputs(): Promise<Outputs> {
    return this.workspace.outputs<Outputs>();
  }

  /** Every playbook of the stack, as it would run now. */
  async playbooks(): Promise<HostRun[]> {
    const { deployment } = await this.workspace.exported<Deployment>();
    return deployment.resources
      .filter(({ type }) => type === "pipress:index:Playbook")
      .map(({ inputs }) => {
        const run = plain(inputs) as HostRun & { routeVars: Record<string, unknown> };
        return { ...run, vars: { ...run.vars, ...run.routeVars }, check: true };
      });
  }

  /** Pulls the plug of a host, in the middle of whatever it does. */
  async cutPower(name: string): Promise<void> {
    const pids = await findMachineProcesses(this.machine(name).folder.disk);
    expect(pids).toHaveLength(1);
    signalAll(pids, "SIGKILL");
  }

  async powerOn(name: string): Promise<void> {
    await this.machine(name).start(() => undefined);
  }

  /**
   * Sees that every host serves a release that is complete and verified: no activation is open, model and program hash to
   * the names under which they are stored, and the server answers.
   * @returns the release of each host
   */
  async expectAllServe(): Promise<string[]> {
    // The stack keeps its key for good, and asking for it takes seconds.
    this.apiKey ??= (await this.outputs()).apiKey;
    const { apiKey } = this;
    return Promise.all(
      names.map(async (name) => {
        let release = "";
        const look = async (): Promise<string> => {
          const { exitCode, output } = await this.run(name, verified);
          release = output;
          return exitCode === 0 ? ask(`${await this.addressOf(name)}/v1`, apiKey) : `${exitCode}: ${output}`;
        };
        await expect.poll(look, patience).toBe("answers");
        return release;
      }),
    );
  }

  /** One `up` after which all hosts serve what is wanted. */
  async expectConverges(): Promise<void> {
    const { exitCode, output } = await this.workspace.up();
    expect(exitCode, output).toBe(0);
    const { report } = await this.outputs();
    expect(await this.expectAllServe()).toEqual(names.map(() => report.release));
  }

  /** Looks at what is really there, and brings it to what is wanted. */
  async repair(): Promise<void> {
    await this.workspace.cancel();
    this.configure();
    const { exitCode, output } = await this.workspace.pulumi("refresh", "--yes", "--skip-preview");
    expect(exitCode, output).toBe(0);
    await this.expectConverges();
  }

  /** Starts an `up` and hands over what it prints. */
  startUp(): RunningUp {
    const run = this.workspace.start(["up", "--yes", "--skip-preview", "--suppress-permalink"]);
    let printed = "";
    run.all.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    const pid = run.pid ?? 0;
    const ended = run.then(({ exitCode, all }) => ({ exitCode, output: all }));
    return {
      ended,
      untilPrinted: async (words) => {
        while (!words.test(printed)) {
          expect(run.exitCode, printed).toBeNull();
          await sleep(100);
        }
      },
      meanwhile: (happens) => {
        const over = ended.then(({ output }) => {
          throw new Error(`the up ended before:\n${output}`);
        });
        return Promise.race([happens, over]);
      },
      kill: async () => {
        // Engine, provider, Ansible and its connections, all at once, as when the operator's machine loses power.
        signalAll(processTree(pid), "SIGKILL");
        await ended;
      },
    };
  }
}

/** An `up` that is at work. */
export interface RunningUp {
  ended: Promise<Outcome>;
  /** Resolves when it has printed such words; fails where it ends without. */
  untilPrinted(words: RegExp): Promise<void>;
  /** Waits for something else, and fails where the `up` ends before. */
  meanwhile(happens: Promise<void>): Promise<void>;
  /** Ends it and everything that it has started, with no chance to put anything away. */
  kill(): Promise<void>;
}

/** What `pulumi stack export` prints, as far as it is read here. */
interface Deployment {
  deployment: { resources: { type: string; inputs: unknown }[] };
}

/** Values of an exported state without the wrapping in which secrets are. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== "object") return value;
  if ("plaintext" in value) return JSON.parse(String(value.plaintext));
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, plain(member)]));
}

/** Prints the digest of what a host serves: its folder is called by that and a digest of what was rendered for the host. */
export const digestServed = `basename $(readlink ${root}/current) | cut -d - -f 1`;

/** A script that prints a host's release, and fails where that is not as it was made or does not run. */
const verified = [
  `test ! -e ${root}/pending.json || { echo an activation is open; exit 3; }`,
  `for part in model.gguf llama-server; do file=$(readlink -f ${root}/current/$part)`,
  `test "$(sha256sum < $file | cut -d " " -f 1)" = "$(basename $file)" || { echo $part is damaged; exit 4; }; done`,
  "curl -sf http://127.0.0.1:8080/health > /dev/null || { echo not healthy; exit 5; }",
  digestServed,
].join("; ");

/** Asks a server for a few tokens; says that it answers, or what came instead. */
export async function ask(baseUrl: string, apiKey: string): Promise<string> {
  try {
    const response = await fetch(`${baseUrl}/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${apiKey}` },
      body: JSON.stringify({ messages: [{ role: "user", content: "Hello" }], max_tokens: 4, temperature: 0 }),
    });
    const body = (await response.json()) as { choices?: unknown[] };
    return response.status === 200 && body.choices?.length === 1 ? "answers" : `status ${response.status}`;
  } catch (error) {
    const { message, cause } = error as Error;
    return cause instanceof Error ? `${message}: ${cause.message}` : message;
  }
}
