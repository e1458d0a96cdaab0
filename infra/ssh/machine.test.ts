import { describe, expect, it } from "vitest";
import { fingerprint, machineSchema } from "./machine.ts";
import { hostKey as key } from "./testing/host-key.ts";

const pi = { name: "pi-0", address: "10.0.0.7", user: "pi", hostKey: key };

function problemsOf(changes: object): string[] {
  const { error } = machineSchema.safeParse({ ...pi, ...changes });
  return (error?.issues ?? []).map(({ path, message }) => `${path.join(".")}: ${message}`);
}

describe("a machine", () => {
  it("is on port 22 unless it says otherwise, and so is its bastion", () => {
    const bastion = { address: "2001:db8::7", user: "me", hostKey: key };
    expect(machineSchema.parse({ ...pi, bastion })).toEqual({
      ...{ ...pi, port: 22 },
      bastion: { ...bastion, port: 22 },
    });
  });

  it.each(["-oProxyCommand=evil", "a b", "a\nProxyCommand evil", ""])("has no address %j", (address) => {
    expect(problemsOf({ address })).toEqual([
      "address: must be a host name or an IP address: letters, digits and . _ : - only",
    ]);
  });

  it("has its port under `port`, not in its address", () => {
    expect(problemsOf({ address: "pi-0.local:2222" })).toEqual([
      "address: has a port in it, which belongs under `port`",
    ]);
    expect(problemsOf({ address: "2001:db8::7" })).toEqual([]);
  });

  it("may have a name in capitals and with underscores, and a user's name may have dots", () => {
    expect(problemsOf({ address: "Pi_1.Home", user: "jane.doe" })).toEqual([]);
  });

  it.each([
    ["pi@10.0.0.7", "has a user in it, who belongs under `user`"],
    ["[2001:db8::7]", "is an IPv6 address in brackets: leave them out"],
    [
      "fe80::1%eth0",
      "is a link-local address, which means something on one network card alone: take the host's name or another address",
    ],
  ])("is not at %s", (address, message) => {
    expect(problemsOf({ address })).toEqual([`address: ${message}`]);
  });

  it("has a private key under an absolute path or one below the home folder, and its bastion too", () => {
    expect(problemsOf({ privateKeyFile: "/keys/my pi", agentSocket: "~/agent.sock" })).toEqual([]);
    const message = "must be an absolute path, or one that starts with ~/";
    const bastion = { address: "gate", user: "me", hostKey: key, privateKeyFile: "id_ed25519" };
    expect(problemsOf({ privateKeyFile: "../keys/pi", bastion })).toEqual([
      `privateKeyFile: ${message}`,
      `bastion.privateKeyFile: ${message}`,
    ]);
    expect(problemsOf({ privateKeyFile: "/keys/${HOME}" })[0]).toMatch(
      /^privateKeyFile: must be a path without/,
    );
  });

  it("has no other keys; the nearest one is named", () => {
    expect(problemsOf({ adress: "x" })).toEqual([': unknown key; did you mean "address"?']);
  });
});

describe("a host key", () => {
  const types = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp384", "sk-ssh-ed25519@openssh.com"];

  /** A key's data: each field with its length before it. */
  const dataOf = (...fields: string[]): string =>
    Buffer.concat(
      fields.map((field) => {
        const length = Buffer.alloc(4);
        length.writeUInt32BE(field.length);
        return Buffer.concat([length, Buffer.from(field)]);
      }),
    ).toString("base64");

  it.each(types)("may be of type %s, as it lies on the host: with a comment, which is dropped", (type) => {
    const data = dataOf(type, "of this", "and that");
    const { hostKey } = machineSchema.parse({ ...pi, hostKey: `${type}  ${data} root@pi 0\n` });
    expect(hostKey).toBe(`${type} ${data}`);
  });

  it.each([
    ["cut off", key.slice(0, -4)],
    ["cut off before its second field", `ssh-ed25519 ${dataOf("ssh-ed25519")}`],
    ["of another type's data", key.replace("ssh-ed25519", "ssh-rsa")],
  ])("is whole: not %s", (_what, hostKey) => {
    expect(problemsOf({ hostKey })).toEqual([
      "hostKey: is cut off, or its data are those of another type: copy the whole line",
    ]);
  });

  it.each(["AAAA", "pi-0 ssh-ed25519 AAAA", "ssh-dss AAAA", "ssh-ed25519 SHA256:abc", "ssh-ed25519"])(
    "is not %j",
    (hostKey) => {
      expect(problemsOf({ hostKey })[0]).toMatch(
        /^hostKey: must be a public host key such as "ssh-ed25519 AAAA…"/,
      );
    },
  );

  it("has the fingerprint that ssh prints", () => {
    // ssh-keygen -lf on this very key.
    expect(fingerprint(key)).toBe("SHA256:+UU5zgAIZlpGOLXD7icMLydkoPulW2oiBXiwFPQmCHw");
  });
});
