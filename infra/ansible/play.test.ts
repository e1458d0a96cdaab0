/** What a play makes of ansible-playbook, which is a stand-in here: a script. run.test.ts runs the real one. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { standInToolchain } from "../../toolchain/testing/stand-in-toolchain.ts";
import { type Play, type PlayMember, playOnHosts } from "./play.ts";
import { PlaybookProgress } from "./progress.ts";

let folder: string;
let play: Play;
let shown: string[];
const { signal } = new AbortController();

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pipress-play-"));
  vi.stubEnv("PIPRESS_CACHE", folder);
  vi.stubEnv("XDG_RUNTIME_DIR", folder);
  play = { playbook: join(folder, "site.yml"), check: false, concurrency: 10, logFolder: join(folder, "logs") };
  shown = [];
});
afterEach(async () => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** Makes a shell script the ansible-playbook of this machine. */
function standIn(script: string): void {
  standInToolchain(folder, script);
}

/** Lines of a script that print events. */
const events = (...all: object[]) => all.map((event) => `printf '%s\\n' '${JSON.stringify(event)}'`).join("\n");
const stats = { event: "stats" };
const task = (host?: string) => ({ event: "task", role: "server", task: "start", host });
const failure = (host: string, msg?: string) => ({ ...task(host), event: "failed", msg });

function member(name: string, changes: Partial<PlayMember> = {}): PlayMember {
  const say = (message: string): void => void shown.push(message);
  return {
    ...{ name, user: "pi", vars: {}, secretVars: {}, ssh: { config: `/${name}/config`, control: `/${name}/c` } },
    ...{ progress: new PlaybookProgress(name), log: { status: say, warn: say }, ...changes },
  };
}

/** Plays, and returns by host why it did not come to its end there. */
async function outcomes(names: readonly string[], changes: Partial<Play> = {}, cancel = signal) {
  const members = names.map((name) => member(name));
  const problems = await playOnHosts(members, { ...play, ...changes }, cancel);
  return Object.fromEntries(members.map((one) => [one.name, problems.get(one)]));
}

const logs = () => readdirSync(play.logFolder).sort();
const written = (name: string) => join(folder, name);
async function untilThere(name: string): Promise<void> {
  while (!existsSync(written(name))) await sleep(10);
}

