import { formatTable } from "../../common/plain-table.ts";
import { formatDuration, formatUsd } from "../../common/units.ts";
import { describeInstances, type InstanceRecord } from "../builder/aws/instance-records.ts";
import type { PlannedStage } from "../stage/planned.ts";
import type { Report } from "./report.ts";

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
    report === undefined ? "hosts: nothing rolled out yet" : hostTable(report),
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

function hostTable({ release, hosts }: Report): string {
  const rows = hosts.map(({ host, tokensPerSecond, baseUrl, ...served }) => [
    host,
    (served.release ?? release).slice(0, 12),
    tokensPerSecond?.toFixed(1) ?? "",
    served.problem ?? baseUrl,
  ]);
  return formatTable(["host", "release", "tokens/s", "base URL"], rows);
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
