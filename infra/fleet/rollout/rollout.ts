import * as pulumi from "@pulumi/pulumi";
import { ansibleDigest } from "../../ansible/digest.ts";
import type { RolloutConfig } from "../../config/rollout-schema.ts";
import { agentPort, type EndpointConfig } from "../endpoint.ts";
import { balancerAddress, type Located } from "../exposure.ts";
import { addressFrom, hostAndPort } from "../../ssh/address.ts";
import type { Host } from "../host.ts";
import { ownerVars, type StackOwner } from "../owner.ts";
import type { Release } from "../release.ts";
import type { ArtifactFile } from "../../store/fetch-model-file.ts";
import type { Toolchain } from "../../../toolchain/toolchain.ts";
import type { WebPage } from "../../../toolchain/web-page/index.ts";
import { rollOutInWaves, type WavePosition } from "./in-waves.ts";
import { choosePeers, peerPort } from "./peers.ts";
import { Playbook } from "./playbook.ts";
import type { PlaybookArgs } from "./playbook-resource.ts";
import { pageFile, serverFile, sourceFile, type ReleaseFile } from "./release-files.ts";

/** Inputs of a rollout. */
export interface RolloutArgs {
  hosts: readonly Host[];
  /** How many hosts serve this model; `hosts` may be a part of them. */
  fleetSize: number;
  /** All hosts of the stack, whatever they serve: the load balancer is on one of them. */
  fleet: readonly Located[];
  /** Whose the hosts are. */
  owner: StackOwner;
  /** What hosts were called before, by name: theirs are the same resources. */
  renamed: ReadonlyMap<string, string>;
  /** In which steps they get the release. */
  steps: RolloutConfig;
  /** The release of each host: hosts with the same settings have the same one. */
  releaseOf: (host: Host) => pulumi.Output<Release>;
  /** Where the release's model is; a play that needs it fetches it. */
  modelFile: pulumi.Input<ArtifactFile>;
  /** The states of a host's system prompts, and where they are; none where it has none. */
  stateFiles?: (host: Host) => readonly pulumi.Input<ReleaseFile>[];
  /** The web page of hosts that have one. */
  page?: WebPage | undefined;
  apiKey: pulumi.Output<string>;
  /** Whether hosts get the node exporter and the facts of their board. */
  monitoring: boolean;
  /** What is in front of the hosts, if anything. */
  endpoint?: EndpointConfig;
  toolchain: Toolchain;
  /** What names of waves begin with, where a stack has several rollouts. */
  prefix?: string;
}

/**
 * Brings a release to every host: first its files to all of them, then wave by wave: the hosts of one wave together, the
 * next wave when the one before is healthy. A release that fails stops there, and the rest go on serving what
 * they serve.
 */
export class Rollout extends pulumi.ComponentResource {
  /** By the host's name. */
  readonly playbooks: ReadonlyMap<string, Playbook>;

  /** @param formerNames names this rollout may have in a stack's state; they keep its hosts from being taken for others */
  constructor(name: string, args: RolloutArgs, formerNames: readonly string[] = []) {
    super("pipress:rollout:Rollout", name, {}, { aliases: formerNames.map((former) => ({ name: former })) });
    const { hosts, steps, renamed, releaseOf, apiKey } = args;
    // The same for all hosts; to find it out takes longer than all else about a host.
    const contentDigest = ansibleDigest();
    const declare =
      (suffix: string, { secretVars, ...inputs }: SwitchOrStage) =>
      (host: Host, position: WavePosition<Host>): Playbook => {
        const former = renamed.get(host.name);
        return new Playbook(
          `${host.name}${suffix}`,
          {
            ...playbookArgs(host, args, position),
            contentDigest,
            ...inputs,
            secretVars: { ...host.secretVars, ...secretVars },
          },
          {
            parent: this,
            dependsOn: [...position.after, ...(host.machine ? [host.machine] : [])],
            deletedWith: host.machine,
            aliases: former === undefined ? [] : [{ name: `${former}${suffix}` }],
          },
        );
      };
    this.playbooks = rollOutInWaves(
      {
        hosts,
        fleetSize: args.fleetSize,
        steps,
        prefix: args.prefix,
        // Fetches the release; what runs on the host goes on as it is.
        stage: declare("-staged", { playbook: "ansible/stage.yml" }),
        // Switches the host to the release, by its health check.
        playbook: declare("", {
          playbook: "ansible/site.yml",
          removal: "ansible/remove.yml",
          leftBehind:
            "llama-server and what watches it (`systemctl stop 'pipress-*'`), /etc/systemd/system/pipress-*, /etc/pipress, /usr/local/lib/pipress, and the models in /var/lib/pipress",
          secretVars: { pipress_api_keys: [apiKey] },
        }),
        releaseOf: (host) => releaseOf(host).digest,
        probe: "ansible/probe.yml",
        probeVars: (host) => ({ pipress_digest: releaseOf(host).digest, pipress_port: host.server.port }),
      },
      { parent: this },
    );
    this.registerOutputs({});
  }
}

/** What staging and switching do not have in common. */
type SwitchOrStage = Pick<PlaybookArgs, "playbook" | "removal" | "leftBehind"> & {
  secretVars?: Record<string, pulumi.Input<string>[]>;
};

/** What staging and switching have in common. */
function playbookArgs(
  host: Host,
  {
    fleet,
    owner,
    releaseOf,
    modelFile,
    stateFiles,
    page,
    monitoring,
    endpoint,
    toolchain,
    steps,
  }: RolloutArgs,
  { served, index }: WavePosition<Host>,
): Omit<PlaybookArgs, "playbook" | "contentDigest"> {
  const release = releaseOf(host);
  const source = sourceFile(toolchain);
  return {
    host: host.connection,
    vars: {
      ...ownerVars(owner, host.name),
      pipress_release: release,
      pipress_build: host.build,
      pipress_virtual: host.isVirtual,
      ...(host.prepare && { pipress_prepare: true }),
      pipress_llama_cpp_version: toolchain.llamaCpp.version,
      pipress_monitoring: monitoring,
      ...(steps.peerToPeer && { pipress_peer_port: peerPort }),
      ...(endpoint && { pipress_agent_port: agentPort, pipress_drain_seconds: endpoint.drainTimeout }),
      pipress_balancer: balancerAddress(endpoint, host, fleet) ?? "",
      pipress_source: { sha256: source.sha256, bytes: source.bytes },
    },
    routeVars: {
      pipress_peers: steps.peerToPeer ? peersOf(host, index, served) : [],
      pipress_take_over: host.takeOver,
    },
    files: [
      pulumi.output(host.build === "onDevice" ? source : serverFile(toolchain)),
      release.model.apply((model) => pulumi.output({ ...model, source: modelFile })),
      ...(page && host.server.ui ? [pageFile(page)] : []),
      ...(stateFiles?.(host) ?? []),
    ],
    failures: "report",
    unreachable: host.unreachable,
    concurrency: steps.concurrency,
    bytesPerSecond: steps.bandwidth,
  };
}

/** `address:port` of the peers that a host asks for a release. */
function peersOf(host: Host, index: number, served: readonly Host[]): pulumi.Output<string[]> {
  const addresses = choosePeers(host, index, served).map((peer) => {
    const address = addressFrom(host.isVirtual, peer);
    return peer.ports.apply(({ peers = peerPort }) => hostAndPort(address, peers));
  });
  return pulumi.all(addresses);
}
