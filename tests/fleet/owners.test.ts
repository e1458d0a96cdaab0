/**
 * Whose a host is, seen from the host: real program, engine, SSH and Ansible; boards are sshds of this machine, each with a
 * root folder of its own below its HOME. The removals are the product's, with their paths moved there and a stand-in for
 * systemctl that writes down what it was told; what brings a release is a playbook of the test's that writes one file.
 * The cases build on each other, in order.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sshdMissing, startSshd, type TestSshd } from "../../infra/ssh/testing/sshd.ts";
import {
  engine,
  type Machine,
  makeArtifacts,
  makeMachine,
  runPulumi,
  stackFile,
  writeShortRecipe,
} from "../../stacks/testing/machine.ts";

/** Refuses what the role preflight refuses because of the owner; this machine is no Raspberry Pi. */
const site = `
- hosts: all
  gather_facts: false
  pre_tasks:
    - ansible.builtin.import_role: { name: preflight, tasks_from: judge.yml }
    - name: refuse
      ansible.builtin.fail: { msg: "{{ _problems | join }}" }
      vars: { _problems: "{{ _preflight_report.problems | select('match', 'it belongs') }}" }
      when: _problems | length > 0
  roles: [owner]
  tasks:
    - pipress_files:
        files:
          - { path: "{{ pipress_root }}/current/served-by", content: "{{ inventory_hostname }}" }
          - { path: "{{ pipress_root }}/store/model", content: "x" }
    - ansible.builtin.set_stats: { data: { release: "{{ pipress_release.digest }}" }, per_host: true }
`;
const endpoint = `
- hosts: all
  gather_facts: false
  roles:
    - { role: owner, owner_file: "{{ pipress_endpoint_owner_file }}" }
  tasks:
    - pipress_files: { files: [{ path: "~/etc/pipress/balancer.cfg", content: "x" }] }
`;
const nothing = "- { hosts: all, gather_facts: false, tasks: [] }";
const cfg = `
[defaults]
roles_path = roles
library = library
module_utils = module_utils
gathering = explicit
`;
const systemctl = `#!/bin/sh
case "$1" in
  show) echo "LoadState=loaded"; echo "ActiveState=active" ;;
  *) echo "$@" >> "$HOME/told" ;;
esac
`;

