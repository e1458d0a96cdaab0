import * as pulumi from "@pulumi/pulumi";
import type { Machine } from "../ssh/machine.ts";

/** The stack as a host keeps it; the role `owner` adds what it is called there. */
export interface StackOwner {
  project: string;
  stack: string;
  /** Random id of the stack: names may be the same on two machines. */
  id: pulumi.Input<string>;
}

/** This stack, as the owner of hosts. */
export function thisStack(id: pulumi.Input<string>): StackOwner {
  return { project: pulumi.getProject(), stack: pulumi.getStack(), id };
}

/** Variables of a play by which a host knows whose it is. */
export function ownerVars(owner: StackOwner, name: string) {
  return { pipress_owner: { ...owner, name } };
}

/**
 * What hosts were called at the last `up` that came to its end, by what they are called now: a board is known by its host key.
 * Hosts that kept their names, and boards whose former name another one has now, are left out. A virtual host has a name, and
 * no key yet.
 */
export function renamedHosts(
  now: readonly { name: string; hostKey?: string }[],
  before: Readonly<Record<string, Pick<Machine, "hostKey">>>,
): Map<string, string> {
  const names = new Set(now.map(({ name }) => name));
  const former = new Map(
    Object.entries(before)
      .filter(([name]) => !names.has(name))
      .map(([name, { hostKey }]) => [hostKey, name]),
  );
  return new Map(
    now.flatMap(({ name, hostKey }) => {
      const was = name in before || hostKey === undefined ? undefined : former.get(hostKey);
      return was === undefined ? [] : [[name, was]];
    }),
  );
}
