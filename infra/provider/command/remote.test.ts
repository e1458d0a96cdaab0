/**
 * command:remote:Command, CopyToRemote and CopyFile against a real OpenSSH server, through the provider's executable.
 * Each test names the official behaviour it mirrors (pulumi-command at v1.2.1 unless said otherwise).
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";

import { EngineStandIn, severities, urnOf } from "./testing/engine-stand-in.ts";
import { keygen, SshAgent, Sshd, sshdMissing } from "./testing/sshd.ts";
import { isUnknown, makeArchive, makeAsset, makeSecret } from "./values.ts";

const type = "command:remote:Command";
const urn = urnOf(type);

vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 });
const patience = { timeout: 10_000 };

describe.skipIf(sshdMissing)(`over SSH${sshdMissing ? ` (skipped: ${sshdMissing})` : ""}`, () => {
  let engine: EngineStandIn;
  let sshd: Sshd;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "pipress-remote-"));
    [engine, sshd] = await Promise.all([EngineStandIn.start({ cwd: folder }), Sshd.start()]);
  });

  afterAll(async () => {
    await Promise.allSettled([engine.close(), sshd.stop()]);
    rmSync(folder, { recursive: true });
  });

  const create = (inputs: object, connection = sshd.connection()) =>
    engine.create(type, { connection: makeSecret(connection), ...inputs });

  describe("a remote command", () => {
    it("runs and returns its outputs; a secret connection does not make them secret (#256)", async () => {
      const { id, properties } = await create({ create: "echo out; echo err >&2" });
      expect(id).toMatch(/^it[0-9a-f]{8}$/);
      expect(properties).toEqual({
        connection: makeSecret(sshd.connection()),
        create: "echo out; echo err >&2",
        stdout: "out",
        stderr: "err",
      });
    });

    it("does not connect at preview", async () => {
      const connection = makeSecret({ host: "203.0.113.1" });
      const { properties } = await engine.create(type, { connection, create: "true" }, { preview: true });
      expect(isUnknown(properties["stdout"])).toBe(true);
    });

    it("gets stdin, and end of input without it", async () => {
      expect((await create({ create: "cat", stdin: "hello" })).properties["stdout"]).toBe("hello");
      expect((await create({ create: "cat; echo end" })).properties["stdout"]).toBe("end");
    });

    it("shows each line as a status message", async () => {
      await create({ create: "echo shown remotely; echo hidden remotely >&2", logging: "stdout" });
      expect(engine.statusLines(urn)).toContain("shown remotely");
      expect(engine.statusLines(urn)).not.toContain("hidden remotely");
    });

    it("reports exit status or signal, command and output in the words of Go's ssh package", async () => {
      await expect(create({ create: "echo why; exit 4" })).rejects.toThrow(
        new Error('Process exited with status 4: running "echo why; exit 4":\nwhy\n'),
      );
      await expect(create({ create: "kill -9 $$" })).rejects.toThrow(
        /^Process exited with status 137 from signal KILL: running/,
      );
    });

    it("holds large outputs", async () => {
      const { properties } = await create({ create: "seq 200000", logging: "none" });
      expect(properties["stdout"]).toMatch(/\n200000$/);
    });

    it("deletes with the state's connection, and the last stdout in its environment", async () => {
      const file = join(folder, "deleted");
      const state = { connection: sshd.connection(), stdout: "last", stderr: "" };
      await engine.delete(type, { ...state, delete: `echo $PULUMI_COMMAND_STDOUT > ${file}` });
      expect(readFileSync(file, "utf8")).toBe("last\n");
    });

    it("ends on cancel: SIGTERM on the host, and hanging up where the server passes no signals on", async () => {
      const other = await EngineStandIn.start({ cwd: folder });
      onTestFinished(() => other.close());
      const ended = join(folder, "ended");
      const running = other.create(type, {
        connection: sshd.connection(),
        // Its loop ends with the tests' folder where nothing can signal it.
        create: `trap 'touch ${ended}; exit 130' TERM; echo on; while test -d ${folder}; do sleep 0.1; done`,
      });
      // OpenSSH refuses to signal root's sessions ("session signalling requires privilege separation").
      const fate = sshd.user === "root" ? /^wait: remote command exited without exit status/ : /status 130/;
      const failed = expect(running).rejects.toThrow(fate);
      await expect.poll(() => other.statusLines(urn), patience).toContain("on");
      await other.cancel();
      await failed;
      expect(existsSync(ended)).toBe(sshd.user !== "root");
    });
  });

  describe("environment over SSH", () => {
    it("reaches the command where the server's AcceptEnv lists it", async () => {
      const { properties } = await create({ create: "echo $GREETING", environment: { GREETING: "hi" } });
      expect(properties["stdout"]).toBe("hi");
    });

    it("fails before the command runs where the server refuses it, and says what to do (logAndWrapSetenvErr)", async () => {
      const file = join(folder, "ran-without-environment");
      await expect(
        create({ create: `touch ${file}`, environment: { GREETING: "hi", SECRET_SAUCE: "x" } }),
      ).rejects.toThrow('could not set environment variable "SECRET_SAUCE": ssh: setenv failed');
      expect(existsSync(file)).toBe(false);
      expect(engine.messages).toContainEqual(
        expect.objectContaining({
          severity: severities.ERROR,
          ephemeral: false,
          message: expect.stringMatching(
            /^Unable to set 'SECRET_SAUCE'. This only works if .* AcceptEnv/,
          ) as string,
        }),
      );
    });

    it("offers the last outputs, and only warns where the server refuses them (remote/commandOutputs.go)", async () => {
      const state = { connection: sshd.connection(), stdout: "previous", stderr: "complaints" };
      const news = { connection: sshd.connection(), create: "echo $PULUMI_COMMAND_STDOUT" };
      expect(await engine.update(type, state, news)).toMatchObject({ stdout: "previous" });
      const warnings = engine.messages.filter(({ severity }) => severity === severities.WARNING);
      expect(warnings.map(({ message }) => message.slice(0, 41))).toEqual([
        "Unable to set 'PULUMI_COMMAND_STDERR'. Th",
      ]);
    });

    it("offers nothing with addPreviousOutputInEnv: false", async () => {
      const connection = sshd.connection();
      const news = { connection, create: "echo [$PULUMI_COMMAND_STDOUT]", addPreviousOutputInEnv: false };
      expect(await engine.update(type, { stdout: "previous", stderr: "" }, news)).toMatchObject({
        stdout: "[]",
      });
    });
  });

  describe("the connection", () => {
    it("is refused when the host key is another one, before anything secret is sent (ssh.FixedHostKey)", async () => {
      keygen(join(folder, "other"));
      const hostKey = readFileSync(join(folder, "other.pub"), "utf8");
      await expect(create({ create: "true" }, sshd.connection({ hostKey }))).rejects.toThrow(
        /host key mismatch at 127\.0\.0\.1:\d+: it has ssh-ed25519 SHA256:\S+, hostKey is ssh-ed25519 SHA256:/,
      );
    });

    it("is not verified without hostKey (remote/connection.go, InsecureIgnoreHostKey)", async () => {
      const connection = sshd.connection() as Record<string, unknown>;
      delete connection["hostKey"];
      expect((await create({ create: "echo in" }, connection as never)).properties["stdout"]).toBe("in");
    });

    it("names an unreadable host key or private key at once, without printing it (#773)", async () => {
      await expect(create({ create: "true" }, sshd.connection({ hostKey: "nonsense" }))).rejects.toThrow(
        "failed to parse host key: ssh: no key found",
      );
      const failure = create({ create: "true" }, sshd.connection({ privateKey: "not really a key" }));
      await expect(failure).rejects.toThrow(/^private key of \S+@127\.0\.0\.1: /);
      await expect(failure).rejects.not.toThrow(/not really/);
    });

    it("takes an encrypted private key with its password", async () => {
      const encrypted = { privateKey: sshd.encryptedKey, privateKeyPassword: "open sesame" };
      expect((await create({ create: "echo in" }, sshd.connection(encrypted))).properties["stdout"]).toBe(
        "in",
      );
    });

    it("asks the agent when there is no private key (agentSocketPath)", async () => {
      const agent = await SshAgent.start(folder, sshd.privateKeyFile);
      onTestFinished(() => {
        agent.stop();
      });
      const connection = sshd.connection({ agentSocketPath: agent.socket }) as Record<
        string,
        string | number
      >;
      delete connection["privateKey"];
      expect((await create({ create: "echo in" }, connection as never)).properties["stdout"]).toBe("in");
    });

    it("says which agent is not there", async () => {
      const connection = sshd.connection({ agentSocketPath: join(folder, "none.sock") }) as Record<
        string,
        unknown
      >;
      delete connection["privateKey"];
      await expect(create({ create: "true" }, connection as never)).rejects.toThrow(
        /dial unix .*none\.sock: connect: no such file or directory/,
      );
    });

    it("reports a login that fails with the methods tried, and retries as often as dialErrorLimit allows", async () => {
      keygen(join(folder, "stranger"));
      const privateKey = readFileSync(join(folder, "stranger"), "utf8");
      await expect(
        create({ create: "true" }, sshd.connection({ privateKey, dialErrorLimit: 2 })),
      ).rejects.toThrow(
        /^after 2 failed attempts: ssh: handshake failed: ssh: unable to authenticate as \S+ at 127\.0\.0\.1:\d+, attempted methods \[none publickey\]/,
      );
      expect(engine.statusLines(urn)).toContain("Dial 1/2 failed: retrying");
      expect(engine.statusLines(urn)).toContain("Dial 2/2 failed: retrying");
    });

    it("names the address where nobody listens", async () => {
      await expect(create({ create: "true" }, sshd.connection({ port: 1 }))).rejects.toThrow(
        "after 0 failed attempts: dial tcp 127.0.0.1:1: connect: connection refused",
      );
    });

    it("gives up on a server that never answers after perDialTimeout seconds", async () => {
      const silent = createServer().listen(0, "127.0.0.1");
      await new Promise((resolve) => silent.once("listening", resolve));
      const { port } = silent.address() as { port: number };
      await expect(create({ create: "true" }, sshd.connection({ port, perDialTimeout: 1 }))).rejects.toThrow(
        `dial tcp 127.0.0.1:${port}: i/o timeout`,
      );
      silent.close();
    });

    it("ends a dial on cancel rather than after its timeout", async () => {
      const silent = createServer().listen(0, "127.0.0.1");
      const other = await EngineStandIn.start({ cwd: folder });
      onTestFinished(() => other.close());
      const connected = new Promise((resolve) => silent.once("connection", resolve));
      const { port } = silent.address() as { port: number };
      const connection = sshd.connection({ port, perDialTimeout: 300, dialErrorLimit: -1 });
      const failed = expect(other.create(type, { connection, create: "true" })).rejects.toThrow(
        "context canceled",
      );
      await connected;
      await other.cancel();
      await failed;
      silent.close();
    });

    it("goes through a proxy, with a host key of its own (remote/connection.go, Dial)", async () => {
      const target = await Sshd.start();
      onTestFinished(() => target.stop());
      const proxy = sshd.connection();
      const through = (changes = {}) => ({ ...target.connection(), proxy: { ...proxy, ...changes } });
      const { properties } = await create({ create: "echo $SSH_CONNECTION" }, through() as never);
      expect(properties["stdout"]).toMatch(new RegExp(` 127.0.0.1 ${target.port}$`));
      await expect(create({ create: "true" }, through({ hostKey: target.hostKey }) as never)).rejects.toThrow(
        /^proxy: after 0 failed attempts: .*host key mismatch/,
      );
    });
  });

  describe("CopyToRemote", () => {
    const copy = "command:remote:CopyToRemote";
    const put = (source: object, remotePath: string) =>
      engine.create(copy, { connection: sshd.connection(), source: source as never, remotePath });

    it("copies a file, making the folders on the way, and overwrites what is there (remote/copyController.go)", async () => {
      const file = join(folder, "big");
      writeFileSync(file, Buffer.alloc(3_000_000, "pipress"));
      const { id } = await put(makeAsset({ path: file }), join(folder, "to/here/big"));
      expect(id).toMatch(/^[0-9a-f]{8}$/);
      expect(readFileSync(join(folder, "to/here/big")).equals(readFileSync(file))).toBe(true);
      writeFileSync(file, "shorter");
      await put(makeAsset({ path: file }), join(folder, "to/here/big"));
      expect(readFileSync(join(folder, "to/here/big"), "utf8")).toBe("shorter");
    });

    it("copies a file into a folder that is there", async () => {
      writeFileSync(join(folder, "note"), "n");
      mkdirSync(join(folder, "drawer"));
      await put(makeAsset({ path: join(folder, "note") }), join(folder, "drawer"));
      expect(readFileSync(join(folder, "drawer/note"), "utf8")).toBe("n");
    });

    it("copies an empty file", async () => {
      writeFileSync(join(folder, "empty"), "");
      await put(makeAsset({ path: join(folder, "empty") }), join(folder, "copied-empty"));
      expect(readFileSync(join(folder, "copied-empty"), "utf8")).toBe("");
    });

    it("writes a text asset, but not over a folder", async () => {
      await put(makeAsset({ text: "grüezi\n" }), join(folder, "texts/hello"));
      expect(readFileSync(join(folder, "texts/hello"), "utf8")).toBe("grüezi\n");
      await expect(put(makeAsset({ text: "x" }), join(folder, "texts"))).rejects.toThrow(
        /texts is a directory; when using a text asset, remotePath must be a file path/,
      );
    });

    it("copies a folder as a folder, and what is in it when the source ends in a slash", async () => {
      mkdirSync(join(folder, "tree/deep"), { recursive: true });
      writeFileSync(join(folder, "tree/deep/leaf"), "l");
      await put(makeArchive({ path: join(folder, "tree") }), join(folder, "whole"));
      await put(makeArchive({ path: join(folder, "tree") + "/" }), join(folder, "inside"));
      expect(readFileSync(join(folder, "whole/tree/deep/leaf"), "utf8")).toBe("l");
      expect(readFileSync(join(folder, "inside/deep/leaf"), "utf8")).toBe("l");
    });

    it("does not copy a folder over a file", async () => {
      mkdirSync(join(folder, "dir/x"), { recursive: true });
      writeFileSync(join(folder, "plain"), "");
      await expect(
        put(makeArchive({ path: join(folder, "dir") + "/" }), join(folder, "plain")),
      ).rejects.toThrow(/plain exists but is not a directory/);
    });

    it("names a local file that is not there", async () => {
      await expect(put(makeAsset({ path: "/no/such" }), join(folder, "x"))).rejects.toThrow(
        "open /no/such: no such file or directory",
      );
    });

    it("copies again on update only when content or path changed, not for another connection (remote/copyController.go)", async () => {
      const file = join(folder, "source");
      writeFileSync(file, "fresh");
      const target = join(folder, "target");
      const inputs = {
        connection: sshd.connection(),
        source: makeAsset({ path: file, hash: "1" }),
        remotePath: target,
      };
      await engine.update(copy, inputs, { ...inputs, connection: sshd.connection({ perDialTimeout: 5 }) });
      expect(existsSync(target)).toBe(false);
      await engine.update(copy, inputs, { ...inputs, source: makeAsset({ path: file, hash: "2" }) });
      expect(readFileSync(target, "utf8")).toBe("fresh");
    });

    it("leaves the file on the host when deleted: there is no delete", async () => {
      await engine.delete(copy, {
        connection: sshd.connection({ port: 1 }),
        remotePath: join(folder, "target"),
      });
      expect(existsSync(join(folder, "target"))).toBe(true);
    });
  });

  describe("CopyFile (deprecated)", () => {
    const inputs = (localPath: string, remotePath: string) => ({
      connection: sshd.connection(),
      localPath,
      remotePath,
    });

    it("copies one file, and has no update (remote/copyfileController.go)", async () => {
      writeFileSync(join(folder, "one"), "1");
      const wanted = inputs(join(folder, "one"), join(folder, "uno"));
      await engine.create("command:remote:CopyFile", wanted);
      expect(readFileSync(join(folder, "uno"), "utf8")).toBe("1");
      await expect(engine.update("command:remote:CopyFile", wanted, wanted)).rejects.toThrow(
        /Update is not implemented/,
      );
    });
  });
});
