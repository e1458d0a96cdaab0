import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { Connection } from "./connection.ts";
import { type FailureKind } from "./failure.ts";
import type { Hop, Machine } from "./machine.ts";
import { Session, type Ending } from "./session.ts";
import { makeKey, sshdMissing, startSshd, type TestSshd } from "./testing/sshd.ts";

// OpenSSH on both ends.
let target: TestSshd;
let gate: TestSshd;
let folder: string;

describe.skipIf(sshdMissing)("a session", { timeout: 60_000 }, () => {
  beforeAll(async () => {
    // ssh fills in what follows a percent sign in a path, and splits at blanks.
    folder = await mkdtemp(join(tmpdir(), "pipress 100%h-"));
    [target, gate] = await Promise.all([startSshd("pi-0"), startSshd("gate")]);
  });
  afterAll(async () => {
    await Promise.all([target.remove(), gate.remove()]);
    await rm(folder, { recursive: true });
  });

  const bastion = (): Hop => {
    const { address, port, user, hostKey, privateKeyFile } = gate.host;
    return { address, port, user, hostKey, privateKeyFile };
  };
  const run = (machine: Machine, command: string, input?: string): Promise<Ending> =>
    Session.use(machine, (session) => session.run(command, input, { quiet: true }));

  async function failureOf(machine: Machine): Promise<{ kind: FailureKind; message: string }> {
    const ending = await run(machine, "true");
    if (ending.kind === "ended") throw new Error(`ended with ${String(ending.code)}`);
    return ending.failure;
  }

  it("runs a command with its input, and returns its output and status", async () => {
    expect(await run(target.host, "cat; exit 7", "hello")).toEqual({
      kind: "ended",
      code: 7,
      stdout: "hello",
    });
  });

  it("attaches to a command there, and has its status", async () => {
    const attach = (machine: Machine, command: string) =>
      Session.use(machine, (session) => session.attach(command));
    expect(await attach(target.host, "exit 7")).toBe(7);
    // The command's own 255 is no lost connection, and one that begins with a dash no option of ssh.
    expect(await attach(target.host, "exit 255")).toBe(255);
    expect(await attach(target.host, "-V 2>/dev/null")).toBe(2);
    const stranger = { ...target.host, hostKey: gate.host.hostKey };
    await expect(attach(stranger, "true")).rejects.toThrow(/pi-0: .*key/);
  });

  it("goes over a bastion, each of the two with a key of its own", async () => {
    const machine = { ...target.host, bastion: bastion() };
    expect(await run(machine, "echo $0 >/dev/null; cat", "x")).toMatchObject({ kind: "ended", stdout: "x" });
  });

  it("finds a key under a path that ssh would take apart", async () => {
    const { path, publicKey } = await makeKey(folder, "my key");
    const file = join(target.folder, "authorized_keys");
    await writeFile(file, publicKey, { flag: "a" });
    expect(await run({ ...target.host, privateKeyFile: path }, "true")).toMatchObject({ code: 0 });
  });

  it("tells a connection that was lost from one that was never made", async () => {
    expect(await run(target.host, "kill -9 $PPID")).toMatchObject({ kind: "lost", wasConnected: true });
    expect(await run({ ...target.host, port: 1 }, "true")).toMatchObject({
      kind: "lost",
      wasConnected: false,
    });
  });

  it("says what is wrong with the machine", async () => {
    const { host } = target;
    const stranger = await failureOf({ ...host, hostKey: gate.host.hostKey });
    expect(stranger.message).toMatch(
      /^pi-0: wrong host key: expected SHA256:\S+, offered SHA256:\S+; nothing/,
    );
    const { path } = await makeKey(folder, "stranger");
    expect(await failureOf({ ...host, privateKeyFile: path })).toMatchObject({ kind: "userKey" });
    const key = join(folder, "open");
    await copyFile(host.privateKeyFile ?? "", key);
    await chmod(key, 0o644);
    expect((await failureOf({ ...host, privateKeyFile: key })).message).toContain("which others can read");
    await copyFile(`${host.privateKeyFile}.pub`, key);
    await chmod(key, 0o600);
    expect((await failureOf({ ...host, privateKeyFile: key })).message).toContain("is a public key");
    expect((await failureOf({ ...host, hostKey: "ssh-rsa AAAA" })).message).toContain(
      "of the expected type ssh-rsa",
    );
    expect((await failureOf({ ...host, address: "no.such.invalid" })).message).toContain("does not resolve");
    expect((await failureOf({ ...host, port: 1 })).message).toContain("nothing listens on 127.0.0.1:1 — ");
  });

  it("says whether the machine or its bastion is the one", async () => {
    const through = (changes: Partial<Hop>, host: Machine = target.host) => ({
      ...host,
      bastion: { ...bastion(), ...changes },
    });
    const { path } = await makeKey(folder, "nobody");
    const { message: unknown } = await failureOf(through({ hostKey: target.host.hostKey }));
    expect(unknown).toMatch(
      /^pi-0 \/ bastion: wrong host key: expected SHA256:\S+, offered SHA256:\S+; nothing/,
    );
    expect((await failureOf(through({ privateKeyFile: path }))).message).toMatch(
      /^pi-0 \/ bastion: the bastion 127\.0\.0\.1 does not accept the key of user .* bastion\.privateKeyFile/,
    );
    expect((await failureOf(through({ port: 1 }))).message).toMatch(
      /^pi-0 \/ bastion: .* nothing listens on 127\.0\.0\.1:1 —/,
    );
    expect((await failureOf(through({ address: "gate.invalid" }))).message).toMatch(
      /^pi-0 \/ bastion: unreachable: the name gate\.invalid does not resolve — correct bastion\.address/,
    );
    expect((await failureOf(through({ hostKey: "ssh-rsa AAAA" }))).message).toMatch(
      /^pi-0 \/ bastion: the bastion 127\.0\.0\.1 has no host key of the expected type ssh-rsa, it offers ssh-ed25519/,
    );
    const behind = { ...target.host, port: 1 };
    expect((await failureOf(through({}, behind))).message).toMatch(
      /^pi-0: unreachable: nothing listens on 127\.0\.0\.1:1 through the bastion 127\.0\.0\.1:\d+ —/,
    );
    const stranger = { ...target.host, privateKeyFile: path };
    expect((await failureOf(through({}, stranger))).message).toMatch(
      /^pi-0: the host does not accept the key/,
    );
    const { message: unresolved } = await failureOf(
      through({}, { ...target.host, address: "no.such.invalid" }),
    );
    expect(unresolved).toMatch(
      /^pi-0: unreachable: the name no\.such\.invalid does not resolve on the bastion/,
    );
  });

  it("says that a bastion lets nothing through", async () => {
    const closed = await startSshd("gate", {}, ["AllowTcpForwarding no"]);
    const { address, port, user, hostKey, privateKeyFile } = closed.host;
    const bastion = { address, port, user, hostKey, privateKeyFile };
    expect((await failureOf({ ...target.host, bastion })).message).toMatch(
      /^pi-0 \/ bastion: sshd of the bastion 127\.0\.0\.1 lets no connection through to other machines — set Allow/,
    );
    await closed.remove();
  });

  it("cannot be had with a private key that nobody can read, of the machine or its bastion", async () => {
    const nowhere = { privateKeyFile: "/nowhere/key" };
    await expect(Session.open({ ...target.host, ...nowhere })).rejects.toThrow(
      "pi-0: the private key /nowhere/key cannot be read",
    );
    const opened = Session.open({ ...target.host, bastion: { ...bastion(), ...nowhere } });
    await expect(opened).rejects.toThrow(UserError);
    await expect(opened).rejects.toThrow("pi-0 / bastion: the private key /nowhere/key cannot be read");
  });

  it("needs no folder of a login", async () => {
    vi.stubEnv("XDG_RUNTIME_DIR", "/nowhere");
    expect(await run(target.host, "true")).toMatchObject({ code: 0 });
    vi.unstubAllEnvs();
  });

  it("needs no folder for temporary files with a short name", async () => {
    const long = join(folder, "x".repeat(100));
    await mkdir(long);
    vi.stubEnv("XDG_RUNTIME_DIR", undefined);
    vi.stubEnv("TMPDIR", long);
    const connection = await Connection.open(target.host, 9);
    await connection.close();
    vi.unstubAllEnvs();
  });

  it("ends when it is told to", async () => {
    const began = Date.now();
    const ending = await Session.use(target.host, (session) =>
      session.run("sleep 30", "", { signal: AbortSignal.timeout(1000) }),
    );
    expect(ending).toMatchObject({ kind: "lost" });
    expect(Date.now() - began).toBeLessThan(10_000);
  });
});
