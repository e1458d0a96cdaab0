import * as pulumi from "@pulumi/pulumi";
import type { RolloutConfig } from "../../config/rollout-schema.ts";
import type { Machine } from "../../ssh/machine.ts";
import type { Playbook } from "./playbook.ts";
import { Wave, type WaveMemberArgs } from "./wave.ts";
import { divideIntoWaves, failuresAllowed, type WaveOf } from "./waves.ts";

/** What a host has to say about itself to be put into a wave. */
export interface WaveHost {
  name: string;
  labels: Readonly<Record<string, string>>;
  connection: pulumi.Input<Machine>;
}

/** Where in the rollout a host is. */
export interface WavePlace<Host> {
  /** The gate of the wave before. */
  after: readonly pulumi.Resource[];
  /** The hosts of all waves before. */
  served: readonly Host[];
  /** Among the hosts of its own wave, from 0. */
  position: number;
}

/** Inputs of `rollOutInWaves`. */
export interface InWavesArgs<Host extends WaveHost> {
  hosts: readonly Host[];
  steps: RolloutConfig;
  /** Declares the playbook of a host; it has to come after what `place` names and to report its failures. */
  playbook: (host: Host, place: WavePlace<Host>) => Playbook;
  /**
   * Declares the playbook that brings a host what it is to serve and touches nothing that runs. With it, and more than one
   * host, all of them have it before the first is switched; see `stageFirst` of the rollout's configuration.
   */
  stage?: (host: Host, place: WavePlace<Host>) => Playbook;
  /** Digest of what a host is to serve. */
  releaseOf: (host: Host) => pulumi.Input<string>;
  /** Playbook that fails on a host that is not healthy after the soak, as a path inside the repository, and its variables. */
  probe: string;
  probeVars: (host: Host) => pulumi.Input<Record<string, unknown>>;
}

/**
 * Declares the playbooks of all hosts, and behind those of each wave its gate, which the next wave waits for.
 * @returns the playbooks by their host's name
 */
export function rollOutInWaves<Host extends WaveHost>(
  args: InWavesArgs<Host>,
  options: pulumi.CustomResourceOptions = {},
): Map<string, Playbook> {
  const { hosts, steps, playbook, releaseOf, probe, probeVars } = args;
  const waves = divideIntoWaves(hosts, steps);
  const names = waves.map((wave) => wave.hosts.map(({ name }) => name));
  const playbooks = new Map<string, Playbook>();
  let gate = stageAll(args, waves, options);
  for (const [index, { name, hosts: members }] of waves.entries()) {
    const after: pulumi.Resource[] = gate === undefined ? [] : [gate];
    const before = waves.slice(0, index).flatMap((wave) => wave.hosts);
    const reached = members.map((host, position) => {
      const declared = playbook(host, { after, served: before, position });
      playbooks.set(host.name, declared);
      const { outcome } = declared;
      return { host: host.connection, release: releaseOf(host), outcome, vars: probeVars(host) };
    });
    const waiting = names.slice(index + 1).flat();
    gate = new Wave(
      name,
      {
        members: reached,
        maxFailures: failuresAllowed(steps.maxFailures, members.length),
        // There is nothing left to hold back behind the last wave.
        soakSeconds: waiting.length > 0 ? steps.soak : 0,
        probe,
        parallel: steps.parallel,
        served: names.slice(0, index).flat(),
        waiting,
      },
      options,
    );
  }
  return playbooks;
}

/**
 * Declares the staging of all hosts, and its gate. With neighbours that lend, it goes in the order of the waves, so that
 * later ones can fetch from earlier ones; otherwise there is nothing to wait for.
 */
function stageAll<Host extends WaveHost>(
  { hosts, steps, stage, releaseOf, probe }: InWavesArgs<Host>,
  waves: readonly WaveOf<Host>[],
  options: pulumi.CustomResourceOptions,
): Wave | undefined {
  if (stage === undefined || !steps.stageFirst || hosts.length < 2) return undefined;
  const members: WaveMemberArgs[] = [];
  let after: readonly pulumi.Resource[] = [];
  let served: readonly Host[] = [];
  for (const wave of waves) {
    const staged = wave.hosts.map((host, position) => stage(host, { after, served, position }));
    for (const [index, host] of wave.hosts.entries()) {
      const { outcome } = staged[index] ?? {};
      if (outcome !== undefined) members.push({ host: host.connection, release: releaseOf(host), outcome });
    }
    if (!steps.neighbours) continue;
    after = staged;
    served = [...served, ...wave.hosts];
  }
  return new Wave(
    "staged",
    {
      members,
      staging: true,
      maxFailures: failuresAllowed(steps.maxFailures, hosts.length),
      soakSeconds: 0,
      probe,
      parallel: steps.parallel,
    },
    options,
  );
}