describe.skipIf(sshdMissing !== undefined || engine === undefined)("a host and its owner", () => {
  const folder = mkdtempSync(join(tmpdir(), "pipress-owners-"));
  const store = join(folder, "store");
  const recipe = join(folder, "recipe.yaml");
  const boards: TestSshd[] = [];
  let own: Machine;

  beforeAll(async () => {
    const bin = join(folder, "bin");
    mkdirSync(bin);
    writeFileSync(join(bin, "systemctl"), systemctl);
    chmodSync(join(bin, "systemctl"), 0o755);
    for (const name of ["a", "b", "c"]) boards.push(await startSshd(name, { PATH: `${bin}:/usr/bin:/bin` }));
    writeShortRecipe(recipe);
    own = machine("own");
    await makeArtifacts(own, recipe, store);
  });

  afterAll(async () => {
    await Promise.all(boards.map((board) => board.remove()));
    rmSync(folder, { recursive: true });
  });

  /** A clone whose playbooks keep to a board's own folder. */
  function machine(name: string): Machine {
    const made = makeMachine(folder, name);
    const ansible = (file: string) => join(made.clone, "ansible", file);
    const retire = "roles/load_balancer/tasks/retire.yml";
    for (const file of ["group_vars/all/main.yml", "remove.yml", "endpoint-remove.yml", retire]) {
      const text = readFileSync(ansible(file), "utf8");
      writeFileSync(ansible(file), text.replace(/(?<=[\s"])\/(?=(?:etc|var|usr)\/)/g, "~/"));
    }
    const plays = { "site.yml": site, "endpoint.yml": endpoint, "stage.yml": nothing, "probe.yml": nothing };
    for (const [file, text] of Object.entries(plays)) writeFileSync(ansible(file), text);
    writeFileSync(ansible("ansible.cfg"), cfg);
    return made;
  }

  const onBoard = (board: number, path: string) => join(boards[board]?.folder ?? "", "home", path);
  function read(board: number, path: string): string | undefined {
    return existsSync(onBoard(board, path)) ? readFileSync(onBoard(board, path), "utf8") : undefined;
  }
  const servedBy = (board: number) => read(board, "var/lib/pipress/current/served-by");
  const ownerOf = (board: number) =>
    JSON.parse(read(board, "etc/pipress/owner.json") ?? "{}") as Record<string, string>;
  const told = (board: number) => read(board, "told") ?? "";

  /** A host of the configuration. */
  function host(name: string, board: number, changes: object = {}): object {
    return { ...boards[board]?.host, name, ...changes };
  }

  async function pulumi(
    stack: string,
    config: object | undefined,
    args: string[],
    where = own,
    variables = {},
  ) {
    if (config !== undefined) {
      const values = Object.entries({
        rollout: { canary: 9, soak: "0 s" },
        ...config,
        store: pathToFileURL(store).href,
        recipe,
      }).map(([key, value]) => [`pipress:${key}`, value]);
      writeFileSync(
        join(where.clone, `Pulumi.${stack}.yaml`),
        stackFile(Object.fromEntries(values) as Record<string, unknown>),
      );
    }
    return runPulumi(where, join(folder, "state"), [...args, "--stack", stack], variables);
  }
  const up = (stack: string, config: object) => pulumi(stack, config, ["up", "--yes", "--skip-preview"]);
  const failingUp = (stack: string, config: object) =>
    up(stack, config).then(
      () => {
        throw new Error("the up has not failed");
      },
      (error: unknown) => (error as Error).message,
    );

  it("keeps which stack it belongs to, and under which name", async () => {
    await pulumi("home", {}, ["stack", "init"]);
    await up("home", { hosts: [host("pi-1", 0)], endpoint: { host: "pi-1" } });
    expect(servedBy(0)).toBe("pi-1");
    expect(ownerOf(0)).toMatchObject({ project: "pipress", stack: "home", name: "pi-1" });
    expect(ownerOf(0).id).toMatch(/^[0-9a-f]{8}$/);
  });

  it("is the same host under another name: an update in the preview, and nothing is stopped", async () => {
    const config = { hosts: [host("kitchen", 0)], endpoint: { host: "kitchen" } };
    const preview = JSON.parse(await pulumi("home", config, ["preview", "--json"])) as {
      steps: { op: string; urn: string }[];
    };
    const steps = preview.steps.filter(({ op }) => op !== "same");
    expect(steps.map(({ op, urn }) => `${op} ${urn.split("::").at(-1) ?? ""}`).sort()).toEqual([
      "update endpoint",
      "update kitchen",
      "update wave-1",
    ]);
    const before = ownerOf(0);
    await up("home", config);
    expect(servedBy(0)).toBe("kitchen");
    expect(ownerOf(0)).toEqual({ ...before, name: "kitchen" });
    expect(told(0)).toBe("");
    await pulumi("home", config, ["preview", "--expect-no-changes"]);
  });

  it("is refused to another stack, whose removal leaves it alone and says so", async () => {
    await pulumi("other", {}, ["stack", "init"]);
    const shown = await failingUp("other", { hosts: [host("attic", 0)] });
    expect(shown).toMatch(
      /attic \/ refuse: it belongs to stack "home" of project pipress \(id [0-9a-f]{8}\), as "kitchen" — remove it there first, or set `takeOver: true`/,
    );
    expect(servedBy(0)).toBe("kitchen");
    const removed = await pulumi("other", undefined, ["destroy", "--yes", "--skip-preview"]);
    expect(removed).toMatch(
      /attic: it belongs to stack "home" .* now, as "kitchen": what runs there is left alone/,
    );
    expect(servedBy(0)).toBe("kitchen");
    expect(ownerOf(0)).toMatchObject({ stack: "home", name: "kitchen" });
    expect(told(0)).toBe("");
  });

  it("loses the load balancer that moves to another board", async () => {
    await up("home", { hosts: [host("kitchen", 0), host("pi-2", 1)], endpoint: { host: "pi-2" } });
    expect(read(0, "etc/pipress/balancer.cfg")).toBeUndefined();
    expect(read(1, "etc/pipress/balancer.cfg")).toBe("x");
    expect(told(0)).toContain("stop pipress-balancer.service");
    expect([servedBy(0), servedBy(1)]).toEqual(["kitchen", "pi-2"]);
  });

  it("changes its name with another one, and neither is stopped", async () => {
    const before = [told(0), told(1)];
    await up("home", { hosts: [host("pi-2", 0), host("kitchen", 1)] });
    expect([servedBy(0), servedBy(1)]).toEqual(["pi-2", "kitchen"]);
    expect(ownerOf(1).name).toBe("kitchen");
    expect(told(0)).toBe(before[0]);
    expect(told(1)).not.toContain("pipress-llama");
  });

  it("is let go of where its name is another board's now", async () => {
    await up("home", { hosts: [host("pi-2", 2), host("kitchen", 1)] });
    expect([servedBy(0), servedBy(1), servedBy(2)]).toEqual([undefined, "kitchen", "pi-2"]);
    expect(ownerOf(0)).toEqual({});
    expect(told(0)).toContain("stop pipress-llama.service");
    expect(read(0, "var/lib/pipress/store/model")).toBe("x");
  });

  it("outlives a key that was wrong for one up: what the right key brings back is not removed", async () => {
    const wrong = { hosts: [host("pi-2", 2, { hostKey: boards[0]?.host.hostKey }), host("kitchen", 1)] };
    expect(await failingUp("home", wrong)).toContain("wrong host key");
    await up("home", { hosts: [host("pi-2", 2), host("kitchen", 1)] });
    expect(servedBy(2)).toBe("pi-2");
    expect(told(2)).toBe("");
  });

  it("can be taken over", async () => {
    await up("other", { hosts: [host("attic", 2, { takeOver: true })] });
    expect(servedBy(2)).toBe("attic");
    expect(ownerOf(2)).toMatchObject({ stack: "other", name: "attic" });
  });

  it("is removed from another machine that has no artifact and no key file; models go with --purge", async () => {
    const elsewhere = machine("elsewhere");
    writeFileSync(join(elsewhere.clone, "Pulumi.home.yaml"), stackFile({}));
    renameSync(store, `${store}-gone`);
    const key = boards[1]?.host.privateKeyFile ?? "";
    const keys = boards.map((board) => board.host.privateKeyFile ?? "");
    for (const file of keys) renameSync(file, `${file}.away`);
    const destroy = ["destroy", "--yes", "--skip-preview"];
    await expect(pulumi("home", undefined, destroy, elsewhere)).rejects.toThrow(
      new RegExp(
        `${key}, with which the stack was brought up, is not on this machine — copy it here, or .ssh-add`,
      ),
    );
    expect(servedBy(1)).toBe("kitchen");
    const { stdout } = await execa("ssh-agent", ["-s"]);
    const agent = {
      SSH_AUTH_SOCK: /SSH_AUTH_SOCK=([^;]+)/.exec(stdout)?.[1] ?? "",
      SSH_AGENT_PID: /SSH_AGENT_PID=(\d+)/.exec(stdout)?.[1] ?? "",
    };
    try {
      await execa(
        "ssh-add",
        keys.map((file) => `${file}.away`),
        { env: agent },
      );
      const shown = await pulumi("home", undefined, destroy, elsewhere, { ...agent, PIPRESS_PURGE: "true" });
      expect(shown).toMatch(
        /pi-2: it belongs to stack "other" .* now, as "attic": what runs there is left alone/,
      );
    } finally {
      process.kill(Number(agent.SSH_AGENT_PID));
      for (const file of keys) renameSync(`${file}.away`, file);
      renameSync(`${store}-gone`, store);
    }
    expect(servedBy(1)).toBeUndefined();
    expect(read(1, "var/lib/pipress/store/model")).toBeUndefined();
    expect(servedBy(2)).toBe("attic");
  });

  it("that does not answer keeps nobody from destroying the rest, and what stays there is named", async () => {
    await boards[2]?.stop();
    const shown = await pulumi("other", undefined, ["destroy", "--yes", "--skip-preview"]);
    expect(shown.replace(/\s+/g, " ")).toMatch(
      /attic: unreachable: nothing listens on \S+; nothing was removed there, and it keeps llama-server .* and the models in \/var\/lib\/pipress/,
    );
  });
});
