import * as pulumi from "@pulumi/pulumi";
import type { Toolchain } from "../../../toolchain/toolchain.ts";
import type { StackConfig } from "../../config/schema.ts";
import type { Prediction } from "../../prediction/predict.ts";
import type { PlannedStage } from "../../stage/planned.ts";
import type { Host } from "../host.ts";
import { ownerVars, type StackOwner } from "../owner.ts";
import { failuresAllowed } from "../rollout/waves.ts";
import { type ExpectedRelease, lookVars } from "./expected-release.ts";
import { lookAtBalancer } from "./look.ts";
import type { PreflightArgs } from "./preflight-resource.ts";

/** A look at all hosts, before stages make for hours what a host then cannot take. It changes nothing there. */
export class Preflight extends pulumi.CustomResource {
  constructor(name: string, args: PreflightArgs, options?: pulumi.CustomResourceOptions) {
    super("pipress:index:Preflight", name, args, options);
  }
}

/** What the preflight of a fleet is declared from. */
export interface FleetPreflight {
  hosts: readonly Host[];
  plan: readonly PlannedStage[];
  /** What is known of a host's release before it is made. */
  expected: (host: Host) => ExpectedRelease;
  config: Pick<StackConfig, "endpoint" | "rollout">;
  owner: StackOwner;
  toolchain: Toolchain;
}

/** The preflight of a fleet; undefined without hosts. A virtual host is looked at when it has booted. */
export function makePreflight({
  hosts,
  plan,
  expected,
  config: { endpoint, rollout },
  owner,
  toolchain,
}: FleetPreflight): Preflight | undefined {
  if (hosts.length === 0) return undefined;
  const missing = plan.filter(({ artifact }) => artifact === undefined);
  return new Preflight("preflight", {
    stages: Object.fromEntries(missing.map(({ name, key }) => [name, key])),
    hosts: [
      ...hosts.map((host) => ({
        host: host.connection,
        vars: {
          ...lookVars(host, expected(host), toolchain),
          ...ownerVars(owner, host.name),
        },
        secretVars: host.secretVars,
        unreachable: host.unreachable,
      })),
      ...lookAtBalancer(endpoint).map((look) => ({ ...look, secretVars: pulumi.secret(look.secretVars) })),
    ],
    maxFailures: failuresAllowed(rollout.maxFailures, hosts.length),
    concurrency: rollout.concurrency,
  });
}

/** About what it takes to look at a fleet, virtual hosts booted meanwhile: less is not worth waiting for. */
const LONG_SECONDS = 60;

/**
 * Whether a stage waits for the preflight. Those that are over soon run beside it; where it finds an error the engine starts
 * none after them. A stage of which nothing is predicted counts as long.
 */
export function isLong(
  { name, artifact }: Pick<PlannedStage, "name" | "artifact">,
  prediction: Prediction | undefined,
): boolean {
  const seconds = prediction?.stages.get(name)?.seconds ?? Infinity;
  return artifact === undefined && seconds > LONG_SECONDS;
}
