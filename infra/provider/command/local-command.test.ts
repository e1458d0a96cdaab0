import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import providerPb from "@pulumi/pulumi/proto/provider_pb.js";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { repoRoot } from "../../../common/paths.ts";
import { EngineStandIn, urnOf } from "../../plugin/testing/engine-stand-in.ts";
import { unknown } from "../../plugin/values.ts";

// Through the provider's executable and the engine's protocol. Each test names what of the vendor's plugin it mirrors
// (pulumi-command at v1.2.1 unless said otherwise).
const executable = join(repoRoot, "infra", "provider", "command", "pulumi-resource-command");
const type = "command:local:Command";
const urn = urnOf(type);

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });
const patience = { timeout: 10_000 };
let engine: EngineStandIn;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pipress-command-"));
  engine = await EngineStandIn.start(executable, folder);
});

afterAll(async () => {
  await engine.close();
  rmSync(folder, { recursive: true });
});

describe("create", () => {
  it("runs the command under /bin/sh -c and returns both outputs without their last newline (local/commandOutputs.go)", async () => {
    const { id, properties } = await engine.create(type, { create: "printf 'a\\nb\\n\\n'; echo bad >&2" });
    expect(properties).toEqual({
      create: "printf 'a\\nb\\n\\n'; echo bad >&2",
      stdout: "a\nb\n",
      stderr: "bad",
    });
    expect(id).toMatch(/^it[0-9a-f]{8}$/);
  });

  it("does not run at preview, where the outputs are unknown (tests/provider_test.go, #256)", async () => {
    const marker = join(folder, "preview-ran");
    const { properties } = await engine.create(type, { create: `touch ${marker}` }, { preview: true });
    expect(properties).toMatchObject({ stdout: unknown, stderr: unknown });
    expect(existsSync(marker)).toBe(false);
  });

  it("runs nothing when there is no create command (local/commandController.go)", async () => {
    const { properties } = await engine.create(type, { delete: "echo bye" });
    expect(properties).toEqual({ delete: "echo bye", stdout: "", stderr: "" });
  });

  it("passes stdin, environment, dir and interpreter (local/commandOutputs.go)", async () => {
    mkdirSync(join(folder, "elsewhere"));
    const { properties } = await engine.create(type, {
      create: "import os, sys; print(os.environ['NAME'], os.path.basename(os.getcwd()), sys.stdin.read())",
      interpreter: ["python3", "-c"],
      environment: { NAME: "Pi" },
      dir: join(folder, "elsewhere"),
      stdin: "from stdin",
    });
    expect(properties["stdout"]).toBe("Pi elsewhere from stdin");
  });

  it("runs in the engine's folder, with the engine's environment and no input, by default", async () => {
    const { properties } = await engine.create(type, {
      create: "pwd; echo $HOME; cat; env | grep -c ^NODE_ || true",
    });
    expect(properties["stdout"]).toBe(`${folder}\n${process.env["HOME"]}\n${nodeVariables()}`);
  });

  it("does not wait for a command that never reads its input", async () => {
    const { properties } = await engine.create(type, { create: "echo done", stdin: "x".repeat(3_000_000) });
    expect(properties["stdout"]).toBe("done");
  });

  it("holds outputs of many megabytes and lines past 64 KiB (the official line scanner stops there, #201)", async () => {
    const { properties } = await engine.create(type, {
      create: "head -c 6000000 /dev/zero | tr '\\0' x; echo; seq 100000",
    });
    const [long, ...numbers] = (properties["stdout"] as string).split("\n");
    expect(long).toHaveLength(6_000_000);
    expect(numbers).toHaveLength(100_000);
  });
});

describe("a command that fails", () => {
  it("reports exit status, quoted command and what it wrote, in order (local/commandOutputs.go)", async () => {
    const create = 'echo "one"; echo two >&2; exit 3';
    await expect(engine.create(type, { create })).rejects.toThrow(
      new Error('it: exit status 3: running "echo \\"one\\"; echo two >&2; exit 3":\none\ntwo'),
    );
  });

  it("reports the signal that ended it", async () => {
    await expect(engine.create(type, { create: "kill -9 $$" })).rejects.toThrow(
      /^it: ended by SIGKILL: running "kill -9 \$\$"$/,
    );
  });

  it("reports a program that is not there", async () => {
    await expect(engine.create(type, { create: "x", interpreter: ["/no/such"] })).rejects.toThrow(
      /^it: cannot start \(.*\/no\/such.*\): running "x"$/,
    );
    await expect(engine.create(type, { create: "x", interpreter: ["no-such"] })).rejects.toThrow(
      /^it: cannot start \(.*no-such.*\): running/,
    );
  });

  it("reports a folder that is not there", async () => {
    await expect(engine.create(type, { create: "true", dir: "/no/such" })).rejects.toThrow(
      /^it: cannot start \(.*\/no\/such.*\): running "true"$/,
    );
  });

  it("keeps the end of an output too long for an error message", async () => {
    await expect(engine.create(type, { create: "seq 200000; echo the reason; exit 1" })).rejects.toThrow(
      /^it: exit status 1: running [^]*\(left out\)[^]*199999\n200000\nthe reason$/,
    );
  });

  it("says what to do when the last run's output no longer fits the environment (#285)", async () => {
    const state = { create: "true", stdout: "x".repeat(200_000), stderr: "" };
    await expect(engine.update(type, state, { create: "true #" })).rejects.toThrow(
      /E2BIG[^]*addPreviousOutputInEnv: false/,
    );
  });
});

