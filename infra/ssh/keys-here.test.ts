import { expect, test } from "vitest";
import { withKeysHere } from "./keys-here.ts";
import { hostKey } from "./testing/host-key.ts";

const hop = { address: "10.0.0.7", port: 22, user: "pi", hostKey };

test("files that are here stay, of the machine and of its bastion; others are named and left out", () => {
  const bastion = { ...hop, privateKeyFile: import.meta.filename, agentSocket: "/no/agent" };
  expect(withKeysHere({ ...hop, name: "pi-0", privateKeyFile: "/no/key", bastion })).toEqual({
    machine: { ...hop, name: "pi-0", bastion: { ...hop, privateKeyFile: import.meta.filename } },
    missing: ["/no/key", "/no/agent"],
  });
});
