import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { machineSchema } from "../../ssh/machine.ts";
import type { Recap } from "../../ansible/progress.ts";
import { PlaybookFailed } from "../../ansible/playbook-failed.ts";
import type { Outcome, PlaybookRun } from "../../ansible/run.ts";
import { ConnectionFailure } from "../../ssh/failure.ts";
import { withKeysHere } from "../../ssh/keys-here.ts";
import { UserError } from "../../../common/user-error.ts";
import { repoRoot } from "../../../common/paths.ts";
import type { Args } from "../../plugin/args.ts";
import { checkAgainst } from "../../plugin/check-against.ts";
import { diffProps } from "../../plugin/detailed-diff.ts";
import {
  type Call,
  type DiffResult,
  type Existing,
  InitializationFailed,
  type Props,
  type ResourceHandler,
  type ResourceLog,
} from "../../plugin/handler.ts";
import { hasUnknowns } from "../../plugin/values.ts";
import { readToolchain } from "../../../toolchain/toolchain.ts";
import { purgeVariable } from "../purge.ts";
import { locateFiles, releaseFileSchema } from "./release-files.ts";

/** A playbook, as a path inside the repository. */
export const playbookFile = z
  .string()
  .refine((path) => existsSync(resolve(repoRoot, path)), { error: "no such file in the repository" });

const variables = z.record(z.string(), z.unknown()).default({});

const schema = z.strictObject({
  /** Playbook to run. @example "ansible/site.yml" */
  playbook: playbookFile,
  /**
   * Playbook that `destroy` runs, with the same variables, and `pipress_purge` where all data shall go too. Without it,
   * `destroy` leaves the host as it is.
   */
  removal: playbookFile.optional(),
  /** What stays on a host that the removal cannot reach, for the warning: a clause. */
  leftBehind: z.string().optional(),
  /** Digest of everything the playbook is made of; a new one runs it again. */
  contentDigest: z.string().min(1),
  /** The host and how it is reached; its user may use sudo. */
  host: machineSchema,
  /** Variables of the play. */
  vars: variables,
  /** Variables that say how the play does its work and not what comes of it: a change of them runs nothing. */
  routeVars: variables,
  /** Variables that are encrypted in state and never on a command line or in a log. */
  secretVars: variables,
  /** Served to the host while the play runs, through its own SSH connection (variable `pipress_socket`). */
  files: z.array(releaseFileSchema).default([]),
  /** Whether a failed run fails the resource, or is reported in `outcome` for others to judge. */
  failures: z.enum(["throw", "report"]).default("throw"),
  /** What a host that does not answer means: a failed run, or one for the next `up`. */
  unreachable: z.enum(["fail", "skip"]).default("fail"),
  /** Plays of all hosts that may run at the same time as this one. */
  concurrency: z.int().min(1).default(10),
  /** What this machine sends to all hosts together at most; no limit without it. */
  bytesPerSecond: z.number().min(1).optional(),
});

export type PlaybookArgs = Args<z.input<typeof schema>>;
type Inputs = z.infer<typeof schema>;

/** How the last run for a host ended. */
export const outcomeSchema = z.strictObject({
  /** `skipped`: the host was down, and is brought up to date by the next `up`. */
  status: z.enum(["done", "failed", "skipped"]),
  /** Why not `done`. */
  reason: z.string().optional(),
  /** When it ended, seconds since 1970. */
  at: z.number(),
});

export type PlaybookOutcome = z.infer<typeof outcomeSchema>;

/**
 * Runs the playbook at create and update, looks in check mode at read, and never touches a host to compute a diff. Every play
 * has the resource's claim, a random id, in `pipress_claim`: a host that keeps it knows its removal from that of others.
 */
export const playbookResource: ResourceHandler = {
  check: (inputs) => checkAgainst(schema, inputs),
  diff: ({ inputs, state }, news) => diffPlaybook(inputs, state, news),
  previewCreate: () => ({}),
  previewUpdate: () => ({}),
  create: async (inputs, call) => {
    const id = checked(inputs).host.name;
    return { id, state: await converge(id, inputs, call) };
  },
  update: ({ id, state }, inputs, call) => converge(id, inputs, call, state),
  read: async (existing, call) => ({ state: await look(existing, call) }),
  delete: removeFromHost,
};

/** Inputs that went through `check`, maybe long ago: whether files are still there shows when they are used. */
function checked(inputs: Props): Inputs {
  return inputs as Inputs;
}

/** Exported for tests. */
export function diffPlaybook(inputs: Props, state: Props, news: Props): DiffResult {
  const changes = diffProps(withoutRoute(inputs), withoutRoute(news));
  const { drift } = state;
  if (Array.isArray(drift) && drift.length > 0) changes.drift = { kind: "delete", input: false };
  // A host is known by its key, whatever its name and address: with another key it is another host. A key that is not known
  // yet is that of a virtual machine.
  const { "host.hostKey": key } = changes;
  if (key !== undefined && !hasUnknowns(news.host)) key.replace = true;
  return { changes };
}

/**
 * The inputs that make a difference to the host: not where this machine has a file from, with which key and password one
 * gets in, nor what this end makes of a failure.
 */