describe("update", () => {
  const state = { create: "echo first", stdout: "old out", stderr: "old err" };

  it("runs the update command with the last outputs in its environment (common/inputs.go)", async () => {
    const news = { create: "echo first", update: "echo $PULUMI_COMMAND_STDOUT, $PULUMI_COMMAND_STDERR" };
    expect(await engine.update(type, state, news)).toEqual({
      ...news,
      stdout: "old out, old err",
      stderr: "",
    });
  });

  it("runs create again when there is no update command", async () => {
    expect(await engine.update(type, state, { create: "echo again" })).toMatchObject({ stdout: "again" });
  });

  it("keeps the outputs when there is neither", async () => {
    expect(await engine.update(type, state, { delete: "true" })).toMatchObject({
      stdout: "old out",
      stderr: "old err",
    });
  });

  it("leaves the last outputs out with addPreviousOutputInEnv: false (tests/provider_test.go)", async () => {
    const news = { create: "echo [$PULUMI_COMMAND_STDOUT]", addPreviousOutputInEnv: false };
    expect(await engine.update(type, state, news)).toMatchObject({ stdout: "[]" });
  });

  it("sets no variable for an empty output", async () => {
    const news = { create: "echo ${PULUMI_COMMAND_STDERR-unset}" };
    expect(await engine.update(type, { ...state, stderr: "" }, news)).toMatchObject({ stdout: "unset" });
  });

  it("does not run at preview", async () => {
    const marker = join(folder, "update-ran");
    const preview = await engine.update(type, state, { create: `touch ${marker}` }, { preview: true });
    expect(preview).toMatchObject({ stdout: unknown, stderr: unknown });
    expect(existsSync(marker)).toBe(false);
  });
});

describe("delete", () => {
  it("runs the delete command with the last outputs in its environment", async () => {
    const file = join(folder, "deleted");
    await engine.delete(type, {
      delete: `echo $PULUMI_COMMAND_STDOUT > ${file}`,
      stdout: "kept",
      stderr: "",
    });
    expect(readFileSync(file, "utf8")).toBe("kept\n");
  });

  it("fails when the command does, so that the resource stays (#104)", async () => {
    await expect(engine.delete(type, { delete: "exit 7", stdout: "", stderr: "" })).rejects.toThrow(
      /^it: exit status 7/,
    );
  });

  it("does nothing without a delete command", async () => {
    await engine.delete(type, { create: "exit 1", stdout: "", stderr: "" });
  });
});

describe("the display", () => {
  it("gets each line as a status message of the resource while the command runs (util/util.go, LogOutput)", async () => {
    const gate = join(folder, "gate");
    const running = engine.create(type, {
      create: `echo early; until [ -e ${gate} ]; do sleep 0.05; done; echo late`,
    });
    await expect.poll(() => engine.statusLines(urn), patience).toContain("early");
    expect(engine.statusLines(urn)).not.toContain("late");
    writeFileSync(gate, "");
    await running;
    expect(engine.statusLines(urn)).toContain("late");
  });

  it.each([
    ["stdout", ["out"]],
    ["stderr", ["err"]],
    ["none", []],
    ["stdoutAndStderr", ["err", "out"]],
  ])(
    "shows what logging: %s asks for, and captures both all the same (local/logging.go)",
    async (logging, lines) => {
      const before = engine.statusLines(urn).length;
      const { properties } = await engine.create(type, { create: "echo out; echo err >&2", logging });
      expect(properties).toMatchObject({ stdout: "out", stderr: "err" });
      expect(engine.statusLines(urn).slice(before).sort()).toEqual(lines);
    },
  );

  it("has nothing of the command on the provider's own output, where the engine reads the port", () => {
    expect(engine.stdout).toMatch(/^\d+\n$/);
  });
});

describe("check", () => {
  it("reports every problem by its path, without printing values (#773)", async () => {
    const { failures } = await engine.check(type, {
      create: ["a secret in the wrong place"],
      environment: { A: 1 },
      logging: "a secret in the wrong place",
      creat: "a secret in the wrong place",
    });
    expect(failures.map((failure) => failure.split(":", 1)[0])).toEqual([
      "create",
      "environment.A",
      "logging",
      "creat",
    ]);
    expect(failures.join()).not.toContain("secret");
  });

  it("leaves inputs as they are, unknown ones too, and fills in nothing", async () => {
    const inputs = { create: unknown, environment: { A: unknown }, triggers: [1, unknown], logging: unknown };
    expect(await engine.check(type, inputs)).toEqual({ inputs, failures: [] });
  });

  it("names the vendor's plugin where something is asked that only that one has", async () => {
    await expect(engine.check("command:remote:Command", { create: "true" })).rejects.toThrow(
      /^command:remote:Command: plugin command 1\.2\.1 has no such resource type — .*vendor's plugin.*pulumi plugin install resource command 1\.2\.1/,
    );
    expect((await engine.check(type, { assetPaths: ["*"] })).failures).toEqual([
      "assetPaths: not served here; the vendor's command plugin has it",
    ]);
  });
});

