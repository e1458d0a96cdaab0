import type { InstanceName } from "../../stage/instance-for.ts";

/** Name of a box's desk in the bucket: `home/gpu`. */
export function deskName(stack: string, box: InstanceName): string {
  return `${stack}/${box}`;
}

/** Ways of paying for a box, in the order in which they are tried. The second is there only where it is allowed. */
export const groupKinds = ["spot", "on-demand"] as const;
export type GroupKind = (typeof groupKinds)[number];

/** Name of one of a box's Auto Scaling groups. */
export function groupName(stack: string, box: InstanceName, kind: GroupKind): string {
  return `pipress-${stack}-${box}-${kind}`;
}

/** The parameter that holds a stack's token for Hugging Face. */
export function tokenParameterName(stack: string): string {
  return `/pipress/${stack}/hugging-face-token`;
}
