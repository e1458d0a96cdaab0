import { InternetGateway } from "@pulumi/aws/ec2/internetGateway.js";
import { Route } from "@pulumi/aws/ec2/route.js";
import { RouteTable } from "@pulumi/aws/ec2/routeTable.js";
import { RouteTableAssociation } from "@pulumi/aws/ec2/routeTableAssociation.js";
import { SecurityGroup } from "@pulumi/aws/ec2/securityGroup.js";
import { Subnet } from "@pulumi/aws/ec2/subnet.js";
import { Vpc } from "@pulumi/aws/ec2/vpc.js";
import { VpcEndpoint } from "@pulumi/aws/ec2/vpcEndpoint.js";
import * as pulumi from "@pulumi/pulumi";

/** Inputs of a network. */
export interface NetworkArgs {
  region: string;
  /** Availability zones: the more, the sooner there is a spot instance free. */
  zones: readonly string[];
}

/**
 * A network in which instances reach AWS and package registries, and nothing reaches them: no port is open inward. Subnets are
 * public because a NAT gateway would cost more than the instances' addresses; traffic to the bucket goes through a gateway
 * endpoint, which is free.
 */
export class Network extends pulumi.ComponentResource {
  readonly subnetIds: pulumi.Output<string>[];
  readonly securityGroupId: pulumi.Output<string>;

  constructor(name: string, { region, zones }: NetworkArgs, options?: pulumi.ComponentResourceOptions) {
    super("pipress:aws:Network", name, {}, options);
    const parent = { parent: this };
    const tags = { Name: name };
    const vpc = new Vpc(name, { cidrBlock: "10.42.0.0/16", enableDnsHostnames: true, tags }, parent);
    const gateway = new InternetGateway(name, { vpcId: vpc.id, tags }, parent);
    const table = new RouteTable(name, { vpcId: vpc.id, tags }, parent);
    new Route(
      `${name}-out`,
      { routeTableId: table.id, destinationCidrBlock: "0.0.0.0/0", gatewayId: gateway.id },
      parent,
    );
    new VpcEndpoint(
      `${name}-s3`,
      { vpcId: vpc.id, serviceName: `com.amazonaws.${region}.s3`, routeTableIds: [table.id], tags },
      parent,
    );
    const subnets = zones.map((zone, index) => {
      const subnet = new Subnet(
        `${name}-${zone}`,
        {
          vpcId: vpc.id,
          availabilityZone: zone,
          cidrBlock: `10.42.${index}.0/24`,
          mapPublicIpOnLaunch: true,
          tags: { Name: `${name}-${zone}` },
        },
        parent,
      );
      new RouteTableAssociation(`${name}-${zone}`, { subnetId: subnet.id, routeTableId: table.id }, parent);
      return subnet;
    });
    const group = new SecurityGroup(
      name,
      {
        vpcId: vpc.id,
        description: "pipress instances: nothing comes in, HTTP and HTTPS go out",
        ingress: [],
        egress: [443, 80].map((port) => ({
          protocol: "tcp",
          fromPort: port,
          toPort: port,
          cidrBlocks: ["0.0.0.0/0"],
        })),
        tags,
      },
      parent,
    );
    this.subnetIds = subnets.map(({ id }) => id);
    this.securityGroupId = group.id;
    this.registerOutputs({ subnetIds: this.subnetIds, securityGroupId: this.securityGroupId });
  }
}
