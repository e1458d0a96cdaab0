import { describe, expect, it } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { resolveHosts } from "../config/hosts.ts";
import { stackConfigSchema } from "../config/schema.ts";
import { hostKey, secondHostKey } from "../ssh/testing/host-key.ts";
import { balancerAddress, checkAllowFrom, describeClearText } from "./exposure.ts";

const pi1 = { name: "pi-1", address: "10.0.0.1", hostKey };
const pi2 = { name: "pi-2", address: "10.0.0.2", hostKey: secondHostKey };
const virtual = { name: "pi-3", virtual: {} };

function stack(config: Record<string, unknown>) {
  const parsed = stackConfigSchema.parse({ recipe: "x", ...config });
  const placed = parsed.hosts.map((host, index) => ({ where: `pipress:hosts[${index}]`, host }));
  const recipe = { server: { contextLength: 512, threads: 2, parallel: 1, minTokensPerSecond: 0.5 } };
  return [parsed, resolveHosts(placed, parsed, () => recipe)] as const;
}

function refusal(config: Record<string, unknown>): string {
  try {
    checkAllowFrom(...stack(config));
  } catch (error) {
    if (error instanceof UserError) return error.message;
    throw error;
  }
  return "";
}

describe("balancerAddress", () => {
  const fleet = [
    { name: "pi-1", isVirtual: false, address: "10.0.0.1" },
    { name: "pi-2", isVirtual: false, address: "pi-2.local" },
  ];
  const to = (host: unknown, isVirtual = false) => {
    const [{ endpoint }] = stack({ endpoint: { host } });
    return balancerAddress(endpoint, { isVirtual }, fleet);
  };

  it("is that of the host that it is on, where that is an address", () => {
    expect(to("pi-1")).toBe("10.0.0.1");
    expect(to("pi-2")).toBeUndefined();
    expect(to({ name: "gate", address: "fd00::1", hostKey })).toBe("fd00::1");
    expect(balancerAddress(undefined, { isVirtual: false }, fleet)).toBeUndefined();
  });

  it("is this machine's side of the network to a virtual host", () => {
    expect(to("pi-1", true)).toBe("10.0.2.2");
  });
});

describe("checkAllowFrom", () => {
  it("refuses a host that would let nobody in, not even the load balancer", () => {
    const gate = { name: "gate", address: "gate.local", hostKey };
    const closed = { hosts: [{ ...pi1, server: { allowFrom: [] } }] };
    expect(refusal({ ...closed, endpoint: { host: gate } })).toBe(
      "pipress:hosts[0].server.allowFrom: lets nobody in but the load balancer, whose address is a name " +
        "— name its IP address here, or at the load balancer's host",
    );
    expect(refusal({ ...closed, endpoint: { host: { ...gate, address: "10.0.0.9" } } })).toBe("");
    expect(refusal(closed)).toBe("");
  });

  it("refuses peers that could not fetch from each other", () => {
    const config = (allowFrom: string[]) => ({
      ...{ hosts: [pi1, pi2, virtual], server: { allowFrom }, rollout: { peerToPeer: true } },
    });
    expect(refusal(config(["10.0.0.0/24"]))).toBe("");
    expect(refusal(config(["10.0.0.1"]))).toBe(
      "pipress:hosts[0].server.allowFrom: pi-2 cannot fetch from pi-1, as rollout.peerToPeer would have it " +
        "— name the network of all hosts",
    );
  });
});

describe("describeClearText", () => {
  const said = (config: Record<string, unknown>) => describeClearText(...stack(config));

  it("says what crosses the network, and what to do about it", () => {
    expect(said({ hosts: [pi1, pi2], endpoint: { host: "pi-1" } })).toBe(
      [
        "API keys and prompts cross the network in clear text:",
        "  between clients and the endpoint — set pipress:endpoint.certificate, and clients speak TLS with it",
        "  to pi-1, pi-2, which answer anybody — `pipress:server.allowFrom: []` lets only the load balancer reach them; " +
          "trust the network between",
      ].join("\n"),
    );
  });

  it("says nothing where all that can be done is done, nor of hosts on this machine", () => {
    const endpoint = { host: "pi-1", certificate: "/c" };
    expect(said({ hosts: [pi1], endpoint, server: { allowFrom: [] } })).toBeUndefined();
    expect(said({ hosts: [virtual], endpoint: { host: "pi-3" } })).toBeUndefined();
  });
});
