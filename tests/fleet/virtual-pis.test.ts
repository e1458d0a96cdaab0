import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { VirtualPiMachine } from "../../infra/virtual-pi/machine.ts";
import { findMachineProcesses } from "../../infra/virtual-pi/process.ts";
import { ask, expectClearError, quick, type Outputs } from "../e2e/scenario.ts";
import { Workspace, type Outcome } from "../e2e/workspace.ts";

// Three emulated Pis, the real engine, roles and gates. PIPRESS_FLEET_STORE names a store whose artifacts are used
// instead of making them anew; without it the model is compressed first.
const workspace = new Workspace();
const names = ["pi-0", "pi-1", "pi-2"];
const virtual = { memory: "1536 MiB", cpus: 2, disk: "4 GiB" };
const hosts = names.map((name) => ({ name, virtual }));
const root = "/var/lib/pipress";

/** What a release is made of here: another quantization moves a model, another context only settings. */
interface Wanted {
  quantization: "Q4_K_M" | "Q5_K_M";
  context: number;
  expect?: string;
}
let wanted: Wanted = { quantization: "Q4_K_M", context: 512 };

function configure(changes: Partial<Wanted> = {}, further: object[] = []): void {
  wanted = { ...wanted, expect: undefined, ...changes };
  const golden = wanted.expect === undefined ? {} : { "golden.expect": wanted.expect };
  workspace.recipe({ ...quick, "steps.quantize.type": wanted.quantization, ...golden });
  const store = process.env.PIPRESS_FLEET_STORE;
  workspace.configure({
    recipe: workspace.recipeFile,
    ...(store !== undefined && { store: pathToFileURL(store).href }),
    hosts: [...hosts, ...further],
    service: { context: wanted.context },
    rollout: { soak: "5 s" },
  });
}

function machine(name: string): VirtualPiMachine {
  return new VirtualPiMachine(name, join(workspace.data, "hosts"));
}

async function sh(name: string, script: string): Promise<string> {
  const { exitCode, output } = await workspace.onHost(name, script);
  expect(exitCode, `${name}: ${script}\n${output}`).toBe(0);
  return output.trim();
}

/** Every host answers with a release that is complete: its model hashes to the name that it is stored under. */
async function expectAllServe(): Promise<string[]> {
  const outputs = await workspace.outputs<Outputs & { endpoints: Record<string, string> }>();
  return Promise.all(
    names.map(async (name) => {
      await expect
        .poll(
          () => workspace.onHost(name, `test ! -e ${root}/pending.json`).then(({ exitCode }) => exitCode),
          {
            timeout: 10 * 60_000,
            interval: 5_000,
          },
        )
        .toBe(0);
      const endpoint = outputs.endpoints[name] ?? "";
      await expect
        .poll(() => ask({ ...outputs, endpoint }, outputs.apiKey).catch(() => undefined), {
          timeout: 10 * 60_000,
          interval: 5_000,
        })
        .toMatchObject({ status: 200, text: expect.stringMatching(/Paris/) as string });
      const model = await sh(name, `readlink -f ${root}/current/model.gguf`);
      expect(await sh(name, `sha256sum ${model}`)).toContain(basename(model));
      return basename(await sh(name, `readlink -f ${root}/current`));
    }),
  );
}

async function expectConverges(): Promise<void> {
  const { exitCode, output } = await workspace.up();
  expect(exitCode, output).toBe(0);
  const releases = await expectAllServe();
  expect(new Set(releases).size).toBe(1);
  expect(await workspace.preview()).toEqual([]);
}

beforeAll(async () => {
  configure();
  await workspace.init();
});

afterAll(async () => {
  await workspace.pulumi("destroy", "--yes", "--skip-preview");
  workspace.remove();
});

describe("a rollout over three hosts", () => {
  it("brings a release to all of them, and a second up changes nothing", async () => {
    await expectConverges();
    expect((await workspace.up("--expect-no-changes")).exitCode).toBe(0);
  });

  it("moves no model for a change of settings", async () => {
    const before = await sh("pi-1", `stat -c %i:%Y ${root}/store/*`);
    configure({ context: 640 });
    await expectConverges();
    expect(await sh("pi-1", `stat -c %i:%Y ${root}/store/*`)).toBe(before);
  });

  it("stops a release that fails its gate at the canary; all three serve the old one", async () => {
    const before = await expectAllServe();
    configure({ context: 512, expect: "no model says this" });
    const { exitCode, output } = await workspace.up();
    expect(exitCode).not.toBe(0);
    expectClearError(output, /wave-1: 1 of 1 host failed/, /golden prompt/, /pi-1, pi-2 were not touched/);
    expect(await expectAllServe()).toEqual(before);
    configure();
    await expectConverges();
  });

  it("goes back by hand and forward again", async () => {
    const [before] = await expectAllServe();
    const rollback = await execa(
      "npm",
      ["run", "--silent", "rollback", "--", "pi-2", "--config-file", workspace.configFile],
      { env: workspace.env, reject: false, all: true },
    );
    expect(rollback.exitCode, rollback.all).toBe(0);
    expect(basename(await sh("pi-2", `readlink -f ${root}/current`))).not.toBe(before);
    await workspace.pulumi("refresh", "--yes", "--skip-preview");
    await expectConverges();
  });
});

type Phase = "transfer" | "staging" | "activation" | "gate";
const phases: Phase[] = ["transfer", "staging", "activation", "gate"];

