import { UserError, type Problem } from "../../common/user-error.ts";
import { hostAndPort } from "./address.ts";
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
    /** The machine it is about, which may be the bastion on the way. */
    readonly hop: Hop,
    private readonly problem: Required<Problem>,
  ) {
    super(problem);
  }

  /** Trying again cannot help. */
  get isPermanent(): boolean {
    return this.kind !== "unreachable";
  }

  /** The host itself is off, and not what is on the way to it. */
  get isHostDown(): boolean {
    // A bastion has no name.
    return this.kind === "unreachable" && "name" in this.hop;
  }

  /** The same with what else is known of it. @param kind where that is of another kind */
  with(known: Partial<Required<Problem>>, kind = this.kind): ConnectionFailure {
    return new ConnectionFailure(kind, this.hop, { ...this.problem, ...known });
  }

  /** The same with one more thing to do about it. */
  withHint(hint: string): ConnectionFailure {
    return this.with({ remedy: `${this.problem.remedy}; ${hint}` });
  }
}

/** What ssh said about a machine, and what the ssh through its bastion said. */
export interface SshMessages {
  own: string;
  bastion?: string;
}

/** The machine that a message is about, which may be the bastion on the way to it. */
interface Subject {
  hop: Hop;
  /** As a problem names it. */
  where: string;
  /** `the host`, or the bastion with its address. */
  noun: string;
  /** Before the name of one of its settings. */
  path: string;
  /** `address:port`, and over which bastion. */
  location: string;
  /** Who looks its name up, where that is not this machine. */
  lookedUpBy: string;
}

interface Explanation {
  /** Of what ssh says (OpenSSH 8 to 10), and of the code by which Node says the same about a socket. */
  pattern: RegExp;
  kind: FailureKind;
  problem: (subject: Subject, message: string) => Required<Omit<Problem, "where">>;
}

/** What ssh may say, the cause before what follows from it. */
const explanations: readonly Explanation[] = [
  {
    pattern: /Host key verification failed|No .* host key is known|REMOTE HOST IDENTIFICATION/,
    kind: "hostKey",
    problem: ({ hop: { hostKey }, noun, path }, message) => {
      const offered = /SHA256:[A-Za-z0-9+/]+/.exec(message)?.[0] ?? "another one";
      const file = `/etc/ssh/ssh_host_${keyName(hostKey)}_key.pub`;
      return {
        what: `wrong host key: expected ${fingerprint(hostKey)}, offered ${offered}; nothing was sent`,
        remedy:
          `run \`ssh-keygen -lf ${file}\` on ${noun} itself: if it prints ${offered}, put the content of that file` +
          ` into ${path}hostKey; if not, somebody else answers there`,
      };
    },
  },
  {
    pattern: /no matching host key type/,
    kind: "hostKey",
    problem: ({ hop: { hostKey }, noun, path }, message) => ({
      what: `${noun} has no host key of the expected type ${hostKey.split(" ")[0]}${offerIn(message)}; nothing was sent`,
      remedy:
        `run \`cat /etc/ssh/ssh_host_*_key.pub\` on ${noun} itself, and put one of the lines into ${path}hostKey;` +
        " if the expected one is among them, somebody else answers there",
    }),
  },
  {
    pattern: /Too many authentication failures/,
    kind: "userKey",
    problem: ({ noun, path }) => ({
      what: `${noun} refuses to look at more keys: the SSH agent has offered too many before the right one`,
      remedy: `set ${path}privateKeyFile to the right one (its .pub file will do where an agent holds the key)`,
    }),
  },
  {
    pattern: /Permission denied|No more authentication methods/,
    kind: "userKey",
    problem: ({ hop: { user }, noun, path }) => ({
      what: `${noun} does not accept the key of user ${user}`,
      remedy: `set ${path}privateKeyFile or ${path}agentSocket to a key that is in ~${user}/.ssh/authorized_keys there`,
    }),
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
    problem: ({ noun }, message) => ({
      what: `this machine's ssh and sshd of ${noun} have nothing in common (${lastLine(message)})`,
      remedy: "update OpenSSH on the older of the two",
    }),
  },
  {
    pattern: /administratively prohibited/,
    kind: "setting",
    problem: ({ noun }) => ({
      what: `sshd of ${noun} lets no connection through to other machines`,
      remedy:
        "set AllowTcpForwarding yes in its sshd_config, and see that PermitOpen and DisableForwarding are not there",
    }),
  },
  {
    pattern:
      /Could not resolve hostname|Name or service not known|Temporary failure in name resolution|^ENOTFOUND|^EAI_AGAIN/m,
    kind: "unreachable",
    problem: ({ hop: { address }, path, lookedUpBy }) => ({
      what: `unreachable: the name ${address} does not resolve${lookedUpBy}`,
      remedy: `correct ${path}address, or give its IP address`,
    }),
  },
  {
    pattern: /Connection refused|^ECONNREFUSED/m,
    kind: "unreachable",
    problem: ({ noun, location, path }) => ({
      what: `unreachable: nothing listens on ${location}`,
      remedy: `start sshd on ${noun}, or correct ${path}port`,
    }),
  },
  {
    pattern: /timed out|Timeout, server .* not responding|^ETIMEDOUT/im,
    kind: "unreachable",
    problem: ({ noun, location }) => ({
      what: `unreachable: no answer from ${location} in time`,
      remedy: `check that ${noun} is on, in this network, and that no firewall is between`,
    }),
  },
  {
    // What sshd says to one connection too many (MaxStartups, PerSourcePenalties), and a guard such as fail2ban.
    pattern: /kex_exchange_identification|Not allowed at this time|Exceeded MaxStartups/,
    kind: "unreachable",
    problem: ({ noun, location }, message) => ({
      what: `unreachable: ${location} ends the connection before it begins (${lastLine(message)})`,
      remedy: `see in the log of sshd on ${noun} whether it has too many connections (MaxStartups) or bars this address`,
    }),
  },
];

