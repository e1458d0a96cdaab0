import { describe, expect, it } from "vitest";
import { rules } from "./rules.ts";

/** What all rules together say about a resource, as `rule: problem`. */
function violations(type: string, props: Record<string, unknown>): string[] {
  return rules.flatMap(({ name, check }) => check(type, props).map((problem) => `${name}: ${problem}`));
}

const launchTemplate = "aws:ec2/launchTemplate:LaunchTemplate";
const instance = "aws:ec2/instance:Instance";
const group = "aws:autoscaling/group:Group";
const base64 = (text: string) => Buffer.from(text).toString("base64");

const goodTemplate = {
  userData: base64("#!/bin/bash\nstart watch watch /home\n"),
  instanceInitiatedShutdownBehavior: "terminate",
  metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 1 },
  blockDeviceMappings: [{ ebs: { encrypted: "true" } }],
  tagSpecifications: [{ resourceType: "instance", tags: { "pipress:ttl-hours": "24" } }],
};

describe("the policy pack, a launch template", () => {
  it("finds nothing wrong with an instance as this program declares it", () => {
    expect(violations(launchTemplate, goodTemplate)).toEqual([]);
  });

  it.each<[string, Record<string, unknown>, string]>([
    [
      "without a time to live",
      { tagSpecifications: [] },
      "instance-has-a-time-to-live: has no tag pipress:ttl-hours",
    ],
    [
      "without a watchdog",
      { userData: base64("#!/bin/bash\nsleep 1\n") },
      "instance-has-a-watchdog: its user data",
    ],
    [
      "that would stop instead of ending",
      { instanceInitiatedShutdownBehavior: "stop" },
      "instance-has-a-watchdog: does not",
    ],
    ["with IMDSv1", { metadataOptions: { httpTokens: "optional" } }, "imdsv2-only: takes requests"],
    ["without metadata options", { metadataOptions: undefined }, "imdsv2-only: takes requests"],
    [
      "with two hops",
      { metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 2 } },
      "imdsv2-only: lets 2 hops",
    ],
    [
      "with a plain disk",
      { blockDeviceMappings: [{ ebs: { encrypted: "false" } }] },
      "disks-are-encrypted: has a disk",
    ],
    ["that leaves its disk to the account", { blockDeviceMappings: [] }, "disks-are-encrypted: has a disk"],
    [
      "with a token in it",
      { userData: base64(`start watch watch /\nHF_TOKEN=hf_${"a".repeat(30)}`) },
      "no-secret-in-user-data",
    ],
    ["with an SSH key", { keyName: "me" }, "no-ssh-key: names an SSH key"],
  ])("refuses one %s", (_, changes, problem) => {
    const all = violations(launchTemplate, { ...goodTemplate, ...changes });
    expect(all).toHaveLength(1);
    expect(all[0]).toContain(problem);
  });
});

describe("the policy pack", () => {
  it("refuses every part of an instance that somebody adds by hand", () => {
    const names = violations(instance, { instanceType: "g6e.2xlarge", userData: "echo" }).map(
      (violation) => violation.split(":")[0],
    );
    expect(new Set(names)).toEqual(
      new Set([
        "instance-has-a-time-to-live",
        "instance-has-a-watchdog",
        "on-demand-gpu-needs-consent",
        "imdsv2-only",
        "disks-are-encrypted",
      ]),
    );
  });

  const groupOf = (distribution: object | undefined, type: string, tags: object[] = []) => ({
    tags,
    mixedInstancesPolicy: {
      launchTemplate: { overrides: [{ instanceType: "m7i.4xlarge" }, { instanceType: type }] },
      instancesDistribution: distribution,
    },
  });
  const spot = { onDemandBaseCapacity: 0, onDemandPercentageAboveBaseCapacity: 0 };
  const consent = [{ key: "pipress:on-demand-consent", value: "yes" }];

  it.each<[string, Record<string, unknown>, number]>([
    ["a spot group", groupOf(spot, "g6e.2xlarge"), 0],
    [
      "an on-demand group without accelerators",
      groupOf({ ...spot, onDemandBaseCapacity: 1 }, "m6i.large"),
      0,
    ],
    [
      "an on-demand group with consent",
      groupOf({ onDemandPercentageAboveBaseCapacity: 100 }, "p5.48xlarge", consent),
      0,
    ],
    ["an on-demand group", groupOf({ onDemandPercentageAboveBaseCapacity: 100 }, "g6e.2xlarge"), 1],
    ["a base on demand", groupOf({ ...spot, onDemandBaseCapacity: 1 }, "g6e.2xlarge"), 1],
    ["what AWS does by default", groupOf(undefined, "trn1.2xlarge"), 1],
    ["a group whose template names the type", { launchTemplate: { id: "lt-1" } }, 1],
  ])("looks for consent: %s", (_, props, problems) => {
    expect(violations(group, props)).toHaveLength(problems);
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ["aws:s3/bucket:Bucket", { acl: "public-read" }, ["no-public-bucket: has the public ACL public-read"]],
    ["aws:s3/bucket:Bucket", { bucket: "b" }, []],
    [
      "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
      { blockPublicAcls: true, blockPublicPolicy: true, ignorePublicAcls: true },
      ["no-public-bucket: does not set restrictPublicBuckets"],
    ],
    [
      "aws:s3/bucketPolicy:BucketPolicy",
      { policy: JSON.stringify({ Statement: [{ Sid: "Open", Effect: "Allow", Principal: { AWS: "*" } }] }) },
      ["no-public-bucket: its statement Open allows everybody"],
    ],
    [
      "aws:s3/bucketPolicy:BucketPolicy",
      { policy: JSON.stringify({ Statement: { Effect: "Deny", Principal: "*" } }) },
      [],
    ],
    [
      "aws:ec2/securityGroup:SecurityGroup",
      { ingress: [{ fromPort: 22, cidrBlocks: ["10.0.0.0/8", "0.0.0.0/0"] }] },
      ["no-open-ingress: lets the world in at port 22"],
    ],
    ["aws:ec2/securityGroup:SecurityGroup", { ingress: [], egress: [{ cidrBlocks: ["0.0.0.0/0"] }] }, []],
    [
      "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
      { cidrIpv6: "::/0" },
      ["no-open-ingress: lets the world in at port any"],
    ],
    ["aws:ebs/volume:Volume", { size: 8 }, ["disks-are-encrypted: is not encrypted"]],
    ["aws:ebs/volume:Volume", { encrypted: true }, []],
  ])("%s %o", (type, props, problems) => {
    expect(violations(type, props)).toEqual(problems);
  });
});
