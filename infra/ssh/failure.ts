import { UserError, type Problem } from "../../common/user-error.ts";
import { fingerprint, type Hop, type Machine } from "./machine.ts";

/**
 * Why there is no connection. `unreachable`: nobody answers, the machine is off, elsewhere, or its network is; it may be
 * back later. All else a person has to put right: another host key, no key that is accepted, a setting.
 */
export type FailureKind = "unreachable" | "hostKey" | "userKey" | "setting";

/** No connection to a machine, explained. */
export class ConnectionFailure extends UserError {
  constructor(
    readonly kind: FailureKind,
    problem: Problem,
  ) {
    super(problem);
  }

  /** Trying again cannot help. */
  get isPermanent(): boolean {
    return this.kind !== "unreachable";
  }
}

/** What ssh said about a machine, and what the ssh through its bastion said. */
export interface SshMessages {
  own: string;
  bastion?: string;
}

/** What is wrong with the key of the machine's user, and with that of its bastion's: `user-key.ts`. */
export interface KeyDefects {
  own?: Omit<Problem, "where"> | undefined;
  bastion?: Omit<Problem, "where"> | undefined;
}

/** The machine that a message is about, which may be the bastion on the way to it. */
interface Subject extends Hop {
  /** As a problem names it. */
  name: string;
  /** `address:port`, and over which bastion. */
  location: string;
  keyDefect: Omit<Problem, "where"> | undefined;
}

interface Explanation {
  /** Of what ssh says (OpenSSH 8 to 10), and of the code by which Node says the same about a socket. */
  pattern: RegExp;
  kind: FailureKind;
  problem: (subject: Subject, message: string) => Omit<Problem, "where">;
}

/** What ssh may say, the cause before what follows from it. */
const explanations: readonly Explanation[] = [
  {
    pattern: /Host key verification failed|No .* host key is known|REMOTE HOST IDENTIFICATION/,
    kind: "hostKey",
    problem: ({ hostKey }, message) => ({
      what: `wrong host key: expected ${fingerprint(hostKey)}, offered ${/SHA256:[A-Za-z0-9+/]+/.exec(message)?.[0] ?? "another one"}; nothing was sent`,
      remedy:
        "if the host was set up anew, put its present public host key into hostKey; if not, somebody else answers there",
    }),
  },
  {
    pattern: /no matching host key type/,
    kind: "hostKey",
    problem: ({ hostKey }) => ({
      what: `the host has no key of the expected type ${hostKey.split(" ")[0]}`,
      remedy:
        "if the host was set up anew, put its present public host key into hostKey; if not, find out who answers",
    }),
  },
  {
    pattern: /Permission denied|Too many authentication failures|No more authentication methods/,
    kind: "userKey",
    problem: ({ user, keyDefect }) =>
      keyDefect ?? {
        what: `the host does not accept the key of user ${user}`,
        remedy: `set privateKeyFile or agentSocket to a key that is in ~${user}/.ssh/authorized_keys on the host`,
      },
  },
  {
    pattern: /Bad configuration option|Bad owner or permissions on/,
    kind: "setting",
    problem: (_, message) => ({
      what: `ssh of this machine refuses its settings (${lastLine(message)})`,
      remedy: "install OpenSSH 8.5 or newer",
    }),
  },
  {
    pattern: /no matching (?:key exchange method|cipher|MAC) found/,
    kind: "setting",
    problem: (_, message) => ({
      what: `this machine's ssh and the host's sshd have nothing in common (${lastLine(message)})`,
      remedy: "update OpenSSH on the older of the two",
    }),
  },
  {
    pattern: /administratively prohibited/,
    kind: "setting",
    problem: ({ address }) => ({
      what: "its sshd lets no connection through to other machines",
      remedy: `set AllowTcpForwarding yes in the sshd_config of ${address}`,
    }),
  },
  {
    pattern: /Could not resolve hostname|Name or service not known|^ENOTFOUND|^EAI_AGAIN/m,
    kind: "unreachable",
    problem: ({ address }) => ({
      what: `unreachable: the name ${address} does not resolve`,
      remedy: "correct the host's address, or give its IP address",
    }),
  },
  {
    pattern: /Connection refused|^ECONNREFUSED/m,
    kind: "unreachable",
    problem: ({ location }) => ({
      what: `unreachable: nothing listens on ${location}`,
      remedy: "start sshd on the host, or correct the host's port",
    }),
  },
  {
    pattern: /timed out|Timeout, server .* not responding|^ETIMEDOUT/im,
    kind: "unreachable",
    problem: ({ location }) => ({
      what: `unreachable: no answer from ${location} in time`,
      remedy: "check that the host is on, in this network, and that no firewall is between",
    }),
  },
];

