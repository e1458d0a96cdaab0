import { expect, test } from "vitest";
import { inventory, playbookCommand, type PlaybookPaths } from "./command.ts";
import { literal } from "./variables.ts";

const paths: PlaybookPaths = {
  ansiblePlaybook: "/venv/bin/ansible-playbook",
  playbook: "/repo/ansible/site.yml",
  ansibleFolder: "/repo/ansible",
  runFolder: "/run/x",
  inventory: "/run/x/inventory.json",
  vars: ["/run/x/vars.json", "/run/x/secret-vars.json"],
  sshConfig: "/run/x/ssh_config",
  sshControl: "/run/x/control",
};

test("variables are handed over in files, and check mode only looks", () => {
  const run = playbookCommand(paths, false, {});
  expect(run.args).toEqual([
    "--inventory",
    "/run/x/inventory.json",
    "--extra-vars",
    "@/run/x/vars.json",
    "--extra-vars",
    "@/run/x/secret-vars.json",
    "/repo/ansible/site.yml",
  ]);
  const check = playbookCommand(paths, true, {});
  expect(check.args.slice(-3)).toEqual(["--check", "--diff", "/repo/ansible/site.yml"]);
});

test("Ansible sees the run's ssh settings and none of the user's environment beyond what it needs", () => {
  const { env } = playbookCommand(paths, false, { HOME: "/home/me", PATH: "/bin", AWS_SECRET_ACCESS_KEY: "x", ANSIBLE_X: "1" });
  expect(env).toMatchObject({ HOME: "/home/me", PATH: "/venv/bin:/bin", LC_ALL: "C.UTF-8" });
  expect(env.ANSIBLE_SSH_ARGS).toBe("-F /run/x/ssh_config -o ControlMaster=no -o ControlPath=/run/x/control");
  expect(env).not.toHaveProperty("AWS_SECRET_ACCESS_KEY");
  expect(env).not.toHaveProperty("ANSIBLE_X");
});

test("the inventory is one host, reached by its name in ssh_config", () => {
  expect(inventory({ name: "pi-0", address: "10.0.0.7", port: 22, user: "pi", hostKey: "k" })).toEqual({
    all: { hosts: { "pi-0": { ansible_connection: "ssh", ansible_python_interpreter: "/usr/bin/python3" } } },
  });
});

test("text with braces stays text", () => {
  expect(literal({ golden: { prompt: "say {{ x }}" }, n: 1, list: ["{% if %}", "plain"] })).toEqual({
    golden: { prompt: { __ansible_unsafe: "say {{ x }}" } },
    n: 1,
    list: [{ __ansible_unsafe: "{% if %}" }, "plain"],
  });
});
