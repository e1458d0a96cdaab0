import { expect, test } from "vitest";
import { inventory, literal, playbookCommand, playbookName, type PlaybookPaths } from "./command.ts";

const paths: PlaybookPaths = {
  ansiblePlaybook: "/venv/bin/ansible-playbook",
  playbook: "/repo/ansible/site.yml",
  inventory: "/run/x/inventory.json",
  temp: "/run/x/tmp",
};

test("all hosts are at work at the same time, and check mode only looks", () => {
  const run = playbookCommand(paths, { check: false, forks: 7 }, {});
  expect(run.args).toEqual(["--inventory", "/run/x/inventory.json", "--forks", "7", "/repo/ansible/site.yml"]);
  const check = playbookCommand(paths, { check: true, forks: 1 }, {});
  expect(check.args.slice(-3)).toEqual(["--check", "--diff", "/repo/ansible/site.yml"]);
});

test("Ansible sees none of the user's environment beyond what it needs", () => {
  const { env } = playbookCommand(paths, { check: false, forks: 1 }, { HOME: "/home/me", PATH: "/bin", AWS_SECRET_ACCESS_KEY: "x", ANSIBLE_X: "1" });
  expect(env).toMatchObject({ HOME: "/home/me", PATH: "/venv/bin:/bin", LC_ALL: "C.UTF-8" });
  expect(env).not.toHaveProperty("AWS_SECRET_ACCESS_KEY");
  expect(env).not.toHaveProperty("ANSIBLE_X");
});

test("the inventory has every host's variables, and how it is reached by its name in an ssh_config of its own", () => {
  const host = (name: string, vars: Record<string, unknown>) => ({
    ...{ name, vars, user: "anna" },
    ssh: { config: `/run/${name}/ssh_config`, control: `/run/${name}/control` },
  });
  const reached = (name: string) => ({
    ansible_connection: "ssh",
    ansible_user: "anna",
    ansible_python_interpreter: "/usr/bin/python3",
    ansible_ssh_args: `-F /run/${name}/ssh_config -o ControlMaster=no -o ControlPath=/run/${name}/control -o ConnectTimeout=60`,
  });
  expect(inventory([host("pi-0", { prompt: "{{ x }}" }), host("pi-1", { n: 2 })])).toEqual({
    all: {
      hosts: {
        "pi-0": { prompt: { __ansible_unsafe: "{{ x }}" }, ...reached("pi-0") },
        "pi-1": { n: 2, ...reached("pi-1") },
      },
    },
  });
});

test("text with braces stays text", () => {
  expect(literal({ smokeTest: { prompt: "say {{ x }}" }, n: 1, list: ["{% if %}", "plain"] })).toEqual({
    smokeTest: { prompt: { __ansible_unsafe: "say {{ x }}" } },
    n: 1,
    list: [{ __ansible_unsafe: "{% if %}" }, "plain"],
  });
  expect(literal([null, true, "{ x }", "{# comment #}"])).toEqual([null, true, "{ x }", { __ansible_unsafe: "{# comment #}" }]);
});

test("a user without PATH has the system's programs", () => {
  const { env, cwd } = playbookCommand(paths, { check: false, forks: 1 }, {});
  expect([env.PATH, cwd]).toEqual(["/venv/bin:/usr/bin:/bin", "/repo/ansible"]);
});

test("a playbook is called by its file, without folder and ending", () => {
  expect(["/x/site.yml", "/x.yml/probe.yaml", "/x/a.yml.old"].map(playbookName)).toEqual(["site", "probe", "a.yml.old"]);
});
