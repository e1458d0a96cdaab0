/**
 * command:local:Command and command:local:run, through the provider's executable and the engine's protocol. Each test
 * names the official behaviour it mirrors (pulumi-command at v1.2.1 unless said otherwise).
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { EngineStandIn, urnOf } from "./testing/engine-stand-in.ts";
import { asArchive, asAsset, isUnknown, makeSecret, type Wire } from "./values.ts";

const type = "command:local:Command";
const urn = urnOf(type);

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });
const patience = { timeout: 10_000 };
let engine: EngineStandIn;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pipress-command-"));
  engine = await EngineStandIn.start({ cwd: folder });
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

  it("does not run at preview, where the outputs are unknown and not secret (tests/provider_test.go, #256)", async () => {
    const marker = join(folder, "preview-ran");
    const { properties } = await engine.create(type, { create: `touch ${marker}` }, { preview: true });
    expect(isUnknown(properties["stdout"])).toBe(true);
    expect(isUnknown(properties["stderr"])).toBe(true);
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

  it("uses a secret input and returns it as a secret; the outputs are not secret by that (infer's default wiring)", async () => {
    const create = makeSecret("echo $WORD");
    const environment = makeSecret({ WORD: "hush" });
    const { properties } = await engine.create(type, { create, environment });
    expect(properties).toEqual({ create, environment, stdout: "hush", stderr: "" });
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
      new Error('exit status 3: running "echo \\"one\\"; echo two >&2; exit 3":\none\ntwo\n'),
    );
  });

  it("reports the signal that ended it, in Go's words", async () => {
    await expect(engine.create(type, { create: "kill -9 $$" })).rejects.toThrow(/^signal: killed: running /);
  });

  it("reports a program that is not there", async () => {
    await expect(engine.create(type, { create: "x", interpreter: ["/no/such"] })).rejects.toThrow(
      /^fork\/exec \/no\/such: no such file or directory: running "x":/,
    );
    await expect(engine.create(type, { create: "x", interpreter: ["no-such"] })).rejects.toThrow(
      /^exec: "no-such": executable file not found in \$PATH: running/,
    );
  });

  it("reports a folder that is not there", async () => {
    await expect(engine.create(type, { create: "true", dir: "/no/such" })).rejects.toThrow(
      /^chdir \/no\/such: no such file or directory: running "true":/,
    );
  });

  it("keeps the end of an output too long for an error message", async () => {
    await expect(engine.create(type, { create: "seq 200000; echo the reason; exit 1" })).rejects.toThrow(
      /^exit status 1: running [^]*earlier output left out[^]*199999\n200000\nthe reason\n$/,
    );
  });

  it("says what to do when the last run's output no longer fits the environment (#285)", async () => {
    const state = { create: "true", stdout: "x".repeat(200_000), stderr: "" };
    await expect(engine.update(type, state, { create: "true #" })).rejects.toThrow(
      /argument list too long .*addPreviousOutputInEnv: false/,
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
    expect(isUnknown(preview["stdout"])).toBe(true);
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
      /^exit status 7/,
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

describe("assetPaths and archivePaths", () => {
  it("return the files the globs select, relative to dir (local/commandOutputs.go, globAssets)", async () => {
    const dir = join(folder, "work");
    mkdirSync(dir);
    const { properties } = await engine.create(type, {
      create: "mkdir -p assets/logos src; echo svg > assets/logos/logo.svg; touch src/index.js src/secret.js",
      dir,
      assetPaths: ["assets/**", "src/**.js", "!**secret.*"],
      archivePaths: ["src/*"],
    });
    const assets = properties["assets"] as Record<string, Wire>;
    expect(Object.keys(assets).sort()).toEqual(["assets/logos/logo.svg", "src/index.js"]);
    expect(asAsset(assets["assets/logos/logo.svg"])).toMatchObject({
      path: join(dir, "assets/logos/logo.svg"),
      hash: execFileSync("sha256sum", [join(dir, "assets/logos/logo.svg")])
        .toString()
        .slice(0, 64),
    });
    expect(Object.keys(asArchive(properties["archive"])?.assets ?? {})).toEqual([
      "src/index.js",
      "src/secret.js",
    ]);
  });
});

describe("command:local:run", () => {
  it("runs the command and returns its arguments and outputs (tests/provider_test.go, TestLocalRun)", async () => {
    const { outputs } = await engine.run({ command: 'echo "Hello, World!"' });
    expect(outputs).toEqual({ command: 'echo "Hello, World!"', stdout: "Hello, World!", stderr: "" });
  });

  it("fails with the command's error", async () => {
    await expect(engine.run({ command: "exit 5" })).rejects.toThrow(/^exit status 5: running "exit 5"/);
  });

  it("reports wrong arguments as failures", async () => {
    expect((await engine.run({ dir: 5 })).failures).toEqual([
      "command: Missing required field 'command'",
      "dir: Field must be a string; got a number instead",
    ]);
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
      /^signal: terminated: running/,
    );
    await delay(2500);
    expect(existsSync(file)).toBe(false);
  });

  it("cancel lets a command say goodbye, and refuses what would start after it", async () => {
    const other = await EngineStandIn.start({ cwd: folder });
    const create = "trap 'echo still running elsewhere; exit 130' TERM; echo on; while :; do sleep 0.1; done";
    const running = expect(other.create(type, { create })).rejects.toThrow(
      /^exit status 130: [^]*still running elsewhere/,
    );
    await expect.poll(() => other.statusLines(urn), patience).toContain("on");
    await other.cancel();
    await running;
    expect(other.statusLines(urn)).toContain("still running elsewhere");
    await expect(other.create(type, { create: "echo no" })).rejects.toThrow(/context canceled/);
    await other.close();
  });

  it("the provider takes its commands along when the engine closes it", async () => {
    const other = await EngineStandIn.start({ cwd: folder });
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
