import * as pulumi from "@pulumi/pulumi";
import type { Machine } from "../ssh/machine.ts";
import type { Report } from "./report.ts";

/** The outputs of a fleet's stack, as far as hosts have a share in them. */
export interface StackOutputs {
  hosts: Record<string, Machine>;
  baseUrl?: string;
  baseUrls: Record<string, string>;
  modelPath?: string;
  reportUrl?: string;
  report?: Report;
}

/** The stack's outputs as the last `up` has left them. */
export async function lastUp(): Promise<StackOutputs> {
  const name = [pulumi.getOrganization(), pulumi.getProject(), pulumi.getStack()].join("/");
  // A StackReference to the stack itself would show as a resource that is read each time.
  const { outputs } = (await pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", { name })) as {
    outputs?: Partial<StackOutputs>;
  };
  return { hosts: {}, baseUrls: {}, ...outputs };
}

/**
 * By host: what this run for a part of a fleet has, and of all other hosts what the last `up` left.
 * @param former names that hosts of the part had before
 */
export function withOthers<Now, Last>(
  now: Record<string, Now>,
  last: Record<string, Last>,
  former: ReadonlySet<string>,
): Record<string, Now | Last> {
  const others = Object.entries(last).filter(([name]) => !former.has(name));
  return { ...Object.fromEntries(others), ...now };
}

/**
 * The report of a whole fleet after a run for a part of it.
 * @param servesOwnModel whether that part serves the stack's own model, which a report is about
 */
export function reportOfAll(
  now: Report,
  last: Report | undefined,
  former: ReadonlySet<string>,
  servesOwnModel: boolean,
): Report {
  if (last === undefined) return now;
  const isHere = new Set(now.hosts.map(({ host }) => host));
  const others = last.hosts.filter(({ host }) => !isHere.has(host) && !former.has(host));
  return { ...(servesOwnModel ? now : last), hosts: [...others, ...now.hosts] };
}
