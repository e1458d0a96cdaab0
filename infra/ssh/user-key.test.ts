import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Hop, Machine } from "./machine.ts";
import { Session } from "./session.ts";
import { hostKey } from "./testing/host-key.ts";
import { sshdMissing, startSshd } from "./testing/sshd.ts";
import { userKeyDefect } from "./user-key.ts";

const hop: Hop = { address: "10.0.0.7", port: 22, user: "pi", hostKey };
let folder: string;
let good: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pipress keys-"));
  await Promise.all([make("good", ""), make("secret", "a passphrase")]);
  good = await readFile(join(folder, "good"), "utf8");
});

afterAll(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

async function make(name: string, passphrase: string): Promise<void> {
  await execa("ssh-keygen", ["-q", "-t", "ed25519", "-N", passphrase, "-f", join(folder, name)]);
}

async function defectOf(name: string, content?: string, mode = 0o600): Promise<string | undefined> {
  const path = join(folder, name);
  if (content !== undefined) await writeFile(path, content, { mode });
  const defect = await userKeyDefect({ ...hop, privateKeyFile: path });
  return defect && `${defect.what} — ${defect.remedy}`.replaceAll(`'${path}'`, "KEY");
}

test("a good key has no defect", async () => {
  expect(await defectOf("good")).toBeUndefined();
});

test("each defect of a key file is named, with what mends it", async () => {
  expect(await defectOf("secret")).toMatch(
    /^the private key KEY is protected with a passphrase, .* `ssh-add KEY`/,
  );
  expect(await defectOf("crlf", good.replaceAll("\n", "\r\n"))).toMatch(
    /end as on Windows \(CRLF\) — sed -i/,
  );
  expect(await defectOf("no-end", good.trimEnd())).toBe("the last line of KEY has no end — echo >> KEY");
  expect(await defectOf("open", good, 0o644)).toMatch(/which others can read — chmod 600 KEY$/);
  expect(await defectOf("public", await readFile(join(folder, "good.pub"), "utf8"))).toMatch(
    /^KEY is a public key/,
  );
  expect(await defectOf("empty", "")).toMatch(/^KEY is empty/);
  expect(await defectOf("cut", good.slice(0, 150))).toMatch(/is cut off or damaged/);
  expect(await defectOf("putty", "PuTTY-User-Key-File-3: ssh-ed25519\n")).toMatch(
    /form of PuTTY — `puttygen KEY/,
  );
  expect(await defectOf("prose", "my key\n")).toMatch(/^KEY is no private key/);
  await mkdir(join(folder, "folder"));
  expect(await defectOf("folder")).toMatch(/^KEY is not a file/);
});

test("what mends a key does mend it", async () => {
  for (const [name, content] of [
    ["crlf", good.replaceAll("\n", "\r\n")],
    ["no-end", good.trimEnd()],
    ["open", good],
  ] as const) {
    const path = join(folder, name);
    await writeFile(path, content);
    const mode = name === "open" ? "644" : "600";
    await execa("chmod", [mode, path]);
    const { remedy = "" } = (await userKeyDefect({ ...hop, privateKeyFile: path })) ?? {};
    await execa({ shell: true })(remedy);
    expect(await defectOf(name), remedy).toBeUndefined();
  }
});

test("without a key file it is the agent that has none, or is not there", async () => {
  vi.stubEnv("SSH_AUTH_SOCK", undefined);
  expect((await userKeyDefect(hop, "/nowhere"))?.what).toBe(
    "there is no key: no private key is named, and no SSH agent runs",
  );
  expect((await userKeyDefect({ ...hop, agentSocket: "/nowhere" }, "/nowhere"))?.what).toBe(
    "no SSH agent answers at /nowhere",
  );
  const agentSocket = join(folder, "agent");
  const { stdout } = await execa("ssh-agent", ["-a", agentSocket]);
  const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(stdout)?.[1]);
  try {
    expect((await userKeyDefect({ ...hop, agentSocket }, "/nowhere"))?.what).toBe(
      "the SSH agent holds no key",
    );
    await execa("ssh-add", ["-q", join(folder, "good")], { env: { SSH_AUTH_SOCK: agentSocket } });
    expect(await userKeyDefect({ ...hop, agentSocket })).toBeUndefined();
  } finally {
    process.kill(pid);
  }
});

test("without a key file and an agent it is the usual key that has a passphrase, or the host does not accept it", async () => {
  vi.stubEnv("SSH_AUTH_SOCK", undefined);
  const usual = join(folder, "usual");
  await mkdir(usual);
  await copyFile(join(folder, "secret"), join(usual, "id_ed25519"));
  expect((await userKeyDefect(hop, usual))?.what).toMatch(
    /usual\/id_ed25519.? is protected with a passphrase/,
  );
  await copyFile(join(folder, "good"), join(usual, "id_ed25519"));
  expect(await userKeyDefect(hop, usual)).toBeUndefined();
});

describe.skipIf(sshdMissing)("an agent of many keys", { timeout: 60_000 }, () => {
  test("is refused after a few, and does where a key file says which one", async () => {
    const sshd = await startSshd("pi-0");
    const agentSocket = join(folder, "full-agent");
    const { stdout } = await execa("ssh-agent", ["-a", agentSocket]);
    const pid = Number(/SSH_AGENT_PID=(\d+)/.exec(stdout)?.[1]);
    try {
      const others = Array.from({ length: 7 }, (_, index) => `other-${index}`);
      await Promise.all(others.map((name) => make(name, "")));
      const { privateKeyFile = "", ...host } = sshd.host;
      const keys = [...others.map((name) => join(folder, name)), privateKeyFile];
      await execa("ssh-add", ["-q", ...keys], { env: { SSH_AUTH_SOCK: agentSocket } });
      const run = (machine: Machine) => Session.use(machine, (session) => session.run("true"));
      const refused = await run({ ...host, agentSocket });
      expect(refused).toMatchObject({ kind: "lost", failure: { kind: "userKey" } });
      expect((refused as { failure: Error }).failure.message).toMatch(
        /^pi-0: the host refuses to look at more keys: .* — set privateKeyFile to the right one \(its \.pub file/,
      );
      expect(await run({ ...host, agentSocket, privateKeyFile: `${privateKeyFile}.pub` })).toMatchObject({
        code: 0,
      });
    } finally {
      process.kill(pid);
      await sshd.remove();
    }
  });
});
