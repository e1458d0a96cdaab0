import { UserError } from "../common/user-error.ts";
import type { Machine } from "../infra/ssh/machine.ts";
import { pulumiText } from "./run-pulumi.ts";

/** What a stack's state says about what is on this machine and in buckets. */
export interface StackState {
  /** Undefined while the stack has never been up, or not with this version. */
  stackId: string | undefined;
  /** Ids of virtual hosts, by name. */
  virtualPis: ReadonlyMap<string, string>;
  /** Of all resources. */
  urns: readonly string[];
  /** The hosts that the last `up` has left in the outputs, by name. */
  hosts: Readonly<Record<string, Pick<Machine, "hostKey">>>;
}

/** A resource as `pulumi stack export` prints it. */
interface Resource {
  type: string;
  urn: string;
  id?: string;
  delete?: boolean;
  outputs?: { hosts?: StackState["hosts"] };
}

/** Reads a stack's state: no passphrase is needed, and an `up` may be at work meanwhile. */
export async function readStackState(stack: string): Promise<StackState> {
  try {
    return parseState(await pulumiText(["stack", "export", "--stack", stack]));
  } catch (error) {
    if (!(error instanceof UserError) || !error.message.includes("no stack named")) throw error;
    return { stackId: undefined, virtualPis: new Map(), urns: [], hosts: {} };
  }
}

/** @param state what `pulumi stack export` prints */
export function parseState(state: string): StackState {
  const { deployment } = JSON.parse(state) as {
    deployment: { resources?: Resource[] };
  };
  const ids = (type: string): [name: string, id: string][] =>
    (deployment.resources ?? [])
      .filter((resource) => resource.type === type && resource.delete !== true)
      .map(({ urn, id = "" }) => [urn.split("::").at(-1) ?? "", id]);
  return {
    stackId: ids("pipress:index:StackId")[0]?.[1],
    virtualPis: new Map(ids("pipress:index:VirtualPi")),
    hosts: deployment.resources?.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs?.hosts ?? {},
    urns: (deployment.resources ?? []).map(({ urn }) => urn),
  };
}