/** As a host key's file is called: `ed25519` of `ssh-ed25519`, `ecdsa` of `ecdsa-sha2-nistp256`. */
function keyName(hostKey: string): string {
  return /ed25519|ecdsa|rsa/.exec(hostKey)?.[0] ?? "ed25519";
}

function offerIn(message: string): string {
  const offer = /Their offer: (\S+)/.exec(message)?.[1];
  return offer === undefined ? "" : `, it offers ${offer.replaceAll(",", ", ")}`;
}

/** Why there is no connection, from what ssh said, or from the code of a socket's error, e.g. `ECONNREFUSED`. */
export function explainFailure(
  machine: Machine,
  { own, bastion: toBastion = "" }: SshMessages,
): ConnectionFailure {
  const { bastion } = machine;
  if (bastion === undefined) {
    const subject = hostSubject(machine, "", "");
    return explain(subject, own) ?? unexplained(subject, own);
  }
  const at = hostAndPort(bastion.address, bastion.port);
  const target = hostSubject(machine, ` through the bastion ${at}`, ` on the bastion ${at}`);
  // The bastion answered, and found the way on from there closed.
  const onward = /open failed: connect failed: (.*)/.exec(toBastion)?.[1];
  if (onward !== undefined) return explain(target, onward) ?? unexplained(target, onward);
  const gate = bastionSubject(machine.name, bastion);
  const atBastion = explain(gate, toBastion);
  if (atBastion !== undefined) return atBastion;
  // The ssh to the bastion ended before the host had said a word, so that nothing here is about the host.
  const isProxyGone = own.includes("UNKNOWN port 65535") && !own.includes("no matching");
  if (isProxyGone && lastLine(toBastion) !== "") return unexplained(gate, toBastion);
  return (isProxyGone ? undefined : explain(target, own)) ?? unexplained(target, toBastion, own);
}

function hostSubject(machine: Machine, via: string, lookedUpBy: string): Subject {
  const location = `${hostAndPort(machine.address, machine.port)}${via}`;
  return { hop: machine, where: machine.name, noun: "the host", path: "", location, lookedUpBy };
}

/** @param name of the host behind it */
function bastionSubject(name: string, bastion: Hop): Subject {
  const location = hostAndPort(bastion.address, bastion.port);
  const noun = `the bastion ${bastion.address}`;
  return { hop: bastion, where: `${name} / bastion`, noun, path: "bastion.", location, lookedUpBy: "" };
}

function explain(subject: Subject, message: string): ConnectionFailure | undefined {
  const explanation = explanations.find(({ pattern }) => pattern.test(message));
  if (explanation === undefined) return undefined;
  const { kind, problem } = explanation;
  return new ConnectionFailure(kind, subject.hop, { where: subject.where, ...problem(subject, message) });
}

function unexplained(
  { hop, where, noun, location }: Subject,
  ...messages: readonly string[]
): ConnectionFailure {
  const line = messages.map(lastLine).find((text) => text !== "");
  return new ConnectionFailure("unreachable", hop, {
    where,
    what: `unreachable: no SSH connection to ${location}${line === undefined ? "" : ` (${line})`}`,
    remedy: `check that ${noun} is on, in this network, and that its sshd answers`,
  });
}

/** What it means that a machine has let us in and then has not run anything. @param output what it printed instead */
export function explainNoShell(machine: Machine, output: string): ConnectionFailure {
  const { name, user } = machine;
  const line = lastLine(output);
  return new ConnectionFailure("setting", machine, {
    where: name,
    what: `the host lets user ${user} in, but runs no command for them${line === "" ? "" : ` (${line})`}`,
    remedy:
      `give them a shell there (\`sudo chsh -s /bin/sh ${user}\`), and see that neither their .bashrc nor a` +
      " ForceCommand of sshd_config ends the session",
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