describe("a play", () => {
  test("ends on each host in its own way: only where it failed there is a reason, and a log", async () => {
    standIn(`${events(task(), failure("b", "port 8080 is taken\n"), stats)}\nexit 2`);
    const { a, b } = await outcomes(["a", "b"]);
    expect(a).toBeUndefined();
    expect(b).toMatchObject({ where: "b / server · start", what: "port 8080 is taken" });
    const [log = "", ...more] = logs();
    expect([log, more]).toEqual([expect.stringMatching(/^b-site-2/), []]);
    expect(b?.remedy).toBe(`log: ${join(play.logFolder, log)}`);
  });

  test("writes what is about one host into its log, and what is about none into all", async () => {
    const common = { event: "play", task: null, host: null };
    standIn(`${events(common, failure("a"), failure("b"))}\necho "[WARNING]: old Python"\nexit 2`);
    expect((await outcomes(["a", "b"])).a?.what).toBe("the task failed without a message");
    for (const [index, own, other] of [
      [0, "a", "b"],
      [1, "b", "a"],
    ] as const) {
      const text = readFileSync(join(play.logFolder, logs()[index] ?? ""), "utf8");
      for (const part of [`"host":"${own}"`, '"host":null', "old Python"]) expect(text).toContain(part);
      expect(text).not.toContain(`"host":"${other}"`);
    }
  });

  test("that Ansible itself ends has its exit code and its last lines as the reason", async () => {
    standIn(`echo one; echo two; echo >&2 three; echo four; exit 4`);
    expect((await outcomes(["a"])).a).toMatchObject({
      where: "a / site",
      what: expect.stringMatching(/^ansible-playbook ended with code 4: two.*four/) as string,
    });
    standIn("kill -9 $$");
    expect((await outcomes(["a"])).a?.what).toMatch(/^ansible-playbook ended with code unknown/);
    standIn("exit 0");
    expect((await outcomes(["a"])).a).toBeUndefined();
    standIn(`${events(stats)}\nexit 4`);
    expect((await outcomes(["a"])).a).toBeUndefined();
  });

  test("hands the hosts and all their variables over in a file that is private and gone afterwards", async () => {
    standIn(`cp -p "$2" ${written("inventory")}; dirname "$2" > ${written("at")}; echo "$@" > ${written("args")}`);
    const b = member("b", { vars: { x: 1 }, secretVars: { ansible_become_password: "battery" } });
    await playOnHosts([member("a"), b], play, signal);
    const { all } = JSON.parse(readFileSync(written("inventory"), "utf8")) as { all: { hosts: object } };
    expect(all.hosts).toMatchObject({
      a: { ansible_user: "pi", ansible_ssh_args: expect.stringContaining("-F /a/config") as string },
      b: { x: 1, ansible_become_password: "battery" },
    });
    expect(JSON.stringify(all)).not.toContain("secretVars");
    expect(statSync(written("inventory")).mode & 0o777).toBe(0o600);
    expect(existsSync(readFileSync(written("at"), "utf8").trim())).toBe(false);
    expect(readFileSync(written("args"), "utf8")).toMatch(/ --forks 2 \S+site\.yml\n$/);
  });

  test("shows no secret of any host, in no log and no reason", async () => {
    const msg = "sk-12345678 is not battery-horse";
    standIn(`${events(failure("a", msg))}\necho >&2 sk-12345678`);
    const members = [
      member("a", { secretVars: { key: "sk-12345678" } }),
      member("b", { secretVars: { password: "battery-horse" } }),
    ];
    const problems = await playOnHosts(members, play, signal);
    expect([...problems.values()][0]?.what).toBe("[secret] is not [secret]");
    expect(readFileSync(join(play.logFolder, logs()[0] ?? ""), "utf8")).not.toMatch(/sk-1234|battery/);
  });

  test("in check mode has logs of its own", async () => {
    standIn(`echo "$@" > ${written("args")}; exit 1`);
    await outcomes(["a"], { check: true });
    expect(logs()).toEqual([expect.stringMatching(/^a-site-check-2/)]);
    expect(readFileSync(written("args"), "utf8")).toContain("--check --diff");
  });

  test("shows how far it is, with each task and every few seconds", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    standIn(`${events(task("a"))}\nwhile ! [ -e ${written("go")} ]; do sleep 0.05; done\n${events(stats)}`);
    const running = outcomes(["a", "b"]);
    while (shown.length < 1) await sleep(10);
    expect(shown).toEqual([expect.stringMatching(/^a: server · start \(1, \d s\)$/)]);
    vi.advanceTimersByTime(10_000);
    expect(shown.map((line) => line.slice(0, 4))).toEqual(["a: s", "a: s", "b: c"]);
    await writeFile(written("go"), "");
    await running;
    expect(vi.getTimerCount()).toBe(0);
  });

  test("waits until as many hosts may be at work as it has, and says so", async () => {
    standIn(`echo "$4" >> ${written("forks")}\nwhile ! [ -e ${written("go")} ]; do sleep 0.05; done`);
    const first = outcomes(["a", "b", "c"], { concurrency: 2 });
    await untilThere("forks");
    expect(shown).toEqual([]);
    const second = outcomes(["d"], { concurrency: 2 });
    await sleep(50);
    expect(shown).toEqual(["d: waiting for its turn"]);
    expect(readFileSync(written("forks"), "utf8")).toBe("2\n");
    await writeFile(written("go"), "");
    await Promise.all([first, second]);
    expect(readFileSync(written("forks"), "utf8")).toBe("2\n1\n");
  });
});

describe("a play that is cancelled", () => {
  /** Cancels a play that has begun. @param traps what the script does about signals */
  async function cancel(traps: string, reason?: unknown, wait = 0) {
    const abort = new AbortController();
    // Begun only once the sleep can be ended: just forked it still has the traps, and a signal would be lost on it.
    standIn(`${traps}\n(echo > ${written("begun")}; exec sleep 60) &\nwait; wait; wait; exit 9`);
    const running = outcomes(["a"], {}, abort.signal);
    await untilThere("begun");
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    abort.abort(reason);
    vi.advanceTimersByTime(wait);
    const { a } = await running;
    expect(vi.getTimerCount()).toBe(0);
    return a;
  }

  test("asks Ansible to end, and says what becomes of the host", async () => {
    const problem = await cancel(`trap 'echo > ${written("asked")}; kill $!; exit 1' INT`);
    expect(problem).toMatchObject({ where: "a", what: expect.stringMatching(/^cancelled; what the host/) as string });
    expect(problem?.remedy).toMatch(/^run `up` again to go on; log: /);
    expect(existsSync(written("asked"))).toBe(true);
    expect(logs()).toHaveLength(1);
  });

  test("has the reason of whoever cancelled it, where that is for people", async () => {
    const reason = new UserError({ where: "fleet", what: "the time is over" });
    expect((await cancel("trap 'kill $!; exit 1' INT", reason))?.what).toMatch(/^fleet: the time is over; /);
  });

  test.each([
    ["gets SIGTERM when it goes on", "trap '' INT; trap 'kill $!; exit 1' TERM", 5000],
    ["is killed in the end", "trap '' INT TERM", 8000],
  ])("%s", async (_, traps, wait) => {
    expect((await cancel(traps, undefined, wait))?.what).toMatch(/^cancelled/);
  });

  test("before its turn never begins", async () => {
    standIn(`echo > ${written("begun")}`);
    await expect(outcomes(["a"], {}, AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
    expect(existsSync(written("begun"))).toBe(false);
  });
});
