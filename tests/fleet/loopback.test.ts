import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { signalAll } from "../../common/process/signals.ts";
import { processTree } from "../../common/process/tree.ts";
import { makePlayFolder, type PlayFolder } from "../../infra/ansible/testing/play-folder.ts";
import { sshdMissing, startSshd, type TestSshd } from "../../infra/ssh/testing/sshd.ts";
import { repoRoot } from "../../common/paths.ts";
import { exceptPart, partPrefix } from "../../infra/fleet/rollout/part.ts";
import { makeProject, type TestProject } from "../../infra/provider/testing/engine.ts";

// The real engine, provider, SSH and Ansible; hosts are sshd instances of this machine, and the playbook writes one file.
// The cases build on each other, in order.

/** Writes what a host serves, unless the release is one that fails there. */
const tasks = `
- name: serve
  ansible.builtin.copy: { content: "{{ release }}", dest: "{{ folder }}/{{ inventory_hostname }}", mode: "0644" }
  when: release is not match('bad') and not (release is match('half') and inventory_hostname == 'pi-1')
- name: health check
  ansible.builtin.fail: { msg: "no answer to the smoke test" }
  when: release is match('bad') or (release is match('half') and inventory_hostname == 'pi-1')
- name: report
  ansible.builtin.set_stats: { data: { release: "{{ release }}" }, per_host: false }
`;
/** A release called `unfit…` cannot be fetched by the last host. */
const staging = `
- hosts: all
  gather_facts: false
  tasks:
    - name: fetch
      ansible.builtin.copy: { content: "{{ release }}", dest: "{{ folder }}/{{ inventory_hostname }}.staged", mode: "0644" }
    - name: verify
      ansible.builtin.fail: { msg: "the disk is too full for the model" }
      when: release is match('unfit') and inventory_hostname == 'pi-3'
`;
/** A release called `tired…` is not healthy any more after the soak. */
const probe = `
- hosts: all
  gather_facts: false
  tasks:
    - name: look
      ansible.builtin.fail: { msg: "the service is failed" }
      when: release is match('tired')
`;

const skipped = sshdMissing ? ` (skipped: ${sshdMissing})` : "";

