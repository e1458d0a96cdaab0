import { statSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";
import type { Host } from "../host/host.ts";
import type { Release } from "../release/release.ts";
import type { Toolchain } from "../toolchain.ts";
import { ansibleDigest } from "../ansible/digest.ts";
import { Playbook } from "./playbook.ts";

/** What the play on a host reports back (`set_stats` of the role inference_service). */
export interface ServiceResults {
  release: string;
  tokensPerSecond: number;
  loadSeconds: number;
  answer: string;
  warnings?: string[];
}

/** Inputs of a rollout. */
export interface RolloutArgs {
  /** In the order in which they get the release: the first is the canary. */
  hosts: readonly Host[];
  release: pulumi.Output<Release>;
  /** Where the release's model is on this machine. */
  modelFile: pulumi.Input<string>;
  apiKey: pulumi.Output<string>;
  toolchain: Toolchain;
}

/**
 * Brings a release to every host. The canary goes first; the others follow together once its gate has passed, so a
 * release that fails stops there and the rest go on serving what they serve.
 */
export class Rollout extends pulumi.ComponentResource {
  readonly playbooks: readonly Playbook[];

  constructor(name: string, args: RolloutArgs, options?: pulumi.ComponentResourceOptions) {
    super("pipress:rollout:Rollout", name, {}, options);
    const [canary, ...rest] = args.hosts;
    const first = canary && this.playbook(canary, args, []);
    this.playbooks = first ? [first, ...rest.map((host) => this.playbook(host, args, [first]))] : [];
    this.registerOutputs({});
  }

  private playbook(host: Host, args: RolloutArgs, after: readonly Playbook[]): Playbook {
    const { release, modelFile, apiKey, toolchain } = args;
    const { llamaCpp } = toolchain;
    const server = llamaCpp.release.files["llama-server"];
    const source = {
      sha256: llamaCpp.sourceSha256,
      bytes: statSync(llamaCpp.sourceArchive).size,
      path: llamaCpp.sourceArchive,
    };
    return new Playbook(
      host.name,
      {
        playbook: "ansible/site.yml",
        removal: "ansible/remove.yml",
        contentDigest: ansibleDigest(),
        host: host.connection,
        vars: {
          pipress_release: release,
          pipress_build: host.build,
          pipress_virtual: host.isVirtual,
          pipress_llama_cpp_version: llamaCpp.version,
          pipress_source: { sha256: source.sha256, bytes: source.bytes },
        },
        secretVars: { pipress_api_keys: [apiKey] },
        files: [
          pulumi.output(host.build === "device" ? source : { ...server }),
          release.model.apply((model) => pulumi.output({ ...model, path: modelFile })),
        ],
      },
      {
        parent: this,
        dependsOn: [...after, ...host.readyWhen],
        ...(host.machine && { deletedWith: host.machine }),
      },
    );
  }
}