describe("diff", () => {
  const { DIFF_NONE, DIFF_SOME } = providerPb.DiffResponse.DiffChanges;

  it("sees nothing where nothing changed", async () => {
    const inputs = { create: "true", environment: { A: "1" } };
    expect(await engine.diff(type, inputs, inputs)).toEqual({ changes: DIFF_NONE, paths: [], replaces: [] });
  });

  it("updates for any input, and names it: command, environment, even delete", async () => {
    const olds = { create: "a", environment: { A: "1", "b.c": "2" } };
    const news = { create: "b", environment: { A: "2", "b.c": "3", D: "4" }, delete: "x" };
    const { changes, paths, replaces } = await engine.diff(type, olds, news);
    expect([changes, replaces]).toEqual([DIFF_SOME, []]);
    expect(paths.sort()).toEqual([
      "create",
      "delete",
      "environment.A",
      "environment.D",
      'environment["b.c"]',
    ]);
  });

  it("replaces when triggers change (#189)", async () => {
    expect(await engine.diff(type, { triggers: [1, "a"] }, { triggers: [1, "b"] })).toMatchObject({
      paths: ["triggers[1]"],
      replaces: ["triggers"],
    });
    expect(await engine.diff(type, {}, { triggers: [1] })).toMatchObject({ replaces: ["triggers"] });
  });
});

describe("the schema", () => {
  it("has the inputs that @pulumi/command 1.2.1 declares, but for assets and archives", async () => {
    const sdk = dirname(createRequire(import.meta.url).resolve("@pulumi/command/package.json"));
    const text = readFileSync(join(sdk, "local", "command.d.ts"), "utf8");
    const body = /interface CommandArgs \{([^]*?)\n\}\n/.exec(text)?.[1] ?? "";
    const declared = [...body.matchAll(/^ {4}(\w+)\??: /gm)].map(([, name]) => name);
    const { resources } = (await engine.schema()) as {
      resources: Record<string, { inputProperties: Record<string, unknown> }>;
    };
    const served = Object.keys(resources[type]?.inputProperties ?? {});
    expect([...served, "assetPaths", "archivePaths"].sort()).toEqual(declared.sort());
  });

  it("carries the version that the SDK asks for", async () => {
    expect(await engine.version()).toBe("1.2.1");
  });
});

describe("read", () => {
  it("returns what the state says: a command has nothing to look at (#20)", async () => {
    const state = { create: "true", stdout: "x", stderr: "" };
    expect(await engine.read(type, "it1", state)).toEqual({ id: "it1", properties: state });
  });
});

describe("ending early", () => {
  it("a custom timeout ends the command and all its children", async () => {
    const file = join(folder, "survived");
    const create = `(sleep 3; touch ${file}) & echo started; wait`;
    await expect(engine.create(type, { create }, { timeout: 1 })).rejects.toThrow(
      /^it: ended by SIGTERM: running/,
    );
    await delay(2500);
    expect(existsSync(file)).toBe(false);
  });

  it("nobody waits for a child that left the group and holds the pipes", async () => {
    const create = "setsid sleep 60 & echo gone; wait";
    await expect(engine.create(type, { create }, { timeout: 1 })).rejects.toThrow(
      /^it: ended by SIGTERM: [^]*gone$/,
    );
  }, 15_000);

  it("cancel lets a command say goodbye, and refuses what would start after it", async () => {
    const other = await EngineStandIn.start(executable, folder);
    const create = "trap 'echo still running elsewhere; exit 130' TERM; echo on; while :; do sleep 0.1; done";
    const running = expect(other.create(type, { create })).rejects.toThrow(
      /^it: exit status 130: [^]*still running elsewhere/,
    );
    await expect.poll(() => other.statusLines(urn), patience).toContain("on");
    await other.cancel();
    await running;
    expect(other.statusLines(urn)).toContain("still running elsewhere");
    await expect(other.create(type, { create: "echo no" })).rejects.toThrow(/^cancelled$/);
    await other.close();
  });

  it("the provider takes its commands along when the engine closes it", async () => {
    const other = await EngineStandIn.start(executable, folder);
    const file = join(folder, "pid");
    const running = other.create(type, { create: `echo $$ > ${file}; sleep 60` }).catch(() => undefined);
    await expect.poll(() => existsSync(file) && readFileSync(file, "utf8"), patience).toMatch(/\d+\n/);
    const pid = Number(readFileSync(file, "utf8"));
    await other.close();
    await running;
    expect(() => process.kill(pid, 0)).toThrow();
  });
});

function nodeVariables(): number {
  return Object.keys(process.env).filter((name) => name.startsWith("NODE_")).length;
}
