import { afterEach, expect, test, vi } from "vitest";
import { sudoPasswordFromEnvironment, sudoPasswordVariable, sudoVars } from "./sudo-password.ts";

afterEach(() => vi.unstubAllEnvs());

test("a host's password reaches its play as Ansible's own variable; without one there is none", () => {
  expect(sudoVars("battery")).toEqual({ ansible_become_password: "battery" });
  expect(sudoVars(undefined)).toEqual({});
});

test("the environment's counts when it is set and not empty", () => {
  for (const [value, vars] of [
    [undefined, {}],
    ["", {}],
    ["battery", { ansible_become_password: "battery" }],
  ] as const) {
    vi.stubEnv(sudoPasswordVariable, value);
    expect(sudoPasswordFromEnvironment()).toEqual(vars);
  }
});
