import { formatTable } from "../../common/plain-table.ts";
import { formatDuration, formatUsd } from "../../common/units.ts";
import { describeInstances, type InstanceRecord } from "../builder/aws/instance-records.ts";
import type { PlannedStage } from "../stage/planned.ts";
import type { HostState, NoState } from "./host-state.ts";
import type { HostFigures, Report } from "./report.ts";

/** What is known of a stack without running it. */
export interface Status {
  stack: string;
  /** `recipe smollm2-135m`, `model qwen3-0.6b`. */
  model: string;
  store: string;
  /** Where stages run: `this machine` or the builder machine's address. */
  builder: string;
  stages: readonly PlannedStage[];
  /** What the builder says of its jobs, by the first twelve digits of their keys; undefined when it does not answer. */
  jobs: ReadonlyMap<string, string> | undefined;
  /** What the last `up` left in the state; undefined before the first. */
  report: Report | undefined;
  /** What hosts say now, by name. */
  states?: ReadonlyMap<string, HostState | NoState> | undefined;
  /** EC2 instances that run or ran for it; undefined where its builder is another. */
  instances?: readonly InstanceRecord[] | undefined;
}

/** Stages, builder, hosts and what was spent, a screenful. */
export function formatStatus(status: Status): string {
  const { stack, model, store, builder, jobs, report, instances = [] } = status;
  const answers = jobs === undefined ? " (does not answer)" : "";
  return [
    `stack ${stack}, ${model}\nstore ${store}\nbuilder ${builder}${answers}`,
    stageTable(status),
    ...(instances.length > 0 ? [instanceTable(instances)] : []),
    report === undefined ? "hosts: nothing rolled out yet" : formatHosts(report, status.states),
    [spent(status.stages), ...(instances.length > 0 ? [describeInstances(instances)] : [])].join("\n"),
  ].join("\n\n");
}

function stageTable({ stages, jobs }: Status): string {
  const rows = stages.map(({ name, key, artifact }) => {
    const short = key.slice(0, 12);
    if (artifact === undefined)
      return [name, short, "", jobs?.get(short) ?? "missing: the next `up` makes it"];
    return [name, short, formatDuration(artifact.seconds), "in the store"];
  });
  return formatTable(["stage", "key", "took", "state"], rows, ["took"]);
}

/** How many instances are shown: those that ran last. */
const shownInstances = 8;

function instanceTable(records: readonly InstanceRecord[]): string {
  const rows = records.slice(-shownInstances).map((record) => {
    const { name, instance, type, lifecycle, began, until, costUsd, state, why } = record;
    const ran = formatDuration(until - began);
    return [name, instance, type, lifecycle, ran, formatUsd(costUsd), why ?? state];
  });
  return formatTable(["instance", "id", "type", "", "ran", "cost", "state"], rows, ["ran", "cost"]);
}

/**
 * Hosts, a line each: what each serves, since when, how fast it was at its health check and is now.
 * @param states what they say now, by name
 * @param now seconds since 1970
 */
export function formatHosts(
  { release, hosts }: Report,
  states: ReadonlyMap<string, HostState | NoState> = new Map(),
  now = Date.now() / 1000,
): string {
  const rows = hosts.map((figures) => {
    const said = states.get(figures.host);
    const state: HostState = said === undefined || "problem" in said ? {} : said;
    return [
      figures.host,
      (state.release ?? figures.release ?? release).slice(0, 12),
      state.rolledOutAt === undefined ? "" : minute(state.rolledOutAt),
      state.startedAt === undefined ? "" : formatDuration(now - state.startedAt),
      figures.tokensPerSecond?.toFixed(1) ?? "",
      (figures.dimensions === undefined ? state.tokensPerSecond : state.readTokensPerSecond)?.toFixed(1) ??
        "",
      String(state.requests ?? ""),
      state.celsius?.toFixed(0) ?? "",
      hostTrouble(figures, said) ?? figures.baseUrl,
    ];
  });
  const head = ["host", "release", "rolled out", "runs for", "tokens/s", "now", "requests", "°C", "base URL"];
  return formatTable(head, rows, ["runs for", "tokens/s", "now", "requests", "°C"]);
}

/** What the firmware sees now, by its flag in get_throttled. */
const throttling: Readonly<Record<number, string>> = {
  0x1: "under-voltage",
  0x2: "frequency capped",
  0x4: "throttled",
  0x8: "soft temperature limit",
};

/** What is wrong with a host; undefined where nothing is. */
function hostTrouble(figures: HostFigures, said: HostState | NoState | undefined): string | undefined {
  if (said === undefined) return figures.problem;
  if ("problem" in said) return said.problem;
  if (figures.problem !== undefined) return figures.problem;
  const { service = "not there", throttled = 0 } = said;
  if (service !== "active") return `llama-server is ${service}`;
  const seen = Object.entries(throttling).flatMap(([flag, name]) => (throttled & Number(flag) ? name : []));
  return seen.length > 0 ? `the firmware reports ${seen.join(", ")}` : undefined;
}

/** `2026-11-30 19:10`, of this machine's time zone. */
function minute(seconds: number): string {
  const date = new Date(seconds * 1000);
  const two = (value: number): string => value.toString().padStart(2, "0");
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join("-");
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

function spent(stages: readonly PlannedStage[]): string {
  const made = stages.flatMap(({ artifact }) => artifact ?? []);
  const sum = (part: (of: (typeof made)[number]) => number) =>
    made.reduce((total, of) => total + part(of), 0);
  const time = formatDuration(sum(({ seconds }) => seconds));
  return `spent on what is in the store: ${time} of work, ${formatUsd(sum(({ costUsd }) => costUsd))}`;
}

/** The lines of `pipress jobs ls`, `696dc03ed1d0  quantize 45 % · …`, by key. */
export function parseJobs(lines: string): Map<string, string> {
  const jobs = [...lines.matchAll(/^([0-9a-f]{12}) {2}(.+)$/gm)];
  return new Map(jobs.map(([, key = "", state = ""]) => [key, state]));
}
