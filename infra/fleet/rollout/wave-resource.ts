import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { machineSchema } from "../../ssh/machine.ts";
import { formatDuration } from "../../../common/units.ts";
import { UserError } from "../../../common/user-error.ts";
import type { Args } from "../../plugin/args.ts";
import { checkAgainst } from "../../plugin/check-against.ts";
import { diffProps } from "../../plugin/detailed-diff.ts";
import type { Call, Props, ResourceHandler } from "../../plugin/handler.ts";
import {
  omit,
  outcomeSchema,
  type PlaybookOutcome,
  playbookFile,
  routeKeys,
  runOnHost,
} from "./playbook-resource.ts";

/** A host of a wave, and what came of its playbook. */
const member = z.strictObject({
  host: machineSchema,
  /** Digest of the release that it is to serve. */
  release: z.string().min(1),
  outcome: outcomeSchema,
  /** Variables of the probe. */
  vars: z.record(z.string(), z.unknown()).default({}),
  secretVars: z.record(z.string(), z.unknown()).optional(),
});

const schema = z.strictObject({
  members: z.array(member).min(1),
  /** Whether its hosts have only been brought the release: nothing serves it yet. */
  staging: z.boolean().default(false),
  /** Hosts that may fail without stopping the rollout. */
  maxFailures: z.int().min(0),
  /** Seconds for which the wave has to stay healthy; 0 looks at no host again. */
  soakSeconds: z.number().min(0),
  /** Playbook that fails on a host that is not healthy any more. */
  probe: playbookFile,
  /** Maximum concurrent probes. */
  concurrency: z.int().min(1),
  /** Names of the hosts in the waves before this one. */
  served: z.array(z.string()).default([]),
  /** Names of the hosts in the waves after this one. */
  waiting: z.array(z.string()).default([]),
});

export type WaveArgs = Args<z.input<typeof schema>>;
export type WaveInputs = z.infer<typeof schema>;
type Member = WaveInputs["members"][number];

/**
 * Decides between a wave and the next: counts who failed, lets the wave soak, looks at its hosts again, and fails when
 * more went wrong than may. Touches no host; what a failed host serves, it has decided by itself.
 */
export const waveResource: ResourceHandler = {
  check: (inputs) => checkAgainst(schema, inputs),
  diff: ({ inputs }, news) => ({ changes: diffProps(whatCounts(inputs), whatCounts(news)) }),
  create: async (inputs, call) => ({ id: call.name, state: await pass(inputs as WaveInputs, call) }),
  update: (_existing, inputs, call) => pass(inputs as WaveInputs, call),
  previewCreate: () => ({}),
  previewUpdate: () => ({}),
};

/** A wave is judged anew when its hosts, their release or what came of it differ; not when a threshold alone does. */
function whatCounts(inputs: Props): Props {
  const { members } = inputs as { members?: unknown };
  if (!Array.isArray(members)) return { members };
  const named = members.map((member: Member, index) => {
    const { host, ...rest } = omit(member, ["vars", "secretVars"]);
    // At preview the host of a machine that is not made yet is an unknown, which has no name.
    const { name = String(index) } = host as { name?: string };
    return [name, { ...rest, host: omit(host, routeKeys) }] as const;
  });
  return { members: Object.fromEntries(named) };
}

async function pass(inputs: WaveInputs, call: Call): Promise<Props> {
  judge(inputs, call.name);
  const { soakSeconds } = inputs;
  const serving = inputs.members.filter(({ outcome }) => outcome.status === "done");
  let { members } = inputs;
  if (soakSeconds > 0) {
    await soak(serving, soakSeconds, call);
    members = await probe(inputs, call);
    judge({ ...inputs, members }, call.name);
  }
  const failed = failuresOf(members);
  for (const { name, reason } of failed) call.log.warn(`${name} is left behind: ${reason}`);
  return { failed: failed.map(({ name }) => name), skipped: namesOf(members, "skipped") };
}

function namesOf(members: readonly Member[], status: PlaybookOutcome["status"]): string[] {
  return members.filter(({ outcome }) => outcome.status === status).map(({ host }) => host.name);
}

