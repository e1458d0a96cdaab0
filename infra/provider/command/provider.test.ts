/** Schema, check and diff through the engine's protocol, and how the provider's process begins and ends. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import providerproto from "@pulumi/pulumi/proto/provider_pb.js";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { EngineStandIn, executable } from "./testing/engine-stand-in.ts";
import { makeArchive, makeAsset, makeSecret, unknown, type WireObject } from "./values.ts";

const { DIFF_NONE, DIFF_SOME } = providerproto.DiffResponse.DiffChanges;
let engine: EngineStandIn;

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });

beforeAll(async () => {
  engine = await EngineStandIn.start();
});

afterAll(() => engine.close());

describe("the schema", () => {
  const sdk = dirname(createRequire(import.meta.url).resolve("@pulumi/command/package.json"));
  /** The names that an interface of the SDK lists. */
  const declared = (file: string, after: string): string[] => {
    const text = readFileSync(join(sdk, file), "utf8");
    const body = new RegExp(`${after} \\{([^]*?)\\n(?: {4})?\\}\\n`).exec(text)?.[1] ?? "";
    return [...body.matchAll(/^ {4,8}(?:readonly )?(\w+)\??: /gm)].map(([, name]) => name ?? "").sort();
  };

  it.each([
    ["command:local:Command", "local/command.d.ts", "interface CommandArgs"],
    ["command:remote:Command", "remote/command.d.ts", "interface CommandArgs"],
    ["command:remote:CopyToRemote", "remote/copyToRemote.d.ts", "interface CopyToRemoteArgs"],
    ["command:remote:CopyFile", "remote/copyFile.d.ts", "interface CopyFileArgs"],
  ])("has the inputs of %s that @pulumi/command 1.2.1 declares", async (token, file, after) => {
    const { resources } = (await engine.schema()) as {
      resources: Record<string, { inputProperties: WireObject }>;
    };
    expect(Object.keys(resources[token]?.inputProperties ?? {}).sort()).toEqual(declared(file, after));
  });

  it.each([
    ["command:remote:Connection", "interface ConnectionArgs"],
    ["command:remote:ProxyConnection", "interface ProxyConnectionArgs"],
  ])("has the fields of %s that @pulumi/command 1.2.1 declares", async (token, after) => {
    const { types } = (await engine.schema()) as { types: Record<string, { properties: WireObject }> };
    expect(Object.keys(types[token]?.properties ?? {}).sort()).toEqual(declared("types/input.d.ts", after));
  });

  it("has the arguments and outputs of command:local:run that @pulumi/command 1.2.1 declares", async () => {
    const { functions } = (await engine.schema()) as {
      functions: Record<string, { inputs: { properties: WireObject }; outputs: { properties: WireObject } }>;
    };
    const run = functions["command:local:run"];
    expect(Object.keys(run?.inputs.properties ?? {}).sort()).toEqual(
      declared("local/run.d.ts", "interface RunArgs"),
    );
    expect(Object.keys(run?.outputs.properties ?? {}).sort()).toEqual(
      declared("local/run.d.ts", "interface RunResult"),
    );
  });

  it("carries the version that the SDK asks for", async () => {
    expect(await engine.version()).toBe("1.2.1");
  });
});

describe("check", () => {
  it("fills in the connection's defaults and makes it secret (tests/provider_test.go, #248)", async () => {
    const { inputs, failures } = await engine.check("command:remote:Command", {
      create: "true",
      connection: { host: "pi", privateKey: "k", proxy: { host: "bastion", port: 2222 } },
    });
    const defaults = { user: "root", port: 22, dialErrorLimit: 10, perDialTimeout: 15 };
    expect(failures).toEqual([]);
    expect(inputs).toEqual({
      create: "true",
      connection: makeSecret({
        ...defaults,
        host: "pi",
        privateKey: makeSecret("k"),
        proxy: { ...defaults, host: "bastion", port: 2222 },
      }),
    });
  });

  it("reports every problem by its path, without printing values (#773)", async () => {
    const { failures } = await engine.check("command:remote:Command", {
      create: ["private key in the wrong place"],
      connection: { port: "private key in the wrong place", hots: "pi" },
      environment: { A: 1 },
    });
    expect(failures).toEqual([
      "connection.host: Missing required field 'host'",
      "connection.hots: Unrecognized field 'hots'",
      "connection.port: Field must be a number; got a string instead",
      "create: Field must be a string; got an array instead",
      "environment.A: Field must be a string; got a number instead",
    ]);
    const wrong = await engine.check("command:remote:Command", {
      connection: "private key in the wrong place",
    });
    expect(wrong.failures).toEqual(["connection: Field must be an object; got a string instead"]);
    expect(wrong.inputs["connection"]).toEqual(makeSecret("private key in the wrong place"));
  });

  it("lets pass what is not known yet", async () => {
    const inputs = { connection: unknown, source: unknown, remotePath: unknown };
    const result = await engine.check("command:remote:CopyToRemote", inputs);
    expect(result).toEqual({ inputs: { ...inputs, connection: makeSecret(unknown) }, failures: [] });
  });

  it("takes files, texts and path archives as CopyToRemote's source, nothing else (remote/copyController.go)", async () => {
    const failuresFor = async (source: WireObject) => {
      const inputs = { connection: { host: "pi" }, remotePath: "/x", source };
      return (await engine.check("command:remote:CopyToRemote", inputs)).failures;
    };
    expect(await failuresFor(makeAsset({ path: "/x" }))).toEqual([]);
    expect(await failuresFor(makeAsset({ text: "" }))).toEqual([]);
    expect(await failuresFor(makeArchive({ path: "/x" }))).toEqual([]);
    expect(await failuresFor(makeAsset({ uri: "file:///x" }))).toEqual([
      "asset: asset must be a path-based file asset or a text asset",
    ]);
    expect(await failuresFor(makeArchive({ assets: {} }))).toEqual([
      "archive: archive must be a path to a file or directory",
    ]);
  });
});

