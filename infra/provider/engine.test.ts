import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makePlayFolder, type PlayFolder } from "../ansible/testing/play-folder.ts";
import { sshdMissing, startSshd, type TestSshd } from "../ssh/testing/sshd.ts";
import { repoRoot } from "../../common/paths.ts";
import { makeProject, type TestProject } from "./testing/engine.ts";

// The life of one stack on the real engine, with real SSH and real Ansible; the tests build on each other, in order.
const timeout = 240_000;
let sshd: TestSshd;
let play: PlayFolder;
let project: TestProject;
let target: string;
let host: string;

const tasks = `
- name: unit file
  ansible.builtin.copy: { content: "{{ text }} {{ key }}", dest: "{{ target }}", mode: "0644" }
- name: report
  ansible.builtin.set_stats: { data: { release: "{{ text }}" }, per_host: false }
`;
const removal = `
- hosts: all
  gather_facts: false
  tasks:
    - name: remove
      ansible.builtin.file: { path: "{{ target }}", state: absent }
`;

describe.skipIf(sshdMissing)(
  `a stack on the real engine${sshdMissing ? ` (skipped: ${sshdMissing})` : ""}`,
  () => {
    beforeAll(async () => {
      [sshd, play] = await Promise.all([startSshd(), makePlayFolder(tasks)]);
      await writeFile(join(play.folder, "remove.yml"), removal);
      host = await mkdtemp(join(tmpdir(), "pipress-host-"));
      target = join(host, "pipress.service");
      const settings = JSON.stringify({
        playbook: play.playbook,
        removal: join(play.folder, "remove.yml"),
        contentDigest: "1",
        vars: { target, text: "as declared" },
      });
      project = await makeProject(`
    import { Playbook } from "${repoRoot}/infra/fleet/rollout/playbook.ts";
    import { Secret } from "${repoRoot}/infra/provider/secret.ts";
    const host = { ...${JSON.stringify(sshd.host)}, ...JSON.parse(process.env.HOST ?? "{}") };
    const { value } = new Secret("api-key");
    const play = new Playbook("pi-0", { ...${settings}, host, secretVars: { key: value } });
    export const apiKey = value;
    export const { results, drift } = play;
  `);
    }, timeout);

    afterAll(async () => {
      await Promise.all([
        sshd.remove(),
        play.remove(),
        project.remove(),
        rm(host, { recursive: true, force: true }),
      ]);
    });

    async function outputs(): Promise<Record<string, unknown>> {
      return JSON.parse(await project.pulumi("stack", "output", "--json", "--show-secrets")) as Record<
        string,
        unknown
      >;
    }

    test(
      "up runs the playbook on the host, shows its tasks, and keeps the secret secret",
      async () => {
        const shown = await project.pulumi("up", "--yes", "--skip-preview");
        expect(shown).toMatch(/pi-0: unit file \(1, \d+ s\)/);
        const { apiKey, results } = await outputs();
        expect(results).toEqual({ release: "as declared" });
        expect(await readFile(target, "utf8")).toBe(`as declared ${String(apiKey)}`);
        expect(apiKey).toMatch(/^[A-Za-z0-9_-]{43}$/);
        const state = await project.pulumi("stack", "export");
        expect(shown + state).not.toContain(apiKey);
      },
      timeout,
    );

    test(
      "what was changed by hand shows at refresh, and the next up puts it right with the same secret",
      async () => {
        const before = await outputs();
        await writeFile(target, "edited by hand");
        expect(await project.pulumi("refresh", "--yes", "--skip-preview")).toMatch(/pi-0 updated .*\+drift/);
        expect(await project.pulumi("stack", "export")).toContain(`"unit file — ${target}"`);
        expect(await project.pulumi("up", "--yes", "--skip-preview")).toMatch(/pi-0 updated .*-drift/);
        expect(await readFile(target, "utf8")).toBe(`as declared ${String(before.apiKey)}`);
        expect(await outputs()).toEqual({ ...before, drift: [] });
      },
      timeout,
    );

    test(
      "illegal inputs are refused at preview, all at once, by property path",
      async () => {
        process.env.HOST = '{ "port": 0, "hostKey": "nonsense", "adress": "x" }';
        const shown = await project.pulumiFails("preview").finally(() => delete process.env.HOST);
        for (const path of ["host.port", "host.hostKey", "host.adress"])
          expect(shown).toContain(`property ${path} `);
      },
      timeout,
    );

    test(
      "destroy runs the removal on the host",
      async () => {
        expect(existsSync(target)).toBe(true);
        await project.pulumi("destroy", "--yes", "--skip-preview");
        expect(existsSync(target)).toBe(false);
      },
      timeout,
    );
  },
);