function failuresOf(members: readonly Member[]): { name: string; reason: string }[] {
  const failed = members.filter(({ outcome }) => outcome.status === "failed");
  return failed.map(({ host: { name }, outcome: { reason = "failed" } }) => ({ name, reason }));
}

/** @throws UserError where more hosts failed than may, or where none is left that shows whether the release is good */
function judge(inputs: WaveInputs, where: string): void {
  const { members, maxFailures, waiting } = inputs;
  const failed = failuresOf(members);
  const reasons = failed.map(({ name, reason }) => ({ where: `${where} / ${name}`, what: reason }));
  const resume = "fix it and run `pulumi up` again: it resumes here";
  if (failed.length > maxFailures) {
    const count = `${failed.length} of ${members.length} ${members.length === 1 ? "host" : "hosts"}`;
    throw new UserError([
      { where, what: `${count} failed where ${maxFailures} may: the rollout stops here` },
      ...reasons,
      { where, what: whoServesWhat(inputs), remedy: resume },
    ]);
  }
  // A canary that is off, or one of those that may fail, proves nothing.
  if (namesOf(members, "done").length > 0 || waiting.length === 0) return;
  const state = failed.length > 0 ? "serves the release" : "answers";
  const proves = "so nothing shows whether the release is good: the rollout stops here";
  throw new UserError([
    ...reasons,
    {
      where,
      what: `no host of this wave ${state}, ${proves}; ${whoServesWhat(inputs)}`,
      remedy:
        failed.length > 0
          ? resume
          : "switch one of them on, or let `rollout.orderBy` choose other hosts for the first wave",
    },
  ]);
}

/** Waits until the last host of the wave has served for so long; an `up` that was cut off meanwhile waits only the rest. */
async function soak(serving: readonly Member[], seconds: number, { log, signal }: Call): Promise<void> {
  const until = Math.max(...serving.map(({ outcome }) => outcome.at)) + seconds;
  for (;;) {
    const left = until - Date.now() / 1000;
    if (left <= 0) return;
    log.status(`soaking, ${formatDuration(left)} left`);
    await sleep(Math.min(left, 5) * 1000, undefined, { signal });
  }
}

/** Looks at every host that serves. @returns the members, those that are not healthy any more as failed */
async function probe(inputs: WaveInputs, { log, signal }: Call): Promise<Member[]> {
  const { members, probe: playbook, concurrency } = inputs;
  const looks = members.map(async (member) => {
    const { host, vars, secretVars, outcome } = member;
    if (outcome.status !== "done") return member;
    try {
      await runOnHost({ playbook, host, vars, secretVars, concurrency }, log, signal);
      return member;
    } catch (error) {
      if (!(error instanceof UserError) || signal.aborted) throw error;
      return { ...member, outcome: { ...outcome, status: "failed" as const, reason: error.message } };
    }
  });
  return Promise.all(looks);
}

/** Exported for tests: one sentence about the whole fleet. */
export function whoServesWhat({ members, staging, served, waiting }: WaveInputs): string {
  const done = namesOf(members, "done");
  const down = namesOf(members, "skipped");
  if (staging) {
    const staged = done.length > 0 ? `${list(done)} fetched it, and no` : "no";
    return `${staged} service was touched${down.length > 0 ? `; ${list(down)} did not answer` : ""}`;
  }
  const release = members[0]?.release.slice(0, 12) ?? "";
  const clause = (names: readonly string[], verbs: readonly [one: string, several: string], rest: string) =>
    names.length === 0 ? [] : [`${list(names)} ${verbs[names.length === 1 ? 0 : 1]} ${rest}`];
  const clauses = [
    ...clause([...served, ...done], ["has", "have"], `the new release (${release})`),
    ...clause(waiting, ["was", "were"], "not touched"),
    ...clause(down, ["is", "are"], "down"),
  ];
  return clauses.join("; ") || "no host has the new release";
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 20);
  return shown.join(", ") + (names.length > shown.length ? ` and ${names.length - shown.length} more` : "");
}
