import { spawn } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { cacheDir, repoRoot } from "../common/paths.ts";
import { UserError } from "../common/user-error.ts";
import { chosenEngine } from "../toolchain/engine/index.ts";
import { findOnPath } from "../toolchain/bootstrap/find-on-path.ts";
import { environment } from "./environment.ts";
import { namedStack } from "./pulumi-arguments.ts";
import { removeStaleLocks } from "./stale-locks.ts";

/** Signals closer together than this are one press of Ctrl-C: the terminal sends it to us, and `npm start` passes it on to us again. */
const ONE_PRESS_MS = 500;

const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Runs `pulumi` on this terminal and resolves with its exit code. Our resources see `variables` too.
 * @param stack the one that it works on, whose passphrase it needs; undefined for none
 *
 * pulumi takes a second Ctrl-C as "stop at once, never mind the state". So that one press reaches it once, it runs in
 * a session of its own and gets the signal from here. It dies with this process, also when that is killed.
 */
export function runPulumi(
  args: readonly string[],
  stack: string | undefined,
  variables: Readonly<Record<string, string>> = {},
): Promise<number> {
  const pulumi = pulumiPath();
  const setpriv = findOnPath("setpriv");
  const dieWithUs = setpriv === undefined ? [] : [setpriv, "--pdeathsig", "KILL", "--"];
  const [command = pulumi, ...rest] = [...dieWithUs, pulumi, ...args];
  const env: NodeJS.ProcessEnv = { ...process.env, ...environment(stack), ...variables };
  for (const stack of removeStaleLocks(env.PULUMI_BACKEND_URL ?? "")) {
    console.error(`pulumi: stack ${stack} was locked by a pulumi that is gone; lock removed`);
  }
  const child = spawn(command, rest, { cwd: repoRoot, env, stdio: "inherit", detached: true });

  let lastForwarded = 0;
  const forward = (signal: NodeJS.Signals) => {
    if (signal === "SIGINT" && Date.now() - lastForwarded < ONE_PRESS_MS) return;
    lastForwarded = Date.now();
    child.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, forward);
  return new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => {
      resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  }).finally(() => {
    for (const signal of FORWARDED) process.off(signal, forward);
  });
}

/** What `pulumi ARGS` prints as JSON. @throws UserError with pulumi's own words when it fails */
export async function pulumiJson<Value>(args: readonly string[]): Promise<Value> {
  return JSON.parse(await pulumiText(args)) as Value;
}

/** The outputs of a stack's last `up`. @param options of `pulumi stack output` */
export function stackOutputs<Outputs>(stack: string, ...options: string[]): Promise<Outputs> {
  return pulumiJson<Outputs>(["stack", "output", "--json", "--stack", stack, ...options]);
}

/** What `pulumi ARGS` prints. @throws UserError with pulumi's own words when it fails */
export async function pulumiText(args: readonly string[]): Promise<string> {
  const { stdout, stderr, exitCode } = await execa(pulumiPath(), args, {
    cwd: repoRoot,
    env: environment(namedStack(args)),
    reject: false,
  });
  if (exitCode === 0) return stdout;
  const command = ["pulumi", ...args].join(" ").replace(/ -.*/, "");
  throw new UserError({ where: command, what: stderr.trim().replace(/^error: /, "") });
}

/** The engine's program. */
export function pulumiPath(): string {
  return join(chosenEngine(cacheDir())?.bin ?? "", "pulumi");
}
