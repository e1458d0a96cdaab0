import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import { execa } from "execa";
import { UserError } from "../../common/user-error.ts";

export interface Step {
  name: string;
  argv: string[];
  env?: NodeJS.ProcessEnv;
  /** File that gets the whole output. */
  log: string;
  progress: (message: string) => void;
  signal?: AbortSignal;
}

/**
 * Runs one build command in a process group of its own (so that cancelling ends its children too), keeps its output
 * in a log, and says what it is at whenever that changes.
 */
export async function runStep({ name, argv, env = {}, log, progress, signal }: Step): Promise<void> {
  signal?.throwIfAborted();
  const output = createWriteStream(log);
  const recent: string[] = [];
  const report = (activity: string) => {
    progress(`${name} · ${activity}`);
  };

  const [command = "", ...args] = argv;
  // sudo knows who typed the password by the terminal, which a detached process has not; it passes signals on.
  const hasGroup = command !== "sudo";
  const child = execa(command, args, {
    env: { ...env, PATH: withSystemFolders(process.env.PATH), LC_ALL: "C.UTF-8" },
    ...{ all: true, buffer: false, stdin: "ignore", detached: hasGroup, reject: false },
  });
  const endGroup = () => {
    if (child.pid !== undefined) process.kill(hasGroup ? -child.pid : child.pid, "SIGTERM");
  };
  signal?.addEventListener("abort", endGroup, { once: true });
  report("starting");
  try {
    for await (const line of child.iterable({ from: "all" })) {
      output.write(`${line}\n`);
      recent.push(line);
      if (recent.length > 15) recent.shift();
      const activity = describe(line);
      if (activity !== undefined) report(activity);
    }
    const result = await child;
    signal?.throwIfAborted();
    if (result.failed) throw stepFailed(name, command, result.code, recent, log);
  } finally {
    signal?.removeEventListener("abort", endGroup);
    output.end();
    await finished(output);
  }
}

/** mke2fs, depmod and useradd live in folders that are not on every user's PATH. */
function withSystemFolders(path = ""): string {
  return `${path}:/usr/local/sbin:/usr/sbin:/sbin`;
}

/** What a line of output says about how far a step is; undefined for lines that say nothing. */
export function describe(line: string): string | undefined {
  const counted = /^progress (\d+) (\d+)$/.exec(line);
  if (counted) return `package ${counted[1]} of ${counted[2]}`;
  const fetched = /^Get:\d+ \S+ \S+ \S+ (\S+)/.exec(line);
  if (fetched) return `fetching ${fetched[1]}`;
  const configured = /^Setting up (\S+)/.exec(line);
  if (configured) return `setting up ${configured[1]?.replace(/:.*/, "")}`;
  return /^I: (.*?)\.*$/.exec(line)?.[1] ?? /^((?:unpacking|adding|filling) .*)$/.exec(line)?.[1];
}

function stepFailed(name: string, command: string, code: string | undefined, recent: string[], log: string) {
  const where = `virtual Pi image / ${name}`;
  if (code === "ENOENT")
    return new UserError({
      where,
      what: `${command} is not installed`,
      remedy: "install the missing system package",
    });
  if (recent.some((line) => line.startsWith("sudo:")))
    return new UserError({
      where,
      what: `root is needed, and ${recent.at(-1)}`,
      remedy: "run `sudo -v` first, or the same command as root once; the image is cached afterwards",
    });
  const offline = recent.some((line) =>
    /Could not resolve|Failed to fetch|Cannot initiate the connection/.test(line),
  );
  return new UserError({
    where,
    what: `${command} failed:\n${recent.map((line) => `    ${line}`).join("\n")}`,
    remedy: offline
      ? "check the network, then run the same command again: what was downloaded is kept"
      : `run the same command again; the whole log is ${log}`,
  });
}
