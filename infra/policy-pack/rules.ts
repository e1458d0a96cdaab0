/** The rules themselves: what each finds wrong with one resource, as plain functions of its type and properties. */

import { consentTag, ttlTag } from "../builder/aws/tags.ts";

type Props = Readonly<Record<string, unknown>>;

export interface Rule {
  name: string;
  description: string;
  /** What is wrong with a resource, a sentence each; empty when nothing is. */
  check: (type: string, props: Props) => string[];
}

const launchTemplate = "aws:ec2/launchTemplate:LaunchTemplate";
const instance = "aws:ec2/instance:Instance";
const group = "aws:autoscaling/group:Group";
const securityGroup = "aws:ec2/securityGroup:SecurityGroup";
const everywhere = new Set(["0.0.0.0/0", "::/0"]);

/** Families with an accelerator: g4dn, g6e, gr6, p5, trn1, inf2… */
const isAccelerated = (type: unknown): boolean => /^(g|p|trn|inf|dl)[a-z]*\d/.test(text(type));

export const rules: readonly Rule[] = [
  {
    name: "instance-has-a-time-to-live",
    description: `Whatever starts instances says with the tag ${ttlTag} when they end at the latest.`,
    check: (type, props) => {
      const missing = `has no tag ${ttlTag}: nobody knows when it must be gone`;
      if (type === instance) return ttlTag in record(props.tags) ? [] : [missing];
      if (type !== launchTemplate) return [];
      const onInstances = records(props.tagSpecifications).find(
        ({ resourceType }) => resourceType === "instance",
      );
      return ttlTag in record(onInstances?.tags) ? [] : [missing];
    },
  },
  {
    name: "instance-has-a-watchdog",
    description: "Whatever starts instances starts the watchdog on them, and terminates one that powers off.",
    check: (type, props) => {
      if (type !== instance && type !== launchTemplate) return [];
      const script =
        type === instance && props.userDataBase64 === undefined ? text(props.userData) : decoded(props);
      const problems = /^start watch watch /m.test(script) ? [] : ["its user data starts no watchdog"];
      if (props.instanceInitiatedShutdownBehavior !== "terminate")
        problems.push('does not set instanceInitiatedShutdownBehavior to "terminate"');
      return problems;
    },
  },
  {
    name: "on-demand-gpu-needs-consent",
    description: `On-demand instances with an accelerator carry the tag ${consentTag}, which builder.aws.onDemand sets.`,
    check: (type, props) => {
      const problem = [`may start an accelerated instance on demand without the tag ${consentTag}`];
      if (type === instance) {
        const isSpot = record(props.instanceMarketOptions).marketType === "spot";
        return isAccelerated(props.instanceType) && !isSpot && !(consentTag in record(props.tags))
          ? problem
          : [];
      }
      if (type !== group) return [];
      const policy = record(props.mixedInstancesPolicy);
      const { onDemandBaseCapacity: base, onDemandPercentageAboveBaseCapacity: above } = record(
        policy.instancesDistribution,
      );
      // AWS's own defaults: nothing at the base, everything above it.
      const onDemand = Number(base ?? 0) > 0 || Number(above ?? 100) > 0;
      const overrides = records(record(policy.launchTemplate).overrides);
      const hasConsent = records(props.tags).some(({ key }) => key === consentTag);
      // Without overrides the launch template names the type, which is not seen from here.
      const accelerated =
        overrides.length === 0 || overrides.some(({ instanceType }) => isAccelerated(instanceType));
      return onDemand && accelerated && !hasConsent ? problem : [];
    },
  },
  {
    name: "no-public-bucket",
    description: "Nobody reads or writes a bucket without credentials.",
    check: (type, props) => {
      if (/^aws:s3\/bucketAcl/.test(type) || /^aws:s3\/bucket(V2)?:/.test(type))
        return /^public-|^authenticated-read$/.test(text(props.acl))
          ? [`has the public ACL ${text(props.acl)}`]
          : [];
      if (type === "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")
        return ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"]
          .filter((name) => props[name] !== true)
          .map((name) => `does not set ${name}`);
      if (type !== "aws:s3/bucketPolicy:BucketPolicy") return [];
      const open = statements(props.policy).filter(
        ({ Effect, Principal }) => Effect === "Allow" && isEverybody(Principal),
      );
      return open.map(({ Sid }) => `its statement ${text(Sid) || "without a name"} allows everybody`);
    },
  },
  {
    name: "no-open-ingress",
    description: "No port is open to the world.",
    check: (type, props) => {
      const open = (rule: Props, what: string): string[] => {
        const from = [rule.cidrBlocks, rule.ipv6CidrBlocks, rule.cidrIpv4, rule.cidrIpv6].flat();
        return from.some((cidr) => everywhere.has(text(cidr))) ? [what] : [];
      };
      const port = (rule: Props) => `lets the world in at port ${text(rule.fromPort) || "any"}`;
      if (type === securityGroup) return records(props.ingress).flatMap((rule) => open(rule, port(rule)));
      if (type === "aws:ec2/securityGroupRule:SecurityGroupRule")
        return props.type === "ingress" ? open(props, port(props)) : [];
      return type === "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
        ? open(props, port(props))
        : [];
    },
  },
  {
    name: "imdsv2-only",
    description: "The metadata service wants a token and answers the instance alone: version 2, hop limit 1.",
    check: (type, props) => {
      if (type !== instance && type !== launchTemplate) return [];
      const { httpTokens, httpPutResponseHopLimit: hops } = record(props.metadataOptions);
      const problems =
        httpTokens === "required" ? [] : ["takes requests to the metadata service without a token (IMDSv1)"];
      if (Number(hops ?? 1) > 1)
        problems.push(`lets ${text(hops)} hops reach the metadata service; 1 is enough`);
      return problems;
    },
  },
  {
    name: "disks-are-encrypted",
    description: "Every disk is encrypted.",
    check: (type, props) => {
      const plain = (disk: Props): boolean => text(disk.encrypted) !== "true";
      if (type === "aws:ebs/volume:Volume") return plain(props) ? ["is not encrypted"] : [];
      if (type === instance) {
        const disks = [record(props.rootBlockDevice), ...records(props.ebsBlockDevices)];
        return disks.some(plain) ? ["has a disk that is not encrypted"] : [];
      }
      if (type !== launchTemplate) return [];
      const disks = records(props.blockDeviceMappings).map(({ ebs }) => record(ebs));
      return disks.length === 0 || disks.some(plain) ? ["has a disk that is not encrypted"] : [];
    },
  },
  {
    name: "no-secret-in-user-data",
    description: "User data can be read by whoever may look at an instance; tokens and keys come by role.",
    check: (type, props) => {
      if (type !== instance && type !== launchTemplate) return [];
      const script = `${decoded(props)}\n${text(props.userData)}`;
      return /\bhf_[A-Za-z0-9]{20,}|\bAKIA[A-Z0-9]{16}\b|-----BEGIN [A-Z ]*PRIVATE KEY/.test(script)
        ? ["its user data holds a secret"]
        : [];
    },
  },
  {
    name: "no-ssh-key",
    description:
      "Nobody logs in to an instance with a key: Session Manager is there for that, and writes down who did.",
    check: (type, props) =>
      (type === instance || type === launchTemplate) && props.keyName !== undefined
        ? ["names an SSH key"]
        : [],
  },
];

function record(value: unknown): Props {
  return typeof value === "object" && value !== null ? (value as Props) : {};
}

function records(value: unknown): Props[] {
  return Array.isArray(value) ? value.map(record) : [];
}

function text(value: unknown): string {
  return typeof value === "string" || typeof value === "number" || typeof value === "boolean"
    ? String(value)
    : "";
}

function decoded({ userData, userDataBase64 }: Props): string {
  return Buffer.from(text(userDataBase64 ?? userData), "base64").toString("utf8");
}

function statements(policy: unknown): Props[] {
  try {
    const { Statement } = JSON.parse(text(policy)) as { Statement?: unknown };
    return records([Statement].flat());
  } catch {
    return []; // not known yet, at a preview
  }
}

function isEverybody(principal: unknown): boolean {
  return principal === "*" || [record(principal).AWS].flat().includes("*");
}
