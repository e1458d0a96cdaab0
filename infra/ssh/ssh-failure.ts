import { UserError } from "../../common/user-error.ts";
import { fingerprint, type PlayHost } from "./host.ts";

/** Nobody answers: the host is off, elsewhere, or its network is. A host that answers wrongly is not down. */
export class HostDown extends UserError {}

/** What went wrong before there was a TCP connection. @param code of Node's error, e.g. `ECONNREFUSED` */
export function explainTcpFailure({ name, address, port }: PlayHost, code: string): UserError {
  const reasons: Record<string, { what: string; remedy: string }> = {
    ECONNREFUSED: {
      what: `unreachable: nothing listens on ${address}:${port}`,
      remedy: "start sshd on the host, or correct the host's port",
    },
    ENOTFOUND: {
      what: `unreachable: the name ${address} does not resolve`,
      remedy: "correct the host's address, or give its IP address",
    },
    ETIMEDOUT: {
      what: `unreachable: no answer from ${address}:${port} within 10 seconds`,
      remedy: "check that the host is on, in this network, and that no firewall is between",
    },
  };
  const known = reasons[code === "EAI_AGAIN" ? "ENOTFOUND" : code];
  return new HostDown({
    where: name,
    ...(known ?? {
      what: `unreachable: no connection to ${address}:${port} (${code})`,
      remedy: "check that the host is on and in this network",
    }),
  });
}

/** What ssh's error output means for the user. */
export function explainSshFailure(host: PlayHost, stderr: string): UserError {
  const { name, address, port, user, bastion } = host;
  if (/Host key verification failed|No .* host key is known|REMOTE HOST IDENTIFICATION/.test(stderr))
    return wrongHostKey(host, stderr);
  if (/no matching host key type/.test(stderr))
    return new UserError({
      where: name,
      what: `the host has no key of the expected type ${host.hostKey.split(" ")[0]}`,
      remedy:
        "if the host was set up anew, put its present public host key into hostKey; if not, find out who answers",
    });
  if (/Permission denied|Too many authentication failures/.test(stderr))
    return new UserError({
      where: name,
      what: `the host does not accept the key of user ${user}`,
      remedy: `set privateKeyFile or agentSocket to a key that is in ~${user}/.ssh/authorized_keys on the host`,
    });
  const via = bastion === undefined ? "" : ` through ${bastion.address}:${bastion.port}`;
  const said = lastLine(stderr);
  return new HostDown({
    where: name,
    what: `unreachable: no SSH connection to ${address}:${port}${via}${said === "" ? "" : ` (${said})`}`,
    remedy: "check that the host is on and that its sshd answers",
  });
}

/**
 * What it means that a host has let us in and then has not made the folder of the connection. It is not down: it may serve.
 * @param stderr of ssh and of the host's `mkdir` in the C locale
 * @returns nothing where it was not that
 */
export function explainMissingFolder({ name }: PlayHost, stderr: string): UserError | undefined {
  const reason = /^mkdir: .*: (.+)$/m.exec(stderr)?.[1];
  if (reason === undefined) return undefined;
  const reasons: Record<string, { what: string; remedy: string }> = {
    "No space left on device": {
      what: "the host answers, but has no room for a folder in /tmp",
      remedy: "free some of its disk (`df -h /tmp` there) and run `pulumi up` again",
    },
    "Read-only file system": {
      what: "the host answers, but its file system is read-only",
      remedy:
        "see why in `dmesg` there (a card that fails is mounted so): start the host anew, or replace the card",
    },
  };
  const known = reasons[reason];
  return new UserError({
    where: name,
    ...(known ?? {
      what: `the host answers, but makes no folder in /tmp (${reason})`,
      remedy: "see to it that its user may write to /tmp",
    }),
  });
}

function wrongHostKey(host: PlayHost, stderr: string): UserError {
  const offered = /SHA256:[A-Za-z0-9+/]+/.exec(stderr)?.[0];
  // ssh names the alias whose key it refused; with a bastion either may be the stranger.
  const { bastion } = host;
  const atBastion = bastion !== undefined && stderr.includes(`${host.name}-bastion`);
  const expected = fingerprint(atBastion ? bastion.hostKey : host.hostKey);
  return new UserError({
    where: atBastion ? `${host.name} / bastion` : host.name,
    what: `wrong host key: expected ${expected}, offered ${offered ?? "another one"}; nothing was sent`,
    remedy:
      "if the host was set up anew, put its present public host key into hostKey; if not, somebody else answers there",
  });
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.trim() ?? "";
}
