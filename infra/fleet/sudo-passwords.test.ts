import * as pulumi from "@pulumi/pulumi";
import { expect, test } from "vitest";
import { parseStackConfig } from "../config/load.ts";
import { hostKey } from "../ssh/testing/host-key.ts";
import { checkSudoPasswords, secretSudoVars } from "./sudo-passwords.ts";

const machine = { address: "10.0.0.5", hostKey };
const all = {
  "pipress:recipe": "x",
  "pipress:sudoPassword": "battery",
  "pipress:groups": JSON.stringify({ lab: { sudoPassword: "battery" } }),
  "pipress:hosts": JSON.stringify([{ name: "pi-0", ...machine, sudoPassword: "battery" }]),
  "pipress:endpoint": JSON.stringify({ host: { name: "front", ...machine, sudoPassword: "battery" } }),
};
const config = parseStackConfig(all);

test("a password in clear is refused by its path, wherever it stands, and not repeated", () => {
  pulumi.runtime.setAllConfig(all, []);
  const check = () => {
    checkSudoPasswords(config);
  };
  for (const path of [
    "sudoPassword",
    "groups.lab.sudoPassword",
    "hosts[0].sudoPassword",
    "endpoint.host.sudoPassword",
  ])
    expect(check).toThrow(`pipress:${path}: is written in clear`);
  expect(check).toThrow("pulumi config set --secret --path 'pipress:hosts[0].sudoPassword'");
  expect(check).not.toThrow("battery");
  pulumi.runtime.setAllConfig(all, Object.keys(all));
  expect(check).not.toThrow();
});

test("it reaches a play as a secret", async () => {
  const { ansible_become_password: password } = secretSudoVars("battery");
  expect(password && (await pulumi.isSecret(password))).toBe(true);
  expect(secretSudoVars(undefined)).toEqual({});
});
