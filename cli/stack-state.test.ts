import { expect, test } from "vitest";
import { parseState } from "./stack-state.ts";

const urn = (type: string, name: string) =>
  `urn:pulumi:home::pipress::pipress:fleet:Rollout$${type}::${name}`;
const resource = (kind: string, name: string, id: string, more = {}) => {
  const type = `pipress:index:${kind}`;
  return { type, urn: urn(type, name), id, ...more };
};
const stateOf = (...resources: object[]) => JSON.stringify({ version: 3, deployment: { resources } });

const outputs = { hosts: { "pi-1": { hostKey: "ssh-ed25519 AAAA" } } };

test("names the stack's id, and the virtual hosts by name but not one that waits for its removal", () => {
  const state = stateOf(
    {
      type: "pulumi:pulumi:Stack",
      urn: "urn:pulumi:home::pipress::pulumi:pulumi:Stack::pipress-home",
      outputs,
    },
    resource("StackId", "stack-id", "3f9a01c2"),
    resource("VirtualPi", "pi-0", "pi-0-3f9a01c2"),
    resource("VirtualPi", "pi-0", "pi-0", { delete: true }),
  );
  const { stackId, virtualPis, hosts, urns } = parseState(state);
  expect(stackId).toBe("3f9a01c2");
  expect([...virtualPis]).toEqual([["pi-0", "pi-0-3f9a01c2"]]);
  expect(hosts).toEqual(outputs.hosts);
  expect(urns).toContain("urn:pulumi:home::pipress::pulumi:pulumi:Stack::pipress-home");
});

test("a stack that was never up has neither", () => {
  const none = { stackId: undefined, virtualPis: new Map(), urns: [], hosts: {} };
  expect(parseState(stateOf())).toEqual(none);
  expect(parseState('{ "version": 3, "deployment": {} }')).toEqual(none);
});
