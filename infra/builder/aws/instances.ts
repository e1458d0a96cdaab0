import { getAvailabilityZones } from "@pulumi/aws/getAvailabilityZones.js";
import { getPartition } from "@pulumi/aws/getPartition.js";
import { Provider } from "@pulumi/aws/provider.js";
import { Parameter } from "@pulumi/aws/ssm/parameter.js";
import * as pulumi from "@pulumi/pulumi";
import type { AwsBuilderConfig } from "../../config/aws-schema.ts";
import { parseS3Url } from "../../store/s3-address.ts";
import { instanceNames, type InstanceName } from "../../stage/instance-for.ts";
import { Instance } from "./instance.ts";
import { queueName, groupKinds, groupName, tokenParameterName } from "./names.ts";
import { Network } from "./network.ts";
import { instancePolicy } from "./policies.ts";
import { instanceSettings, userData } from "./user-data.ts";
import type { SourceObject } from "./job-queues.ts";

/** What a stack's instances are declared from. */
export interface InstancesArgs {
  aws: AwsBuilderConfig;
  /** Its `sharedName`. */
  stack: string;
  /** URL of the bucket, `s3://…`. */
  store: string;
  needed: ReadonlySet<InstanceName>;
  code: SourceObject;
  huggingFaceToken: pulumi.Output<string> | undefined;
}

/** Zones to look for a free instance in; more of them bring little. */
const maxZones = 4;

/** Declares network, roles and instances, and the token in the Parameter Store where the instance that downloads needs one. */
export async function declareInstances(args: InstancesArgs): Promise<Map<InstanceName, Instance>> {
  const { aws, stack, store, needed, code, huggingFaceToken } = args;
  const provider = new Provider("aws", {
    region: aws.region,
    defaultTags: { tags: { "pipress:stack": stack } },
  });
  const zones = await getAvailabilityZones(
    { state: "available", filters: [{ name: "opt-in-status", values: ["opt-in-not-required"] }] },
    { provider },
  );
  const { partition, dnsSuffix } = await getPartition({}, { provider });
  // Names within the state have no need of the stack's id.
  const name = `pipress-${pulumi.getStack()}`;
  const providers = [provider];
  const zoneNames = zones.names.slice(0, maxZones);
  const network = new Network(name, { region: aws.region, zones: zoneNames }, { providers });
  const parameter = tokenParameterName(stack);
  const token =
    huggingFaceToken !== undefined && needed.has("build")
      ? new Parameter(
          `${name}-token`,
          { name: parameter, type: "SecureString", value: huggingFaceToken },
          { provider },
        )
      : undefined;
  const kinds = groupKinds.filter((kind) => kind === "spot" || aws.onDemand);
  const declared = new Map<InstanceName, Instance>();
  for (const instance of instanceNames) {
    if (!needed.has(instance)) continue;
    const hasToken = instance === "build" && token !== undefined;
    const policy = instancePolicy({
      store: parseS3Url(store),
      queue: queueName(stack, instance),
      stack,
      partition,
      region: aws.region,
      groups: kinds.map((kind) => groupName(stack, instance, kind)),
      tokenParameter: hasToken ? parameter : undefined,
    });
    const settings = instanceSettings({ aws, stack, store, instance, hasToken, dnsSuffix });
    const instanceArgs = {
      instance,
      stack,
      partition: { partition, dnsSuffix },
      aws,
      kinds,
      policy,
      userData: userData(settings, code),
      network,
    };
    const dependsOn = hasToken ? [token] : [];
    declared.set(instance, new Instance(`${name}-${instance}`, instanceArgs, { providers, dependsOn }));
  }
  return declared;
}
