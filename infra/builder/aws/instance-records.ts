import { formatDuration, formatUsd } from "../../../common/units.ts";
import type { InstanceName } from "../../stage/instance-for.ts";

/** An instance that ran, or runs. */
export interface InstanceRecord {
  name: InstanceName;
  /** Its id: `i-0123…`. */
  instance: string;
  type: string;
  lifecycle: string;
  /** Seconds since the epoch; `until` is when it last reported. */
  began: number;
  until: number;
  usdPerHour: number;
  costUsd: number;
  state: "running" | "ended";
  why: string | null;
}

/** Instances that are running right now, and what this stack's instances have cost so far; empty when none ever ran. */
export function describeInstances(records: readonly InstanceRecord[], now = Date.now() / 1000): string {
  if (records.length === 0) return "";
  const running = records
    .filter(({ state }) => state === "running")
    .map(({ name, instance, type, lifecycle, began, usdPerHour }) => {
      const seconds = now - began;
      const cost = formatUsd((seconds / 3600) * usdPerHour);
      return `running now: ${name} instance ${instance} (${type}, ${lifecycle}) for ${formatDuration(seconds)}, ${cost} so far`;
    });
  const total = records.reduce((sum, { costUsd }) => sum + costUsd, 0);
  return [...running, `instances of this stack have cost ${formatUsd(total)} so far`].join("\n");
}
