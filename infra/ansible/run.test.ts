import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { fingerprint } from "../ssh/machine.ts";
import { PlaybookFailed } from "./playbook-failed.ts";
import { closeConnections, type PlaybookRun, runPlaybook } from "./run.ts";
import { makePlayFolder, playRun, type PlayFolder } from "./testing/play-folder.ts";
import { makeKey, sshdMissing, startSshd, type TestSshd } from "../ssh/testing/sshd.ts";

// The real ansible-playbook against a real sshd; only the host is this machine.
const timeout = 240_000;
let sshd: TestSshd;
let play: PlayFolder | undefined;
let messages: string[] = [];

describe.skipIf(sshdMissing)(`ansible-playbook over SSH${sshdMissing ? ` (skipped: ${sshdMissing})` : ""}`, () => {
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(() => sshd.remove());
afterEach(async () => {
  await closeConnections();
  await play?.remove();
  messages = [];
});

async function makeRun(tasks: string, changes: Partial<PlaybookRun> = {}): Promise<PlaybookRun> {
  play = await makePlayFolder(tasks);
  const log = (message: string): void => void messages.push(message);
  return { ...playRun(play, sshd.host, log), ...changes };
}

function logs(): Promise<string[]> {
  return readdir(play?.logFolder ?? "");
}

const copyFile = `
- name: unit file
  ansible.builtin.copy: { content: "{{ text }}", dest: "{{ target }}", mode: "0644" }
- name: report
  ansible.builtin.set_stats: { data: { release: "{{ text }}" }, per_host: false }
`;

test(
  "this user alone reads the inventory, which holds secrets, and the log of a run that failed",
  async () => {
    const run = await makeRun(`
- ansible.builtin.stat: { path: "{{ item }}" }
  loop: ["{{ inventory_file }}", "{{ inventory_dir }}"]
  register: found
- ansible.builtin.fail: { msg: "{{ found.results | map(attribute='stat.mode') | join(' ') }}" }
`);
    await expect(runPlaybook(run)).rejects.toThrow(/: 0600 0700 /);
    const [log = ""] = await logs();
    expect((await stat(join(run.logFolder ?? "", log))).mode & 0o777).toBe(0o600);
  },
  timeout,
);

test(
  "a play changes its host, reports figures, and changes nothing the second time",
  async () => {
    const run = await makeRun(copyFile);
    const target = join(dirname(run.playbook), "target");
    run.vars = { text: "not a {{ template }}", target };
    const first = await runPlaybook(run);
    expect(first.recap).toMatchObject({ changed: 1, failed: 0 });
    expect(first.recap.changedTasks).toEqual([expect.stringContaining("unit file")]);
    expect(first.results).toEqual({ release: "not a {{ template }}" });
    expect(await readFile(target, "utf8")).toBe("not a {{ template }}");
    expect(messages.some((line) => /^pi-0: .*unit file \(1(\/\d+)?, \d+ s\)$/.test(line))).toBe(true);
    const second = await runPlaybook(run);
    expect(second.recap.changed).toBe(0);
    expect(await logs()).toEqual([]);
  },
  timeout,
);

test(
  "check mode names what differs and touches nothing",
  async () => {
    const run = await makeRun(copyFile, { check: true });
    const target = join(dirname(run.playbook), "target");
    await writeFile(target, "edited by hand");
    const { recap } = await runPlaybook({ ...run, vars: { text: "as declared", target } });
    expect(recap.changedTasks).toEqual([expect.stringMatching(/unit file/)]);
    expect(await readFile(target, "utf8")).toBe("edited by hand");
  },
  timeout,
);

test(
  "a failing task's own message is the error, without secrets, and its log stays",
  async () => {
    const run = await makeRun(
      `- name: start the server\n  ansible.builtin.fail: { msg: "port 8080 is taken (key {{ key }})" }`,
      { secretVars: { key: "s3cr3t-api-key" } },
    );
    const failure = runPlaybook(run);
    await expect(failure).rejects.toBeInstanceOf(PlaybookFailed);
    await expect(failure).rejects.toThrow(
      /^pi-0 \/ start the server: port 8080 is taken \(key \[secret\]\) — log: .*\.log$/,
    );
    const [log = ""] = await logs();
    const text = await readFile(join(play?.logFolder ?? "", log), "utf8");
    expect(text).toContain("port 8080 is taken");
    expect(text).not.toContain("s3cr3t-api-key");
  },
  timeout,
);

test(
  "hosts that begin the same play at the same time share one, in which each fares in its own way",
  async () => {
    const other = await startSshd("pi-1");
    const run = await makeRun(`
- name: tell
  ansible.builtin.copy: { content: "{{ ansible_play_hosts | join(' ') }}", dest: "{{ target }}", mode: "0644" }
- name: refuse
  ansible.builtin.fail: { msg: "too hot" }
  when: hot
- name: report
  ansible.builtin.set_stats: { data: { cool: "{{ inventory_hostname }}" }, per_host: true }
`);
    const playOn = (host: PlaybookRun["host"], hot: boolean) =>
      runPlaybook({ ...run, host, vars: { hot, target: join(dirname(run.playbook), host.name) } });
    const [failed, done, off] = await Promise.allSettled([
      playOn(sshd.host, true),
      playOn(other.host, false),
      playOn({ ...sshd.host, name: "pi-2", port: 1 }, false),
    ]);
    await other.remove();
    expect(String(failed.status === "rejected" && failed.reason)).toMatch(/pi-0 \/ refuse: too hot — log: .*pi-0-site-/);
    expect(done).toMatchObject({ status: "fulfilled", value: { recap: { ok: 1, changed: 1 }, results: { cool: "pi-1" } } });
    expect(String(off.status === "rejected" && off.reason)).toContain("pi-2: unreachable");
    expect(await readFile(join(dirname(run.playbook), "pi-1"), "utf8")).toBe("pi-0 pi-1");
    const [log = "", ...more] = await logs();
    expect(more).toEqual([]);
    expect(await readFile(join(play?.logFolder ?? "", log), "utf8")).not.toContain('"host": "pi-1"');
  },
  timeout,
);

test(
  "a playbook that Ansible cannot read is one error",
  async () => {
    const run = await makeRun(`- no.such_collection.module: {}`);
    await expect(runPlaybook(run)).rejects.toThrow(/^pi-0 \/ site: ansible-playbook ended with code \d+: .*no\.such/);
  },
  timeout,
);

test(
  "the host pulls files by digest through its own SSH connection, also after that connection dropped",
  async () => {
    const content = randomBytes(300_000);
    const sha256 = createHash("sha256").update(content).digest("hex");
    const fetchOnce = (n: number) =>
      `- name: fetch ${n}\n  ansible.builtin.command: curl -sf --unix-socket {{ pipress_socket }} -o {{ folder }}/got${n} http://host/sha256/${sha256}`;
    const drop = `- name: drop\n  ansible.builtin.file: { path: "{{ folder }}/dropped", state: touch, mode: "0644" }`;
    const wait = `- name: wait\n  ansible.builtin.wait_for: { path: "{{ pipress_socket }}", timeout: 20, delay: 1 }`;
    const run = await makeRun([fetchOnce(1), drop, wait, fetchOnce(2)].join("\n"));
    const path = join(dirname(run.playbook), "model.gguf");
    await writeFile(path, content);
    const running = runPlaybook({
      ...run,
      vars: { folder: dirname(run.playbook) },
      files: [{ sha256, bytes: content.length, path, remedy: "" }],
    });
    const cut = (async () => {
      while (!existsSync(join(dirname(run.playbook), "dropped"))) await sleep(50);
      await sshd.stop();
      await sshd.start();
    })();
    await Promise.all([running, cut]);
    expect(messages.some((line) => line.endsWith("· sent 87 % of 300 kB"))).toBe(true);
    expect((await readFile(join(dirname(run.playbook), "got1"))).equals(content)).toBe(true);
    expect((await readFile(join(dirname(run.playbook), "got2"))).equals(content)).toBe(true);
  },
  timeout,
);

test(
  "a connection that is kept for the next play is used by it, and made anew where it dropped meanwhile",
  async () => {
    const run = await makeRun(`
- name: who\n  ansible.builtin.shell: echo $SSH_CONNECTION\n  register: who
- name: report\n  ansible.builtin.set_stats: { data: { port: "{{ who.stdout.split(' ')[1] }}" } }`);
    const portUsed = async () => (await runPlaybook(run)).results.port;
    const first = await portUsed();
    expect(await portUsed()).toBe(first);
    await sshd.stop();
    await sshd.start();
    expect(await portUsed()).not.toBe(first);
    await sshd.stop();
    await expect(portUsed()).rejects.toThrow(/^pi-0: unreachable/);
    await sshd.start();
  },
  timeout,
);

test(
  "a wrong host key stops everything and shows both fingerprints",
  async () => {
    const run = await makeRun(copyFile);
    const { publicKey } = await makeKey(dirname(run.playbook), "stranger");
    const hostKey = publicKey.trim().split(" ").slice(0, 2).join(" ");
    const error = runPlaybook({ ...run, host: { ...run.host, hostKey } });
    await expect(error).rejects.toThrow(
      `pi-0: wrong host key: expected ${fingerprint(hostKey)}, offered ${fingerprint(sshd.host.hostKey)}`,
    );
  },
  timeout,
);

test("a key that the host does not accept, an unreadable one, and a closed port each say so at once", async () => {
  const run = await makeRun(copyFile);
  const { path } = await makeKey(dirname(run.playbook), "other");
  const withHost = (changes: Partial<PlaybookRun["host"]>) => runPlaybook({ ...run, host: { ...run.host, ...changes } });
  await expect(withHost({ privateKeyFile: path })).rejects.toThrow(/^pi-0: the host does not accept the key of user/);
  await expect(withHost({ privateKeyFile: "/nowhere/key" })).rejects.toThrow(/private key \/nowhere\/key cannot be read/);
  await expect(withHost({ port: 1 })).rejects.toThrow(/^pi-0: unreachable: nothing listens on 127\.0\.0\.1:1 — start/);
});

test(
  "a cancelled run ends Ansible, removes its files on both sides and says how to go on",
  async () => {
    const run = await makeRun(`- name: long\n  ansible.builtin.command: sleep 300`);
    const abort = new AbortController();
    let aborted = 0;
    const running = runPlaybook({ ...run, signal: abort.signal });
    const stop = (async () => {
      while (!messages.some((line) => line.includes("long"))) await sleep(50);
      await sleep(500);
      aborted = Date.now();
      abort.abort();
    })();
    await expect(running).rejects.toThrow(/^pi-0: cancelled; .* — run `up` again to go on/);
    await stop;
    expect(Date.now() - aborted).toBeLessThan(20_000);
  },
  timeout,
);
});
