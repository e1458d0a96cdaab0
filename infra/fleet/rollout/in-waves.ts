import * as pulumi from "@pulumi/pulumi";
import type { RolloutConfig } from "../../config/rollout-schema.ts";
import type { Machine } from "../../ssh/machine.ts";
import type { Playbook } from "./playbook.ts";
import { Wave } from "./wave.ts";
import { divideIntoWaves, failuresAllowed, type WaveOf } from "./waves.ts";

/** What a host has to say about itself to be put into a wave. */
export interface WaveHost {
  name: string;
  labels: Readonly<Record<string, string>>;
  connection: pulumi.Input<Machine>;
  /** Secret variables of every play on it. */
  secretVars?: Record<string, pulumi.Input<string>>;
}

/** Where in the rollout a host is. */
export interface WavePosition<Host> {
  /** The wave before. */
  after: readonly pulumi.Resource[];
  /** The hosts of all waves before. */
  served: readonly Host[];
  /** Among the hosts of its own wave, from 0. */
  index: number;
}

/** Inputs of `rollOutInWaves`. */
export interface InWavesArgs<Host extends WaveHost> {
  hosts: readonly Host[];
  steps: RolloutConfig;
  /** Declares the playbook of a host; it has to come after what `position` names and to report its failures. */
  playbook: (host: Host, position: WavePosition<Host>) => Playbook;
  /** Hosts of the whole fleet, where these are a part of it: a host is staged or not whichever part it is in. */
  fleetSize?: number;
  /**
   * Declares the playbook that brings a host what it is to serve and touches nothing that runs. With it, and more than one
   * host in the fleet, all of them have it before the first is switched; see `prefetch` of the rollout's configuration.
   */
  stage?: (host: Host, position: WavePosition<Host>) => Playbook;
  /** What names of waves begin with, where a stack has several rollouts. */
  prefix?: string;
  /** Digest of what a host is to serve. */
  releaseOf: (host: Host) => pulumi.Input<string>;
  /** Playbook that fails on a host that is not healthy after the soak, as a path inside the repository, and its variables. */
  probe: string;
  probeVars: (host: Host) => pulumi.Input<Record<string, unknown>>;
}

/**
 * Declares the playbooks of all hosts, and after those of each wave a `Wave`, which the next one waits for.
 * @returns the playbooks by their host's name
 */
export function rollOutInWaves<Host extends WaveHost>(
  args: InWavesArgs<Host>,
  options: pulumi.CustomResourceOptions = {},
): Map<string, Playbook> {
  const { steps, playbook, prefix = "", releaseOf, probe, probeVars } = args;
  const waves = divideIntoWaves(args.hosts, steps);
  const names = waves.map(({ hosts }) => hosts.map(({ name }) => name));
  const playbooks = new Map<string, Playbook>();
  let previous = stageAll(args, waves, options);
  for (const [number, { name, hosts }] of waves.entries()) {
    const after = previous === undefined ? [] : [previous];
    const served = waves.slice(0, number).flatMap((wave) => wave.hosts);
    const members = hosts.map((host, index) => {
      const declared = playbook(host, { after, served, index });
      playbooks.set(host.name, declared);
      return { ...memberOf(host, declared, releaseOf), vars: probeVars(host), ...secretsOf(host) };
    });
    const waiting = names.slice(number + 1).flat();
    previous = new Wave(
      `${prefix}${name}`,
      {
        members,
        maxFailures: failuresAllowed(steps.maxFailures, members.length),
        // There is nothing left to hold back behind the last wave.
        soakSeconds: waiting.length > 0 ? steps.soak : 0,
        probe,
        concurrency: steps.concurrency,
        served: names.slice(0, number).flat(),
        waiting,
      },
      options,
    );
  }
  return playbooks;
}

/**
 * Declares the staging of all hosts, and the `Wave` that waits for it. Peer to peer it goes in the order of the waves, so that
 * later ones can fetch from earlier ones; otherwise there is nothing to wait for.
 */
function stageAll<Host extends WaveHost>(
  { hosts, fleetSize = hosts.length, steps, stage, prefix = "", releaseOf, probe }: InWavesArgs<Host>,
  waves: readonly WaveOf<Host>[],
  options: pulumi.CustomResourceOptions,
): Wave | undefined {
  if (stage === undefined || !steps.prefetch || fleetSize < 2) return undefined;
  let after: readonly pulumi.Resource[] = [];
  let served: readonly Host[] = [];
  const members = waves.flatMap((wave) => {
    const staged = wave.hosts.map((host, index) => ({
      host,
      playbook: stage(host, { after, served, index }),
    }));
    if (steps.peerToPeer) {
      after = staged.map(({ playbook }) => playbook);
      served = [...served, ...wave.hosts];
    }
    return staged.map(({ host, playbook }) => memberOf(host, playbook, releaseOf));
  });
  return new Wave(
    `${prefix}staged`,
    {
      members,
      staging: true,
      maxFailures: failuresAllowed(steps.maxFailures, hosts.length),
      soakSeconds: 0,
      probe,
      concurrency: steps.concurrency,
    },
    options,
  );
}

/** Absent where there are none, since a secret in it hides the whole list of members. */
function secretsOf({ secretVars = {} }: WaveHost) {
  return Object.keys(secretVars).length > 0 && { secretVars: pulumi.secret(secretVars) };
}

/** A host of a wave, and what came of its playbook. */
function memberOf<Host extends WaveHost>(
  host: Host,
  { outcome }: Playbook,
  releaseOf: InWavesArgs<Host>["releaseOf"],
) {
  return { host: host.connection, release: releaseOf(host), outcome };
}
