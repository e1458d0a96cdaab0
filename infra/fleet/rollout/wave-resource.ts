import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { machineSchema } from "../../ssh/machine.ts";
import { formatDuration } from "../../../common/units.ts";
import { UserError, type Problem } from "../../../common/user-error.ts";
import type { Args } from "../../plugin/args.ts";
import { checkAgainst } from "../../plugin/check-against.ts";
import { diffProps } from "../../plugin/detailed-diff.ts";
import type { Call, Props, ResourceHandler } from "../../plugin/handler.ts";
import { omit, outcomeSchema, playbookFile, routeKeys, runOnHost } from "./playbook-resource.ts";

/** A host of a wave, and what came of its playbook. */
const member = z.strictObject({
  host: machineSchema,
  /** Digest of the release that it is to serve. */
  release: z.string().min(1),
  outcome: outcomeSchema,
  /** Variables of the probe. */
  vars: z.record(z.string(), z.unknown()).default({}),
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
    const { host, ...rest } = omit(member, ["vars"]);
    // At preview the host of a machine that is not made yet is an unknown, which has no name.
    const { name = String(index) } = host as { name?: string };
    return [name, { ...rest, host: omit(host, routeKeys) }] as const;
  });
  return { members: Object.fromEntries(named) };
}

async function pass(inputs: WaveInputs, call: Call): Promise<Props> {
  const { members } = inputs;
  const failed = new Map(
    members.flatMap(({ host, outcome }) =>
      outcome.status === "failed" ? [[host.name, outcome.reason ?? "failed"] as const] : [],
    ),
  );
  const skipped = members.filter(({ outcome }) => outcome.status === "skipped").map(({ host }) => host.name);
  const serving = members.filter(({ outcome }) => outcome.status === "done");
  judge(inputs, call.name, failed);
  if (inputs.soakSeconds > 0 && serving.length > 0) {
    await soak(serving, inputs.soakSeconds, call);
    for (const [name, reason] of await probe(serving, inputs, call)) failed.set(name, reason);
    judge(inputs, call.name, failed);
  }
  for (const [name, reason] of failed) call.log.warn(`${name} is left behind: ${reason}`);
  return { failed: [...failed.keys()], skipped };
}

/** @throws UserError where more hosts failed than may, or where none is left that shows whether the release is good */
function judge(inputs: WaveInputs, name: string, failed: ReadonlyMap<string, string>): void {
  if (failed.size > inputs.maxFailures) throw stopped(inputs, name, failed);
  const proof = inputs.members.some(
    ({ host, outcome }) => outcome.status === "done" && !failed.has(host.name),
  );
  // A canary that is off, or one of those that may fail, proves nothing.
  if (!proof && inputs.waiting.length > 0) throw nobodyServes(inputs, name, failed);
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

/** Looks at every host that serves; returns what is wrong, by host. */
async function probe(
  serving: readonly Member[],
  inputs: WaveInputs,
  call: Call,
): Promise<[string, string][]> {
  const { probe: playbook, concurrency } = inputs;
  const looks = serving.map(async ({ host, vars }): Promise<[string, string] | undefined> => {
    try {
      await runOnHost({ playbook, host, vars, concurrency }, call.log, call.signal);
      return undefined;
    } catch (error) {
      if (!(error instanceof UserError) || call.signal.aborted) throw error;
      return [host.name, error.message];
    }
  });
  return (await Promise.all(looks)).filter((problem) => problem !== undefined);
}

function stopped(inputs: WaveInputs, name: string, failed: ReadonlyMap<string, string>): UserError {
  const { members, maxFailures } = inputs;
  const count = `${failed.size} of ${members.length} ${members.length === 1 ? "host" : "hosts"}`;
  return new UserError([
    { where: name, what: `${count} failed where ${maxFailures} may: the rollout stops here` },
    ...reasonsOf(name, failed),
    {
      where: name,
      what: whoServesWhat(inputs, failed),
      remedy: "fix it and run `pulumi up` again: it resumes here",
    },
  ]);
}

function nobodyServes(inputs: WaveInputs, name: string, failed: ReadonlyMap<string, string>): UserError {
  const proves = "so nothing shows whether the release is good: the rollout stops here";
  const state = failed.size > 0 ? "serves the release" : "answers";
  return new UserError([
    ...reasonsOf(name, failed),
    {
      where: name,
      what: `no host of this wave ${state}, ${proves}; ${whoServesWhat(inputs, failed)}`,
      remedy:
        failed.size > 0
          ? "fix it and run `pulumi up` again: it resumes here"
          : "switch one of them on, or let `rollout.orderBy` choose other hosts for the first wave",
    },
  ]);
}

function reasonsOf(name: string, failed: ReadonlyMap<string, string>): Problem[] {
  return [...failed].map(([host, what]) => ({ where: `${name} / ${host}`, what }));
}

/** Exported for tests: one sentence about the whole fleet. */
export function whoServesWhat(inputs: WaveInputs, failed: ReadonlyMap<string, string>): string {
  const { members, served, waiting } = inputs;
  const release = members[0]?.release.slice(0, 12) ?? "";
  const done = members.filter(({ host, outcome }) => outcome.status === "done" && !failed.has(host.name));
  const down = members.filter(({ outcome }) => outcome.status === "skipped").map(({ host }) => host.name);
  const fresh = [...served, ...done.map(({ host }) => host.name)];
  if (inputs.staging) {
    const staged = done.length > 0 ? `${list(done.map(({ host }) => host.name))} fetched it, and no` : "no";
    return [
      `${staged} service was touched`,
      ...(down.length > 0 ? [`${list(down)} did not answer`] : []),
    ].join("; ");
  }
  return [
    fresh.length > 0 && `${list(fresh)} ${fresh.length === 1 ? "has" : "have"} the new release (${release})`,
    waiting.length > 0 && `${list(waiting)} ${waiting.length === 1 ? "was" : "were"} not touched`,
    down.length > 0 && `${list(down)} ${down.length === 1 ? "is" : "are"} down`,
  ]
    .filter(Boolean)
    .concat(fresh.length + waiting.length + down.length === 0 ? ["no host has the new release"] : [])
    .join("; ");
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 20);
  return shown.join(", ") + (names.length > shown.length ? ` and ${names.length - shown.length} more` : "");
}