/** Why there is no connection, from what ssh said, or from the code of a socket's error, e.g. `ECONNREFUSED`. */
export function explainFailure(
  machine: Machine,
  { own, bastion: toBastion = "" }: SshMessages,
  defects: KeyDefects = {},
): ConnectionFailure {
  const { name, bastion } = machine;
  const via = bastion === undefined ? "" : ` through ${bastion.address}:${bastion.port}`;
  const location = `${machine.address}:${machine.port}${via}`;
  const target: Subject = { ...machine, location, keyDefect: defects.own };
  // The bastion answered, and found the way on from there closed.
  const onward = /open failed: connect failed: (.*)/.exec(toBastion)?.[1];
  const atBastion =
    bastion === undefined || onward !== undefined
      ? undefined
      : explain(
          {
            ...bastion,
            name: `${name} / bastion`,
            location: `${bastion.address}:${bastion.port}`,
            keyDefect: defects.bastion,
          },
          toBastion,
        );
  return atBastion ?? explain(target, onward ?? own) ?? unexplained(target, toBastion, own);
}

function explain(subject: Subject, message: string): ConnectionFailure | undefined {
  const explanation = explanations.find(({ pattern }) => pattern.test(message));
  if (explanation === undefined) return undefined;
  const { kind, problem } = explanation;
  return new ConnectionFailure(kind, { where: subject.name, ...problem(subject, message) });
}

function unexplained({ name, location }: Subject, ...messages: readonly string[]): ConnectionFailure {
  const line = messages.map(lastLine).find((text) => text !== "");
  return new ConnectionFailure("unreachable", {
    where: name,
    what: `unreachable: no SSH connection to ${location}${line === undefined ? "" : ` (${line})`}`,
    remedy: "check that the host is on, in this network, and that its sshd answers",
  });
}

/**
 * What it means that a host has let us in and then has not made the folder of the connection. It is not down: it may serve.
 * @param stderr of the host's `mkdir` in the C locale
 * @returns nothing where it was not that
 */
export function explainMissingFolder({ name }: Machine, stderr: string): UserError | undefined {
  const reason = /^mkdir: .*: (.+)$/m.exec(stderr)?.[1];
  if (reason === undefined) return undefined;
  const { what, remedy } = missingFolders[reason] ?? {
    what: `makes no folder in /tmp (${reason})`,
    remedy: "see to it that its user may write to /tmp",
  };
  return new UserError({ where: name, what: `the host answers, but ${what}`, remedy });
}

const missingFolders: Record<string, Omit<Problem, "where">> = {
  "No space left on device": {
    what: "has no room for a folder in /tmp",
    remedy: "free some of its disk (`df -h /tmp` there) and run `pulumi up` again",
  },
  "Read-only file system": {
    what: "its file system is read-only",
    remedy:
      "see why in `dmesg` there (a card that fails is mounted so): start the host anew, or replace the card",
  },
};

/** The last line of ssh's that is not about a connection that was there. */
function lastLine(text: string): string {
  const lines = text.split("\n").map((line) => line.trim());
  const told = lines.filter((line) => !/^(?:Authenticated to|Transferred:|Bytes per second|$)/.test(line));
  return told.at(-1) ?? "";
}