/** The line of progress with which a phase begins on the canary. */
const begins: Record<Phase, RegExp> = {
  transfer: /pi-0: .*Put the model into the host's store/,
  staging: /pi-0: .*Put release, unit, keys and tools in place/,
  activation: /pi-0: .*Activate the release/,
  gate: /pi-0: .*Activate the release/,
};

/** Starts an `up` to another release and returns when the canary is in the phase. */
async function upTo(phase: Phase): Promise<{ pid: number; ended: Promise<unknown> }> {
  if (phase === "transfer") {
    configure({ quantization: wanted.quantization === "Q4_K_M" ? "Q5_K_M" : "Q4_K_M" });
    // The host may have the other model from before: it has to travel.
    const keep = `$(basename $(readlink -f ${root}/current/model.gguf))`;
    await sh("pi-0", `find ${root}/store -type f -size +50M ! -name ${keep} -delete`);
  } else configure({ context: wanted.context === 512 ? 640 : 512 });
  const run = workspace.start(["up", "--yes", "--skip-preview"]);
  let printed = "";
  run.all.on("data", (chunk: Buffer) => (printed += chunk.toString()));
  while (!begins[phase].test(printed)) {
    expect(run.exitCode, printed).toBeNull();
    await sleep(100);
  }
  if (phase === "gate")
    while (
      !/golden prompt/.test(
        (await workspace.onHost("pi-0", "journalctl -u pipress-activate-* -n 3 -o cat")).output,
      )
    )
      await sleep(500);
  return { pid: run.pid ?? 0, ended: run };
}

describe("power and connections are lost", () => {
  it.each(phases)("the canary loses power during %s", async (phase) => {
    const { ended } = await upTo(phase);
    for (const pid of await findMachineProcesses(machine("pi-0").folder.disk)) process.kill(pid, "SIGKILL");
    await ended;
    await machine("pi-0").start(() => undefined);
    await expectAllServe();
    await expectConverges();
  });

  it.each(phases)("the controller is killed during %s", async (phase) => {
    const { pid, ended } = await upTo(phase);
    process.kill(-pid, "SIGKILL");
    await ended;
    await expectAllServe();
    await workspace.cancel();
    await expectConverges();
  });
});

describe("what else goes wrong", () => {
  async function failsThenConverges(words: RegExp[], mend: () => Promise<unknown>): Promise<void> {
    const { exitCode, output } = await workspace.up();
    expect(exitCode).not.toBe(0);
    expectClearError(output, ...words);
    await expectAllServe();
    await mend();
    await expectConverges();
  }

  it("a full disk on the canary", async () => {
    await sh("pi-0", `fallocate -l $(($(df --output=avail -B1 / | tail -1) - 50000000)) /full`);
    configure({ quantization: wanted.quantization === "Q4_K_M" ? "Q5_K_M" : "Q4_K_M" });
    const keep = `$(basename $(readlink -f ${root}/current/model.gguf))`;
    await sh("pi-0", `find ${root}/store -type f -size +50M ! -name ${keep} -delete`);
    await sh("pi-0", `fallocate -l $(($(df --output=avail -B1 / | tail -1) - 50000000)) /fuller`);
    await failsThenConverges([/pi-0/, /disk/], () => sh("pi-0", "rm -f /full /fuller"));
  });

  it("a flipped byte in the model that a host has stored", async () => {
    const model = await sh("pi-1", `readlink -f ${root}/current/model.gguf`);
    await sh(
      "pi-1",
      `chmod u+w ${model}; printf X | dd of=${model} bs=1 seek=1000000 conv=notrunc status=none`,
    );
    const refreshed = await workspace.pulumi("refresh", "--yes", "--skip-preview");
    expect(refreshed.exitCode, refreshed.output).toBe(0);
    expect((await workspace.preview()).map(({ name }) => name)).toContain("pi-1");
    await expectConverges();
  });

  it("a wrong host key", async () => {
    const { hosts: known } = await workspace.outputs<{
      hosts: Record<string, { port: number; privateKeyFile: string }>;
    }>();
    const { port, privateKeyFile } = known["pi-0"] ?? { port: 0, privateKeyFile: "" };
    const { stdout } = await execa("ssh-keygen", ["-y", "-f", privateKeyFile]);
    const hostKey = stdout.split(" ").slice(0, 2).join(" ");
    configure({}, [{ name: "impostor", address: "127.0.0.1", port, privateKeyFile, hostKey }]);
    await failsThenConverges([/impostor/, /wrong host key/, /SHA256:/], async () => {
      configure();
      await Promise.resolve();
    });
  });

  it("two ups at once", async () => {
    configure({ context: wanted.context === 512 ? 640 : 512 });
    const both: Outcome[] = await Promise.all([workspace.up(), workspace.up()]);
    expect(both.map(({ exitCode }) => exitCode === 0).sort()).toEqual([false, true]);
    expect(both.find(({ exitCode }) => exitCode !== 0)?.output).toMatch(/lock/i);
    await expectConverges();
  });

  it("a clock that is wrong by a year", async () => {
    await sh("pi-0", 'date -s "1 year ago"');
    configure({ context: wanted.context === 512 ? 640 : 512 });
    await failsThenConverges([/pi-0/, /the clock is 36[56] days behind/], () =>
      sh("pi-0", `date -s @${Math.round(Date.now() / 1000)}`),
    );
  });
});
