/** What is declared for instances, with Pulumi's mocks: it proves what is asked of AWS, not what AWS makes of it. */
import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { awsBuilder, type AwsBuilderConfig } from "../../config/aws-schema.ts";
import { rules } from "../../policy-pack/rules.ts";
import type { InstanceName } from "../../stage/instance-for.ts";
import { declareInstances, type InstancesArgs } from "./instances.ts";
import { assumedByEc2, instancePolicy } from "./policies.ts";
import { counts, declared, type Declared } from "./testing/declared.ts";

const config = (changes: Record<string, unknown> = {}): AwsBuilderConfig =>
  awsBuilder.parse({ region: "us-east-1", maxCostUsd: 20, maxDuration: "12 h", ...changes });

const declare = (...args: Parameters<typeof argsOf>): Promise<Declared[]> =>
  declared(() => declareInstances(argsOf(...args)));

function argsOf(needed: InstanceName[], aws = config(), token?: string): InstancesArgs {
  return {
    aws,
    stack: "home-3f9a01c2",
    store: "s3://models/team/pipress?region=us-east-1",
    needed: new Set(needed),
    code: { path: "boxes/home-3f9a01c2/source/abc.tar.gz", sha256: "abc" },
    huggingFaceToken: token === undefined ? undefined : pulumi.secret(token),
  };
}

const commercial = { dnsSuffix: "amazonaws.com" };
const network = {
  "pulumi:providers:aws": 1,
  "pipress:aws:Network": 1,
  "aws:ec2/vpc:Vpc": 1,
  "aws:ec2/internetGateway:InternetGateway": 1,
  "aws:ec2/routeTable:RouteTable": 1,
  "aws:ec2/route:Route": 1,
  "aws:ec2/vpcEndpoint:VpcEndpoint": 1,
  "aws:ec2/subnet:Subnet": 4,
  "aws:ec2/routeTableAssociation:RouteTableAssociation": 4,
  "aws:ec2/securityGroup:SecurityGroup": 1,
};
const instances = (count: number, groups = count) => ({
  "pipress:aws:Instance": count,
  "aws:iam/role:Role": count,
  "aws:iam/rolePolicy:RolePolicy": count,
  "aws:iam/instanceProfile:InstanceProfile": count,
  "aws:ec2/launchTemplate:LaunchTemplate": count,
  "aws:autoscaling/group:Group": groups,
});

function only(resources: readonly Declared[], type: string, name?: string): Declared {
  const matches = resources.filter(
    (resource) => resource.type.endsWith(`:${type}`) && (name ?? resource.name) === resource.name,
  );
  expect(matches, type).toHaveLength(1);
  return matches[0] as Declared;
}

/** What each resource comes after, by type and name. */
const after = (resources: readonly Declared[]): Record<string, string[]> =>
  Object.fromEntries(
    resources.map(({ type, name, dependencies }) => [
      `${type.split(":").at(-1) ?? ""} ${name}`,
      dependencies,
    ]),
  );

const token = `hf_${"a".repeat(34)}`;
// Each takes a second of the mocks' time.
const gpu = await declare(["gpu"]);
const build = await declare(["build"]);
const everything = await declare(["gpu", "build"], config({ onDemand: true }), token);