describe.skipIf(sshdMissing)(`waves over hosts on loopback${skipped}`, () => {
  const hosts: TestSshd[] = [];
  let play: PlayFolder;
  let project: TestProject;
  let folder = "";

  beforeAll(async () => {
    for (const name of ["pi-0", "pi-1", "pi-2", "pi-3"]) hosts.push(await startSshd(name));
    play = await makePlayFolder(tasks);
    await writeFile(join(play.folder, "probe.yml"), probe);
    await writeFile(join(play.folder, "stage.yml"), staging);
    folder = await mkdtemp(join(tmpdir(), "pipress-served-"));
    const connections = hosts.map(({ host }) => ({ name: host.name, labels: {}, connection: host }));
    project = await makeProject(`
      import { rollOutInWaves } from "${repoRoot}/infra/fleet/rollout/in-waves.ts";
      import { Playbook } from "${repoRoot}/infra/fleet/rollout/playbook.ts";
      const settings = { release: "one", steps: {}, unreachable: "fail", ...JSON.parse(process.env.FLEET ?? "{}") };
      const { release, unreachable, impostor, part } = settings;
      const written = ${JSON.stringify(connections)};
      // Somebody who does not have the key that is expected of the host.
      const keyOf = ({ name, connection }) => (name === impostor ? written[0].connection : connection).hostKey;
      const all = written.map((host) => ({ ...host, connection: { ...host.connection, hostKey: keyOf(host) } }));
      const hosts = all.filter(({ name }) => part?.includes(name) ?? true);
      const defaults = { canary: { count: 1 }, steps: [{ count: 3 }], soak: 1, maxFailures: { count: 0 }, concurrency: 2, prefetch: true };
      const vars = { release, folder: ${JSON.stringify(folder)} };
      const declare = (host, playbook, suffix, after) => new Playbook(host.name + suffix, {
        playbook, contentDigest: "1", host: host.connection, vars, failures: "report", unreachable, concurrency: 2,
      }, { dependsOn: after });
      const playbooks = rollOutInWaves({
        hosts,
        fleetSize: all.length,
        prefix: part === undefined ? "" : ${JSON.stringify(partPrefix)},
        steps: { ...defaults, ...settings.steps },
        stage: (host, { after }) => declare(host, ${JSON.stringify(join(play.folder, "stage.yml"))}, "-staged", after),
        playbook: (host, { after }) => declare(host, ${JSON.stringify(play.playbook)}, "", after),
        releaseOf: () => release,
        probe: ${JSON.stringify(join(play.folder, "probe.yml"))},
        probeVars: () => vars,
      });
      export const outcomes = Object.fromEntries([...playbooks].map(([name, { outcome }]) => [name, outcome]));
    `);
  });

  afterAll(async () => {
    await Promise.all([...hosts.map((host) => host.remove()), play.remove(), project.remove()]);
    await rm(folder, { recursive: true, force: true });
  });

  /** What each host serves, in order. */
  function served(): (string | undefined)[] {
    return hosts.map(({ host: { name } }) => {
      const file = join(folder, name);
      return existsSync(file) ? readFileSync(file, "utf8") : undefined;
    });
  }

  async function withFleet<Result>(settings: object, work: () => Promise<Result>): Promise<Result> {
    process.env.FLEET = JSON.stringify(settings);
    return work().finally(() => delete process.env.FLEET);
  }
  const up = (settings: object) => withFleet(settings, () => project.pulumi("up", "--yes", "--skip-preview"));
  const failingUp = (settings: object) =>
    withFleet(settings, () => project.pulumiFails("up", "--yes", "--skip-preview"));

  it("brings a release to all hosts, wave by wave", async () => {
    const shown = await up({ release: "one" });
    expect(served()).toEqual(["one", "one", "one", "one"]);
    expect(shown).toMatch(/wave-1 created/);
    expect(shown).toMatch(/wave-3 created/);
  });

  it("changes nothing where nothing changed", async () => {
    await withFleet({ release: "one" }, () =>
      project.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes"),
    );
  });

  it("touches no service while one host cannot fetch the release", async () => {
    const shown = await failingUp({ release: "unfit" });
    expect(served()).toEqual(["one", "one", "one", "one"]);
    expect(hosts.map(({ host }) => readFileSync(join(folder, `${host.name}.staged`), "utf8"))).toEqual(
      Array(4).fill("unfit"),
    );
    expect(shown).toContain("staged / pi-3");
    expect(shown).toContain("the disk is too full for the model");
    expect(shown).toContain("pi-0, pi-1, pi-2 fetched it, and no service was touched");
  });

  it("shows at preview which hosts and waves a release touches", async () => {
    const shown = await withFleet({ release: "two" }, () => project.pulumi("preview"));
    for (const name of ["pi-0", "pi-3", "wave-1", "wave-3"])
      expect(shown).toMatch(new RegExp(`${name} +update`));
  });

  it("stops a bad release at the canary and says which hosts serve what", async () => {
    const shown = await failingUp({ release: "bad" });
    expect(served()).toEqual(["one", "one", "one", "one"]);
    expect(shown).toContain("wave-1: 1 of 1 host failed where 0 may");
    expect(shown).toContain("no answer to the smoke test");
    expect(shown).toContain("pi-1, pi-2, pi-3 were not touched");
  });

  it("stops behind a wave that fails in part; the next up goes on there and not with the hosts that are done", async () => {
    const shown = await failingUp({ release: "half" });
    expect(served()).toEqual(["half", "one", "half", "one"]);
    expect(shown).toContain("wave-2: 1 of 2 hosts failed where 0 may");
    expect(shown).toContain("pi-0, pi-2 have the new release (half); pi-3 was not touched");
    // The fixed release has another name here, as it would have another digest.
    const again = await up({ release: "three" });
    expect(served()).toEqual(["three", "three", "three", "three"]);
    expect(again).toMatch(/pi-1 updated/);
  });

  it("goes on past as many failures as may be, and takes the host that was left behind along at the next up", async () => {
    await up({ release: "half-2", steps: { maxFailures: { count: 1 } } });
    expect(served()).toEqual(["half-2", "three", "half-2", "half-2"]);
    const again = await withFleet({ release: "half-2", steps: { maxFailures: { count: 1 } } }, () =>
      project.pulumi("preview"),
    );
    expect(again).toMatch(/pi-1 +update/);
    expect(again).not.toMatch(/pi-0 +update/);
  });

  it("stops a release that passes its health check and does not stand the soak", async () => {
    const shown = await failingUp({ release: "tired" });
    expect(served()).toEqual(["tired", "three", "half-2", "half-2"]);
    expect(shown).toContain("wave-1 / pi-0");
    expect(shown).toContain("the service is failed");
    await up({ release: "four" });
  });

  it("skips an unreachable host and brings it up to date when it is back", async () => {
    await hosts[2]?.stop();
    const shown = await up({ release: "five", unreachable: "skip" });
    expect(served()).toEqual(["five", "five", "four", "five"]);
    expect(shown).toContain("skipped until the next `up`");
    await hosts[2]?.start();
    await up({ release: "five", unreachable: "skip" });
    expect(served()).toEqual(["five", "five", "five", "five"]);
  });

  it("counts an unreachable host as failed where the configuration says so", async () => {
    await hosts[0]?.stop();
    const shown = await failingUp({ release: "six" });
    expect(shown).toMatch(/staged \/ pi-0: pi-0: unreachable/);
    expect(served()).toEqual(["five", "five", "five", "five"]);
    await hosts[0]?.start();
    await up({ release: "six" });
    expect(served()).toEqual(["six", "six", "six", "six"]);
  });

  it("sends nothing to a host that has another key than expected", async () => {
    const before = served();
    const shown = await failingUp({ release: "seven", impostor: "pi-3" });
    expect(shown).toMatch(/pi-3: wrong host key: expected SHA256:\S+, offered SHA256:\S+ nothing was sent/);
    expect(served()).toEqual(before);
    await up({ release: "seven" });
    expect(served()).toEqual(["seven", "seven", "seven", "seven"]);
  });

  it("lets one of two ups at once through, and tells the other", async () => {
    const both = await withFleet({ release: "eight" }, () =>
      Promise.all([1, 2].map(() => project.start("up", "--yes", "--skip-preview"))),
    );
    expect(both.map(({ exitCode }) => exitCode === 0).sort()).toEqual([false, true]);
    expect(both.find(({ exitCode }) => exitCode !== 0)?.all).toMatch(/lock/i);
    expect(served()).toEqual(["eight", "eight", "eight", "eight"]);
  });

  it("resumes when everything that the up consists of was killed behind the canary", async () => {
    const run = await withFleet({ release: "nine" }, () =>
      Promise.resolve({ up: project.start("up", "--yes", "--skip-preview") }),
    );
    let printed = "";
    run.up.all.on("data", (chunk: Buffer) => (printed += chunk.toString()));
    await expect.poll(() => printed, { timeout: 300_000, interval: 50 }).toMatch(/wave-1 (created|updated)/);
    signalAll(processTree(run.up.pid ?? 0), "SIGKILL");
    await run.up;
    expect(served()[0]).toBe("nine");
    await project.pulumi("cancel", "--yes");
    await up({ release: "nine" });
    expect(served()).toEqual(["nine", "nine", "nine", "nine"]);
  });

  describe("a part of the fleet", () => {
    const part = ["pi-1", "pi-3"];
    /** Options of pulumi as `./pipress up --hosts` gives them. */
    const options = async (): Promise<string[]> => {
      const { deployment } = JSON.parse(await project.pulumi("stack", "export")) as {
        deployment: { resources?: { urn: string }[] };
      };
      const urns = (deployment.resources ?? []).map(({ urn }) => urn);
      return exceptPart(urns, { hosts: part, stages: [], prefixes: [""] });
    };
    const onPart = async (settings: object, ...args: string[]) => {
      const except = await options();
      return withFleet({ ...settings, part }, () => project.pulumi(...args, ...except));
    };

    it("is brought a release in waves of its own, and the others stay as they are", async () => {
      await up({ release: "ten" });
      await hosts[0]?.stop(); // whoever asked it anything would fail
      const shown = await onPart({ release: "eleven" }, "up", "--yes", "--skip-preview");
      await hosts[0]?.start();
      expect(served()).toEqual(["ten", "eleven", "ten", "eleven"]);
      expect(shown).toMatch(/part-wave-1 created/);
      expect(shown).not.toMatch(/Playbook pi-[02]|deleted/);
    });

    it("finds nothing to do a second time", async () => {
      await onPart({ release: "eleven" }, "up", "--yes", "--skip-preview", "--expect-no-changes");
    });

    it("leaves the others pending for the next preview, and itself done", async () => {
      const shown = await withFleet({ release: "eleven" }, () => project.pulumi("preview"));
      expect(shown).toMatch(/pi-0 +update/);
      expect(shown).toMatch(/pi-2 +update/);
      expect(shown).not.toMatch(/pi-[13](-staged)? +update/);
    });

    it("is not touched again by the up that does the rest, after which nothing is left to do", async () => {
      const shown = await up({ release: "eleven" });
      expect(served()).toEqual(["eleven", "eleven", "eleven", "eleven"]);
      expect(shown).not.toMatch(/pi-[13](-staged)? updated/);
      await withFleet({ release: "eleven" }, () =>
        project.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes"),
      );
    });

    it("stops at its canary", async () => {
      const except = await options();
      const shown = await withFleet({ release: "bad-2", part }, () =>
        project.pulumiFails("up", "--yes", "--skip-preview", ...except),
      );
      expect(served()).toEqual(["eleven", "eleven", "eleven", "eleven"]);
      expect(shown).toContain("part-wave-1: 1 of 1 host failed where 0 may");
      expect(shown).toContain("pi-3 was not touched");
      await up({ release: "twelve" });
      expect(served()).toEqual(["twelve", "twelve", "twelve", "twelve"]);
    });

    it("is brought a release where the stack has never been up", async () => {
      await project.pulumi("stack", "init", "new");
      try {
        await onPart({ release: "thirteen" }, "up", "--yes", "--skip-preview");
        expect(served()).toEqual(["twelve", "thirteen", "twelve", "thirteen"]);
        await up({ release: "thirteen" });
        expect(served()).toEqual(["thirteen", "thirteen", "thirteen", "thirteen"]);
      } finally {
        await project.pulumi("stack", "select", "dev");
      }
    });
  });
});