describe("diff", () => {
  const type = "command:local:Command";

  it("sees nothing where nothing changed, whatever the outputs are", async () => {
    const inputs = { create: "true", environment: makeSecret({ A: "1" }) };
    expect(await engine.diff(type, inputs, inputs)).toEqual({ changes: DIFF_NONE, diffs: [], replaces: [] });
  });

  it("updates for any input: command, environment, even delete", async () => {
    const olds = { create: "a", environment: { A: "1" } };
    const news = { create: "b", environment: { A: "2", B: "3" }, delete: "x" };
    const { changes, diffs, replaces } = await engine.diff(type, olds, news);
    expect([changes, diffs.sort(), replaces]).toEqual([DIFF_SOME, ["create", "delete", "environment"], []]);
  });

  it("replaces when triggers change (#189)", async () => {
    expect(await engine.diff(type, { triggers: [1, "a"] }, { triggers: [1, "b"] })).toMatchObject({
      replaces: ["triggers"],
    });
    expect(await engine.diff(type, {}, { triggers: [1] })).toMatchObject({ replaces: ["triggers"] });
  });

  it("replaces CopyFile for any change, as it has no update", async () => {
    const olds = { localPath: "a", remotePath: "b" };
    const result = await engine.diff("command:remote:CopyFile", olds, { ...olds, localPath: "c" });
    expect(result.replaces).toEqual(["localPath"]);
  });

  it("compares assets by content", async () => {
    const olds = { source: makeAsset({ path: "/a", hash: "1" }) };
    const same = { source: makeAsset({ path: "/b", hash: "1" }) };
    const other = { source: makeAsset({ path: "/a", hash: "2" }) };
    expect((await engine.diff("command:remote:CopyToRemote", olds, same)).changes).toBe(DIFF_NONE);
    expect((await engine.diff("command:remote:CopyToRemote", olds, other)).diffs).toEqual(["source"]);
  });
});

describe("the process", () => {
  it("starts through a symbolic link, from any folder", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pipress link-"));
    symlinkSync(executable, join(folder, "pulumi-resource-command"));
    const other = await EngineStandIn.start({ cwd: "/", program: join(folder, "pulumi-resource-command") });
    expect(await other.version()).toBe("1.2.1");
    await other.close();
    rmSync(folder, { recursive: true });
  });

  it("ends by itself when the engine that started it was killed", async () => {
    const listener = createServer().listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    const pid = abandonedProvider(`127.0.0.1:${port}`);
    await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false);
    listener.close();
  });

  it("ends by itself when the engine was gone before it had started", async () => {
    const pid = abandonedProvider("127.0.0.1:1", "");
    await expect.poll(() => isRunning(pid), { timeout: 20_000 }).toBe(false);
  });
});

/** Starts a provider whose parent goes away, by default when the provider has told its port. */
function abandonedProvider(engineAddress: string, wait = "until [ -s port ]; do sleep 0.1; done"): number {
  const folder = mkdtempSync(join(tmpdir(), "pipress-orphan-"));
  const launcher = `"${executable}" ${engineAddress} > port & echo $!; ${wait}`;
  const output = execFileSync("sh", ["-c", launcher], { cwd: folder, stdio: ["ignore", "pipe", "ignore"] });
  rmSync(folder, { recursive: true });
  const pid = Number(output.toString());
  expect(pid).toBeGreaterThan(1);
  return pid;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