describe("declareInstances", () => {
  it("declares a network and, for each instance that is needed, a role, a template and a group of at most one", () => {
    expect(counts(build)).toEqual({ ...network, ...instances(1) });
    expect(counts(gpu)).toEqual({ ...network, ...instances(1) });
    expect(counts(everything)).toEqual({ ...network, ...instances(2, 4), "aws:ssm/parameter:Parameter": 1 });
  });

  it("makes every part a child of its component, on the provider of its region", () => {
    const resources = gpu;
    const parents = Object.fromEntries(
      resources.map(({ type, name, parent }) => [`${type} ${name}`, parent]),
    );
    for (const [resource, parent] of Object.entries(parents)) {
      if (/^(pulumi|pipress):/.test(resource)) expect(parent).not.toBe("pipress-home-gpu");
      else expect(["pipress-home", "pipress-home-gpu"], resource).toContain(parent);
    }
    expect(only(resources, "Group").parent).toBe("pipress-home-gpu");
    expect(only(resources, "aws").inputs).toMatchObject({ region: "us-east-1" });
  });

  it("comes in the order that it needs: the network first, then what refers to it", () => {
    const subnets = ["a", "b", "c", "d"].map((zone) => `Subnet pipress-home-us-east-1${zone}`);
    const [vpc, table, role] = [
      "Vpc pipress-home",
      "RouteTable pipress-home",
      "Role pipress-home-gpu",
    ] as const;
    expect(after(gpu)).toEqual({
      "aws aws": [],
      "Network pipress-home": [],
      [vpc]: [],
      "InternetGateway pipress-home": [vpc],
      [table]: [vpc],
      "Route pipress-home-out": ["InternetGateway pipress-home", table],
      "VpcEndpoint pipress-home-s3": [table, vpc],
      ...Object.fromEntries(subnets.map((subnet) => [subnet, [vpc]])),
      ...Object.fromEntries(
        subnets.map((subnet) => [subnet.replace("Subnet", "RouteTableAssociation"), [table, subnet]]),
      ),
      "SecurityGroup pipress-home": [vpc],
      "Instance pipress-home-gpu": [],
      [role]: [],
      "RolePolicy pipress-home-gpu": [role],
      "InstanceProfile pipress-home-gpu": [role],
      "LaunchTemplate pipress-home-gpu": ["InstanceProfile pipress-home-gpu", "SecurityGroup pipress-home"],
      "Group pipress-home-gpu-spot": ["LaunchTemplate pipress-home-gpu", ...subnets],
    });
    expect(after(everything)["Instance pipress-home-build"]).toEqual(["Parameter pipress-home-token"]);
  });

  it("declares of the network and the role exactly this", () => {
    const [vpcId, routeTableId] = ["pipress-home-id", "pipress-home-id"];
    const [tags, anywhere] = [{ Name: "pipress-home" }, "0.0.0.0/0"];
    const inputs = (type: string, name: string) => only(gpu, type, name).inputs;
    expect(inputs("Vpc", "pipress-home")).toEqual({
      cidrBlock: "10.42.0.0/16",
      enableDnsHostnames: true,
      tags,
    });
    expect(inputs("InternetGateway", "pipress-home")).toEqual({ vpcId, tags });
    expect(inputs("RouteTable", "pipress-home")).toEqual({ vpcId, tags });
    expect(inputs("Route", "pipress-home-out")).toEqual({
      routeTableId,
      destinationCidrBlock: anywhere,
      gatewayId: "pipress-home-id",
    });
    expect(inputs("VpcEndpoint", "pipress-home-s3")).toEqual({
      vpcId,
      serviceName: "com.amazonaws.us-east-1.s3",
      routeTableIds: [routeTableId],
      tags,
    });
    for (const [index, zone] of ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"].entries()) {
      const name = `pipress-home-${zone}`;
      expect(inputs("Subnet", name)).toEqual({
        vpcId,
        availabilityZone: zone,
        cidrBlock: `10.42.${index}.0/24`,
        mapPublicIpOnLaunch: true,
        tags: { Name: name },
      });
      expect(inputs("RouteTableAssociation", name)).toEqual({ subnetId: `${name}-id`, routeTableId });
    }
    expect(inputs("Role", "pipress-home-gpu")).toEqual({
      assumeRolePolicy: JSON.stringify(assumedByEc2(commercial)),
    });
    expect(inputs("InstanceProfile", "pipress-home-gpu")).toEqual({ role: "pipress-home-gpu" });
    const policy = instancePolicy({
      store: { bucket: "models", prefix: "team/pipress" },
      queue: "home-3f9a01c2/gpu",
      stack: "home-3f9a01c2",
      partition: "aws",
      region: "us-east-1",
      groups: ["pipress-home-3f9a01c2-gpu-spot"],
    });
    expect(inputs("RolePolicy", "pipress-home-gpu")).toEqual({
      role: "pipress-home-gpu",
      policy: JSON.stringify(policy),
    });
  });

  it("asks for spot by a list of types, asleep until a job wants it, and never on demand without consent", () => {
    const group = only(gpu, "Group");
    expect(group.name).toBe("pipress-home-gpu-spot");
    expect(group.inputs).toMatchObject({
      name: "pipress-home-3f9a01c2-gpu-spot",
      minSize: 0,
      maxSize: 1,
      forceDelete: true,
    });
    expect(group.inputs).not.toHaveProperty("desiredCapacity");
    expect(group.inputs.mixedInstancesPolicy).toEqual({
      launchTemplate: {
        launchTemplateSpecification: { launchTemplateId: "pipress-home-gpu-id", version: "1" },
        overrides: ["g6e.2xlarge", "g6e.4xlarge", "g6e.xlarge", "g6e.8xlarge"].map((instanceType) => ({
          instanceType,
        })),
      },
      instancesDistribution: {
        onDemandBaseCapacity: 0,
        onDemandPercentageAboveBaseCapacity: 0,
        onDemandAllocationStrategy: "prioritized",
        spotAllocationStrategy: "price-capacity-optimized",
      },
    });
  });

  it("adds a group on demand, marked as consented to, where the configuration allows it", () => {
    const group = only(everything, "Group", "pipress-home-gpu-on-demand");
    expect(group.inputs.mixedInstancesPolicy).toMatchObject({
      instancesDistribution: { onDemandBaseCapacity: 0, onDemandPercentageAboveBaseCapacity: 100 },
    });
    expect(group.inputs.tags).toContainEqual({
      key: "pipress:on-demand-consent",
      value: "yes",
      propagateAtLaunch: true,
    });
  });

  it("names what an account has once by the stack's id, so that another stack of this name has its own", async () => {
    const other = await declared(() =>
      declareInstances({ ...argsOf(["gpu", "build"], config(), token), stack: "home-bbbbbbbb" }),
    );
    const names = (resources: readonly Declared[]) =>
      resources.flatMap(({ type, inputs }) =>
        /Group$|Parameter$/.test(type) && inputs.name !== undefined ? [inputs.name] : [],
      );
    expect(names(other)).toHaveLength(3);
    expect(names(other).filter((name) => names(everything).includes(name))).toEqual([]);
    // The state's names stay: an earlier version's resources are these.
    expect(other.map(({ name }) => name).sort()).toEqual(
      everything
        .map(({ name }) => name)
        .filter((name) => !name.endsWith("-on-demand"))
        .sort(),
    );
  });

  it("says on every group and instance after how many hours it is gone", () => {
    for (const { inputs } of everything.filter(({ type }) => type.endsWith(":Group")))
      expect(inputs.tags).toContainEqual({ key: "pipress:ttl-hours", value: "12", propagateAtLaunch: true });
    const { tagSpecifications } = only(gpu, "LaunchTemplate").inputs as { tagSpecifications: object[] };
    expect(tagSpecifications).toMatchObject(
      ["instance", "volume", "network-interface"].map((resourceType) => ({
        resourceType,
        tags: { "pipress:ttl-hours": "12", "pipress:instance": "gpu", "pipress:stack": "home-3f9a01c2" },
      })),
    );
  });

  it("closes the instance: IMDSv2 with one hop, encrypted disk, no key, no port, ended when it powers off", () => {
    const resources = build;
    const { inputs } = only(resources, "LaunchTemplate");
    expect(inputs).toMatchObject({
      imageId:
        "resolve:ssm:/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
      instanceInitiatedShutdownBehavior: "terminate",
      metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
      blockDeviceMappings: [
        { ebs: { encrypted: "true", deleteOnTermination: "true", volumeType: "gp3", volumeSize: 187 } },
      ],
      iamInstanceProfile: { name: "pipress-home-build" },
    });
    expect(inputs).not.toHaveProperty("keyName");
    const group = only(resources, "SecurityGroup").inputs;
    expect(group.ingress).toEqual([]);
    expect(group.egress).toEqual(
      [443, 80].map((port) => ({ protocol: "tcp", fromPort: port, toPort: port, cidrBlocks: ["0.0.0.0/0"] })),
    );
  });

  it("says nothing secret in user data; the token lies in the Parameter Store, for the instance that downloads alone", () => {
    const resources = everything;
    const parameter = only(resources, "Parameter");
    expect(parameter.inputs).toMatchObject({
      name: "/pipress/home-3f9a01c2/hugging-face-token",
      type: "SecureString",
    });
    const script = (instance: string) =>
      Buffer.from(
        String(only(resources, "LaunchTemplate", `pipress-home-${instance}`).inputs.userData),
        "base64",
      ).toString();
    expect(script("gpu") + script("build")).not.toContain(token);
    expect(script("build")).toContain('"tokenParameter":"/pipress/home-3f9a01c2/hugging-face-token"');
    expect(script("gpu")).not.toContain('tokenParameter":');
    const policy = (instance: string) =>
      String(only(resources, "RolePolicy", `pipress-home-${instance}`).inputs.policy);
    expect(policy("build")).toContain("parameter/pipress/home-3f9a01c2/hugging-face-token");
    expect(policy("gpu")).not.toContain("ssm:GetParameter");
    expect(script("build").length).toBeLessThan(16_384);
  });

  it("names China's partition and domain where the region is one of it", async () => {
    const china = await declared(() => declareInstances(argsOf(["gpu"])), {
      partition: { partition: "aws-cn", dnsSuffix: "amazonaws.com.cn" },
    });
    expect(only(china, "Role").inputs.assumeRolePolicy).toContain('"ec2.amazonaws.com.cn"');
    expect(String(only(china, "RolePolicy").inputs.policy)).not.toMatch(/arn:aws:/);
    const script = Buffer.from(String(only(china, "LaunchTemplate").inputs.userData), "base64").toString();
    expect(script).toContain("source_url='https://s3.us-east-1.amazonaws.com.cn/models/");
    expect(script).toContain("dns_suffix='amazonaws.com.cn'");
    expect(script).toContain('"dnsSuffix":"amazonaws.com.cn"');
  });

  it("passes its own policy pack", () => {
    expect(
      everything.flatMap(({ type, name, inputs }) =>
        rules.flatMap((rule) => rule.check(type, inputs).map((problem) => `${name}: ${problem}`)),
      ),
    ).toEqual([]);
  });
});
