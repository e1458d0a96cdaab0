import { z } from "zod";

/** Environment variable in which `./pipress up --hosts` names the hosts to the program, as a JSON list. */
export const partVariable = "PIPRESS_HOSTS";

/** What names of a part's waves begin with, behind the model's prefix: the fleet's own waves stay in the state as they are. */
export const partPrefix = "part-";

/** Names of the hosts that this run is for; undefined where it is for all. */
export function partOfFleet(environment: NodeJS.ProcessEnv = process.env): ReadonlySet<string> | undefined {
  const named = environment[partVariable];
  return named === undefined ? undefined : new Set(z.array(z.string()).parse(JSON.parse(named)));
}

/** What a run for a part of a fleet works on. */
export interface Part {
  hosts: readonly string[];
  /** Names of the stages of the models that they serve. */
  stages: readonly string[];
  /** What names of these models' resources begin with. */
  prefixes: readonly string[];
}

/**
 * Options by which pulumi leaves everything but a part of a fleet as it is in the state, also what the program does not
 * declare: other hosts, those that are no longer configured, the balancer, other models' stages, and the waves of the fleet.
 * @param urns of all resources in the stack's state
 */
export function exceptPart(urns: readonly string[], { hosts, stages, prefixes }: Part): string[] {
  const [ofHosts, ofStages] = [new Set(hosts.flatMap((name) => [name, `${name}-staged`])), new Set(stages)];
  /** Whether a resource is the part's own, by its type; a type that is not here belongs to the whole stack. */
  const isOwn: Record<string, (name: string) => boolean> = {
    "command:local:Command": (name) => ofStages.has(name),
    "pipress:index:Playbook": (name) => ofHosts.has(name),
    "pipress:index:VirtualPi": (name) => ofHosts.has(name),
    "pipress:index:Wave": (name) => prefixes.some((prefix) => name.startsWith(prefix + partPrefix)),
    "pipress:rollout:Rollout": (name) => prefixes.includes(name.replace(/fleet$/, "")),
    "pipress:stage:Stage": (name) => ofStages.has(name),
  };
  const others = urns.filter((urn) => {
    const [, , types = "", ...name] = urn.split("::");
    return isOwn[types.split("$").at(-1) ?? ""]?.(name.join("::")) === false;
  });
  return others.flatMap((urn) => ["--exclude", urn]);
}
