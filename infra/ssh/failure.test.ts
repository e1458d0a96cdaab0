import { describe, expect, it } from "vitest";
import { ConnectionFailure, explainFailure, explainMissingFolder } from "./failure.ts";
import type { Machine } from "./machine.ts";
import { hostKey as key } from "./testing/host-key.ts";

describe("a host that lets us in and makes no folder for the connection", () => {
  const host = { name: "pi-0" } as Machine;
  const stderr = (reason: string) =>
    `Welcome!\nmkdir: cannot create directory '/tmp/pipress-2a8f30c49105d7f3': ${reason}\n`;

  it.each([
    ["No space left on device", /^pi-0: the host answers, but has no room .* — free some of its disk/],
    [
      "Read-only file system",
      /^pi-0: the host answers, but its file system is read-only — see why in `dmesg`/,
    ],
    [
      "Permission denied",
      /^pi-0: the host answers, but makes no folder in \/tmp \(Permission denied\) — see to it/,
    ],
  ])("is told apart from one that is down: %s", (reason, words) => {
    const failure = explainMissingFolder(host, stderr(reason));
    expect(failure).not.toBeInstanceOf(ConnectionFailure);
    expect(failure?.message).toMatch(words);
  });

  it("is none that did not let us in", () => {
    expect(explainMissingFolder(host, "pi@10.0.0.7: Permission denied (publickey).")).toBeUndefined();
  });
});

/** What ssh says of a way that the bastion has not opened. */
const closed =
  "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by UNKNOWN port 65535\r\n";

describe("why there is no connection", () => {
  const other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g";
  const pi: Machine = { name: "pi-0", address: "10.0.0.7", port: 22, user: "pi", hostKey: key };
  const bastion = { address: "gate", port: 2222, user: "me", hostKey: other };

  it.each([
    ["Host key verification failed.", "hostKey", "pi-0: wrong host key: expected SHA256:+UU5zg"],
    [
      "no matching host key type found. Their offer: rsa-sha2-512,rsa-sha2-256",
      "hostKey",
      "no host key of the expected type ssh-ed25519, it offers rsa-sha2-512, rsa-sha2-256;",
    ],
    ["pi@10.0.0.7: Permission denied (publickey).", "userKey", "does not accept the key of user pi"],
    [
      "Received disconnect: Too many authentication failures",
      "userKey",
      "offered too many before the right one — set privateKeyFile",
    ],
    ["/run/x/ssh_config: line 3: Bad configuration option: x", "setting", "refuses its settings"],
    ["Unable to negotiate: no matching cipher found. Their offer: 3des", "setting", "have nothing in common"],
    ["Could not resolve hostname pi: Name or service not known", "unreachable", "10.0.0.7 does not resolve"],
    ["ENOTFOUND", "unreachable", "the name 10.0.0.7 does not resolve"],
    ["connect to host 10.0.0.7 port 22: Connection refused", "unreachable", "nothing listens on 10.0.0.7:22"],
    ["ECONNREFUSED", "unreachable", "nothing listens on 10.0.0.7:22"],
    ["connect to host 10.0.0.7 port 22: Connection timed out", "unreachable", "no answer from 10.0.0.7:22"],
    ["Connection timed out during banner exchange", "unreachable", "no answer from 10.0.0.7:22"],
    ["Timeout, server 10.0.0.7 not responding.", "unreachable", "no answer from 10.0.0.7:22"],
    [
      "connect to host 10.0.0.7 port 22: No route to host",
      "unreachable",
      "(connect to host 10.0.0.7 port 22: No route",
    ],
    ["EHOSTUNREACH", "unreachable", "no SSH connection to 10.0.0.7:22 (EHOSTUNREACH)"],
    ["Authenticated to x\nBroken pipe\nBytes per second: 1", "unreachable", "22 (Broken pipe)"],
    [
      "kex_exchange_identification: read: Connection reset by peer",
      "unreachable",
      "10.0.0.7:22 ends the connection before it begins (kex_exchange_identification: read:",
    ],
    ["", "unreachable", "no SSH connection to 10.0.0.7:22 — check"],
  ])("%j", (own, kind, message) => {
    const failure = explainFailure({ ...pi, privateKeyFile: "~/k" }, { own });
    expect(failure.message).toContain(message);
    expect(failure.kind).toBe(kind);
    expect(failure.isPermanent).toBe(kind !== "unreachable");
  });

  it("may turn out to be something more precise, with one more thing to do", () => {
    const failure = explainFailure(pi, { own: "pi@10.0.0.7: Permission denied (publickey)." });
    const defect = { what: "~/k is empty", remedy: "set privateKeyFile to a private key" };
    expect(failure.with(defect).withHint("look twice").message).toBe(
      "pi-0: ~/k is empty — set privateKeyFile to a private key; look twice",
    );
  });

  it.each([
    // What the bastion's ssh says, and ssh itself.
    [
      "Host key verification failed.",
      closed,
      "hostKey",
      /^pi-0 \/ bastion: wrong host key: expected SHA256:(?!\+UU5)/,
    ],
    [
      "me@gate: Permission denied (publickey).",
      closed,
      "userKey",
      /^pi-0 \/ bastion: the bastion gate does not .* key of user me — set bastion.privateKeyFile/,
    ],
    [
      "connect to host gate port 2222: Connection refused",
      closed,
      "unreachable",
      /nothing listens on gate:2222/,
    ],
    [
      "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed",
      closed,
      "unreachable",
      /^pi-0: unreachable: nothing listens on 10\.0\.0\.7:22 through the bastion gate:2222/,
    ],
    [
      "channel 0: open failed: connect failed: Name or service not known",
      closed,
      "unreachable",
      /^pi-0: unreachable: the name 10\.0\.0\.7 does not resolve on the bastion gate:2222/,
    ],
    [
      "ssh: connect to host gate port 2222: No route to host",
      closed,
      "unreachable",
      /^pi-0 \/ bastion: unreachable: no SSH connection to gate:2222 \(.*No route to host\) — check that the bastion/,
    ],
    [
      "Unable to negotiate with gate port 2222: no matching host key type found. Their offer: ssh-rsa",
      closed,
      "hostKey",
      /^pi-0 \/ bastion: the bastion gate has no host key .* ssh-ed25519, it offers ssh-rsa; .* bastion\.hostKey/,
    ],
    [
      "",
      "Unable to negotiate with UNKNOWN port 65535: no matching host key type found. Their offer: ssh-rsa",
      "hostKey",
      /^pi-0: the host has no host key of the expected type ssh-ed25519/,
    ],
    [
      "channel 0: open failed: administratively prohibited: open failed",
      closed,
      "setting",
      /^pi-0 \/ bastion: sshd of the bastion gate lets no connection through/,
    ],
    ["Warning: a banner", "pi@10.0.0.7: Permission denied (publickey).", "userKey", /^pi-0: .* user pi/],
    ["", "Host key verification failed.", "hostKey", /^pi-0: wrong host key: expected SHA256:\+UU5zg/],
    [
      "",
      closed,
      "unreachable",
      /^pi-0: unreachable: no SSH connection to 10\.0\.0\.7:22 through the bastion gate:2222/,
    ],
  ])("over a bastion that says %j, while ssh says %j", (toBastion, own, kind, message) => {
    const failure = explainFailure({ ...pi, bastion }, { own, bastion: toBastion });
    expect(failure.message).toMatch(message);
    expect(failure.kind).toBe(kind);
  });
});
