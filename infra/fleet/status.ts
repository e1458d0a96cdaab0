import Table from "cli-table3";
import { plainTable } from "../../common/plain-table.ts";
import { formatDuration, formatUsd } from "../../common/units.ts";
import { describeInstances, type InstanceRecord } from "../builder/aws/instance-records.ts";
import type { PlannedStage } from "../stage/planned.ts";
import type { Report } from "./report.ts";

/** What is known of a stack without running it. */
export interface Status {
  stack: string;
  recipe: string;
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
  const { stack, recipe, store, builder, jobs, report, instances = [] } = status;
  const answers = jobs === undefined ? " (does not answer)" : "";
  return [
    `stack ${stack}, recipe ${recipe}\nstore ${store}\nbuilder ${builder}${answers}`,
    stageTable(status),
    ...(instances.length > 0 ? [instanceTable(instances)] : []),
    report === undefined ? "hosts: nothing rolled out yet" : hostTable(report),
    [spent(status.stages), ...(instances.length > 0 ? [describeInstances(instances)] : [])].join("\n"),
  ].join("\n\n");
}

function stageTable({ stages, jobs }: Status): string {
  const table = new Table({
    ...plainTable,
    head: ["stage", "key", "took", "state"],
    colAligns: ["left", "left", "right", "left"],
  });
  for (const { name, key, artifact } of stages) {
    const short = key.slice(0, 12);
    const state =
      artifact === undefined ? (jobs?.get(short) ?? "missing: the next `up` makes it") : "in the store";
    table.push([name, short, artifact === undefined ? "" : formatDuration(artifact.seconds), state]);
  }
  return table.toString();
}

/** How many instances are shown: those that ran last. */
const shownInstances = 8;

function instanceTable(records: readonly InstanceRecord[]): string {
  const table = new Table({
    ...plainTable,
    head: ["instance", "id", "type", "", "ran", "cost", "state"],
    colAligns: ["left", "left", "left", "left", "right", "right", "left"],
  });
  for (const { name, instance, type, lifecycle, began, until, costUsd, state, why } of records.slice(
    -shownInstances,
  )) {
    const ran = formatDuration(until - began);
    table.push([name, instance, type, lifecycle, ran, formatUsd(costUsd), why ?? state]);
  }
  return table.toString();
}

function hostTable({ release, hosts }: Report): string {
  const table = new Table({ ...plainTable, head: ["host", "release", "tokens/s", "base URL"] });
  for (const { host, tokensPerSecond, baseUrl, ...served } of hosts)
    table.push([
      host,
      (served.release ?? release).slice(0, 12),
      tokensPerSecond?.toFixed(1) ?? "",
      served.problem ?? baseUrl,
    ]);
  return table.toString();
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