function withoutRoute({ files, host, secretVars, ...rest }: Props): Props {
  return {
    secretVars: omit(secretVars, ["ansible_become_password"]),
    ...omit(rest, ["routeVars", "leftBehind", "failures", "unreachable", "concurrency", "bytesPerSecond"]),
    files: Array.isArray(files) ? files.map((file: unknown) => omit(file, ["source"])) : files,
    host: omit(host, routeKeys),
  };
}

/** Keys of a host that say how one gets there, not which host it is. */
export const routeKeys = ["privateKeyFile", "agentSocket", "bastion"] as const;

/** `value` without some of its members. */
export function omit<Value>(value: Value, keys: readonly string[]): Partial<Value> {
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key))) as Partial<Value>;
}

/**
 * Makes the host what the playbook says. A run that did not come to its end is remembered as drift, so that the next
 * `up` runs it again. With `failures: "report"` the outcome tells of it, for the wave to judge; otherwise it is thrown.
 */
async function converge(id: string, given: Props, call: Call, state?: Props): Promise<Props> {
  const inputs = checked(given);
  const claim = state?.claim ?? randomBytes(8).toString("hex");
  const claimed = { ...state, claim };
  try {
    const { recap, results } = await run(inputs, inputs.playbook, call, { check: false, state: claimed });
    return { claim, recap, results, drift: [], outcome: outcome("done") };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const isDown = error instanceof ConnectionFailure && error.isHostDown;
    const skipped = isDown && inputs.unreachable === "skip";
    const left = {
      ...claimed,
      results: state?.results ?? {},
      drift: [skipped ? "it was down at the last run" : "the last run did not come to its end"],
      outcome: outcome(skipped ? "skipped" : "failed", error.message),
    };
    if (!call.signal.aborted && (skipped || inputs.failures === "report")) {
      call.log.warn(skipped ? `${error.message}; skipped until the next \`up\`` : error.message);
      return left;
    }
    throw error instanceof PlaybookFailed ? new InitializationFailed(id, left, error.message) : error;
  }
}

function outcome(status: PlaybookOutcome["status"], reason?: string): PlaybookOutcome {
  return { status, ...(reason !== undefined && { reason }), at: Math.round(Date.now() / 1000) };
}

/** What the play would change now. A host that cannot be reached is not a host that is gone: the state stays. */
async function look({ inputs, state }: Existing, call: Call): Promise<Props> {
  const parsed = checked(inputs);
  try {
    const { recap } = await run(parsed, parsed.playbook, call, { check: true, state });
    return { ...state, drift: recap.changedTasks };
  } catch (error) {
    if (!(error instanceof UserError) || call.signal.aborted) throw error;
    call.log.warn(error.message);
    return { ...state, drift: error.problems.map(({ where, what }) => `${where}: ${what}`) };
  }
}

/**
 * Runs the playbook named in `removal`. A host that is gone, or that is another one by now, keeps nobody from destroying the
 * rest; every other failure does, because the state would forget a host that still serves.
 */
async function removeFromHost({ inputs, state }: Existing, call: Call): Promise<void> {
  const { removal, leftBehind = "what was put there", ...given } = checked(inputs);
  if (removal === undefined) return;
  const { name } = given.host;
  const { machine: host, missing } = withKeysHere(given.host);
  try {
    const vars = { ...given.vars, pipress_purge: process.env[purgeVariable] === "true" };
    const { results } = await run({ ...given, host, vars }, removal, call, { check: false, state });
    for (const warning of (results.warnings ?? []) as string[]) call.log.warn(`${name}: ${warning}`);
  } catch (error) {
    if (!(error instanceof ConnectionFailure) || call.signal.aborted) throw error;
    const what = error.problems.map((problem) => problem.what).join("; ");
    if (error.kind === "userKey" && missing.length > 0)
      throw new UserError({
        where: name,
        what: `${what}; ${missing.join(" and ")}, with which the stack was brought up, is not on this machine`,
        remedy: "copy it here, or `ssh-add` a key that the host accepts, and run this again",
      });
    if (error.kind !== "unreachable" && error.kind !== "hostKey") throw error;
    call.log.warn(`${name}: ${what}; nothing was removed there, and it keeps ${leftBehind}`);
  }
}

async function run(
  inputs: Omit<Inputs, "removal" | "leftBehind">,
  playbook: string,
  { log, signal }: Call,
  { check, state }: { check: boolean; state?: Props },
): Promise<Outcome> {
  const { recap, claim } = (state ?? {}) as { recap?: Partial<Recap>; claim?: string };
  const vars = { ...inputs.vars, ...inputs.routeVars, pipress_claim: claim ?? "" };
  // Only a play that may change the host pulls files: nothing else fetches gigabytes to this machine.
  const isPulled = !check && playbook === inputs.playbook;
  const files = isPulled ? await locateFiles(inputs.files, readToolchain(), log, signal) : [];
  return runOnHost({ ...inputs, vars, files, playbook, check, expectedTasks: recap?.tasks }, log, signal);
}

/** A run of a playbook of the repository. */
export type HostRun = Omit<PlaybookRun, "log" | "signal">;

/** Runs a playbook of the repository with the pinned Ansible. */
export async function runOnHost(run: HostRun, log: ResourceLog, signal: AbortSignal): Promise<Outcome> {
  // Loaded when a play runs: an `up` that changes nothing starts half a second sooner.
  const { runPlaybook } = await import("../../ansible/run.ts");
  return runPlaybook({ ...run, playbook: resolve(repoRoot, run.playbook), log, signal });
}
