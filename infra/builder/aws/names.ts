import type { InstanceName } from "../../stage/instance-for.ts";

/**
 * What a stack is called where others may have a stack of the same name, in a bucket and an account: `home-3f9a01c2`. All
 * names below are made from it.
 * @param stackId undefined in a preview of a stack that has none yet
 */
export function sharedName(stack: string, stackId: string | undefined): string {
  return `${stack}-${stackId ?? "new"}`;
}

/** Name of an instance's job queue in the bucket: `home-3f9a01c2/gpu`. */
export function queueName(stack: string, instance: InstanceName): string {
  return `${stack}/${instance}`;
}

/** Ways of paying for an instance, in the order in which they are tried. The second is there only where it is allowed. */
export const groupKinds = ["spot", "on-demand"] as const;
export type GroupKind = (typeof groupKinds)[number];

/** Name of one of an instance's Auto Scaling groups. */
export function groupName(stack: string, instance: InstanceName, kind: GroupKind): string {
  return `pipress-${stack}-${instance}-${kind}`;
}

/** The parameter that holds a stack's token for Hugging Face. */
export function tokenParameterName(stack: string): string {
  return `/pipress/${stack}/hugging-face-token`;
}
