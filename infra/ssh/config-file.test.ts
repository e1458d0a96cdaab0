import { homedir } from "node:os";
import { expect, test } from "vitest";
import { knownHosts, sshConfig } from "./config-file.ts";
import { machineSchema } from "./machine.ts";
import { hostKey as key } from "./testing/host-key.ts";

const host = machineSchema.parse({ name: "pi-0", address: "10.0.0.7", user: "pi", hostKey: key });
const files = {
  ...{ config: "/run/x/ssh_config", knownHosts: "/run/x/known_hosts", control: "/run/x/control" },
  ...{ log: "/run/x/log", bastionLog: "/run/x/bastion-log" },
};

test("the host key is always verified, and only the kind that is known is asked for", () => {
  const config = sshConfig(host, files);
  expect(config).toContain("  StrictHostKeyChecking yes\n");
  expect(config).toContain("  HostKeyAlgorithms ssh-ed25519\n");
  expect(config).toContain('  UserKnownHostsFile "/run/x/known_hosts"\n');
  expect(config).toContain("  GlobalKnownHostsFile /dev/null\n");
  expect(knownHosts(host)).toBe(`pi-0 ${key}\n`);
});

test("an RSA host key is verified by today's signatures", () => {
  expect(sshConfig({ ...host, hostKey: "ssh-rsa AAAA" }, files)).toContain(
    "HostKeyAlgorithms rsa-sha2-512,rsa-sha2-256\n",
  );
});

test("a private key is the only one offered; an agent is asked where it is given", () => {
  const withKey = sshConfig({ ...host, privateKeyFile: "/home/me/my key" }, files);
  expect(withKey).toContain('  IdentityFile "/home/me/my key"\n  IdentitiesOnly yes\n');
  expect(sshConfig({ ...host, agentSocket: "/run/agent" }, files)).toContain(
    '  IdentityAgent "/run/agent"\n',
  );
  expect(sshConfig({ ...host, privateKeyFile: "/k.pub", agentSocket: "/run/agent" }, files)).toContain(
    '  IdentityAgent "/run/agent"\n  IdentityFile "/k.pub"\n  IdentitiesOnly yes\n',
  );
  expect(sshConfig({ ...host, privateKeyFile: "~/k" }, files)).toContain(`IdentityFile "${homedir()}/k"`);
  expect(sshConfig(host, files)).not.toMatch(/Identity/);
});

test("a bastion has its own address, user and key, verified like the host's", () => {
  const bastion = { address: "jump.example", port: 2222, user: "me", hostKey: "ssh-ed25519 BBBB" };
  const config = sshConfig({ ...host, bastion }, files);
  expect(config).toContain(
    "  ProxyCommand 'ssh' '-F' '/run/x/ssh_config' '-E' '/run/x/bastion-log' '-W' '[%h]:%p' 'pi-0-bastion'\n",
  );
  expect(config).toMatch(/Host pi-0-bastion\n {2}HostName jump\.example\n {2}Port 2222\n {2}User me\n/);
  expect(config.match(/StrictHostKeyChecking yes/g)).toHaveLength(2);
  expect(knownHosts({ ...host, bastion })).toContain("pi-0-bastion ssh-ed25519 BBBB\n");
});

test("what ssh fills in is not filled into a path", () => {
  expect(sshConfig({ ...host, privateKeyFile: "/keys/100%h" }, files)).toContain(
    '  IdentityFile "/keys/100%%h"\n',
  );
});
