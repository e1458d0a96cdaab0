import { Group } from "@pulumi/aws/autoscaling/group.js";
import { LaunchTemplate } from "@pulumi/aws/ec2/launchTemplate.js";
import { InstanceProfile } from "@pulumi/aws/iam/instanceProfile.js";
import { Role } from "@pulumi/aws/iam/role.js";
import { RolePolicy } from "@pulumi/aws/iam/rolePolicy.js";
import * as pulumi from "@pulumi/pulumi";
import type { AwsBuilderConfig } from "../../config/aws-schema.ts";
import type { InstanceName } from "../../stage/instance-for.ts";
import { groupName, type GroupKind } from "./names.ts";
import type { Network } from "./network.ts";
import type { PolicyDocument } from "../../store/bucket-policy.ts";
import { assumedByEc2, type Partition } from "./policies.ts";
import { consentTag, ttlTag } from "./tags.ts";

/** Inputs of an instance. */
export interface InstanceArgs {
  instance: InstanceName;
  /** Its `sharedName`. */
  stack: string;
  aws: AwsBuilderConfig;
  partition: Partition;
  /** Spot, and on demand where that is allowed. */
  kinds: readonly GroupKind[];
  policy: PolicyDocument;
  /** The script of its first boot; no secret is in it. */
  userData: string;
  network: Network;
}

/** Images by instance, as public parameters that AWS keeps at the latest: Ubuntu 24.04, the GPU's with its driver. */
const images: Record<InstanceName, string> = {
  gpu: "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id",
  build: "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
};

/**
 * An instance as Auto Scaling groups of at most one. They are declared with none: whoever has a job for the instance asks for
 * it, and its watchdog ends it. A spot instance that AWS takes back is started again elsewhere by its group.
 */
export class Instance extends pulumi.ComponentResource {
  constructor(name: string, args: InstanceArgs, options?: pulumi.ComponentResourceOptions) {
    super("pipress:aws:Instance", name, {}, options);
    const parent = { parent: this };
    const role = new Role(name, { assumeRolePolicy: JSON.stringify(assumedByEc2(args.partition)) }, parent);
    new RolePolicy(name, { role: role.name, policy: JSON.stringify(args.policy) }, parent);
    const profile = new InstanceProfile(name, { role: role.name }, parent);
    const template = new LaunchTemplate(name, launchTemplate(name, args, profile.name), parent);
    for (const kind of args.kinds) {
      new Group(`${name}-${kind}`, groupOf(args, kind, template), { ...parent, deleteBeforeReplace: true });
    }
    this.registerOutputs();
  }
}

/** What every instance that a group starts is like. */
function launchTemplate(name: string, args: InstanceArgs, profile: pulumi.Input<string>) {
  const { instance, stack, aws, network, userData } = args;
  const tags = {
    Name: name,
    "pipress:stack": stack,
    "pipress:instance": instance,
    [ttlTag]: String(aws.maxDuration / 3600),
  };
  return {
    // Resolved when an instance starts: a new image changes nothing that is declared.
    imageId: `resolve:ssm:${images[instance]}`,
    userData: Buffer.from(userData).toString("base64"),
    iamInstanceProfile: { name: profile },
    instanceInitiatedShutdownBehavior: "terminate",
    metadataOptions: {
      httpEndpoint: "enabled",
      httpTokens: "required",
      httpPutResponseHopLimit: 1,
      instanceMetadataTags: "disabled",
    },
    networkInterfaces: [
      {
        deviceIndex: 0,
        associatePublicIpAddress: "true",
        deleteOnTermination: "true",
        securityGroups: [network.securityGroupId],
      },
    ],
    blockDeviceMappings: [
      {
        deviceName: "/dev/sda1",
        ebs: {
          encrypted: "true",
          deleteOnTermination: "true",
          volumeType: "gp3",
          volumeSize: Math.ceil(aws[instance].disk / 2 ** 30),
        },
      },
    ],
    tagSpecifications: ["instance", "volume", "network-interface"].map((resourceType) => ({
      resourceType,
      tags,
    })),
    updateDefaultVersion: true,
  };
}

/** A group of at most one instance, declared with none. Spot takes whichever type and zone is least likely to be taken back at a good price. */
function groupOf({ instance, stack, aws, network }: InstanceArgs, kind: GroupKind, template: LaunchTemplate) {
  const tags = {
    "pipress:stack": stack,
    [ttlTag]: String(aws.maxDuration / 3600),
    ...(kind === "on-demand" && { [consentTag]: "yes" }),
  };
  return {
    name: groupName(stack, instance, kind),
    vpcZoneIdentifiers: network.subnetIds,
    minSize: 0,
    maxSize: 1,
    healthCheckType: "EC2",
    // An instance that goes away is ended with what it is doing: everything worth keeping is in the bucket.
    forceDelete: true,
    mixedInstancesPolicy: {
      launchTemplate: {
        launchTemplateSpecification: {
          launchTemplateId: template.id,
          version: template.latestVersion.apply(String),
        },
        overrides: aws[instance].types.map((instanceType) => ({ instanceType })),
      },
      instancesDistribution: {
        onDemandBaseCapacity: 0,
        onDemandPercentageAboveBaseCapacity: kind === "spot" ? 0 : 100,
        onDemandAllocationStrategy: "prioritized",
        spotAllocationStrategy: "price-capacity-optimized",
      },
    },
    tags: Object.entries(tags).map(([key, value]) => ({ key, value, propagateAtLaunch: true })),
  };
}
