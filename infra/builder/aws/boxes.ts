import { getAvailabilityZones } from "@pulumi/aws/getAvailabilityZones.js";
import { Provider } from "@pulumi/aws/provider.js";
import { Parameter } from "@pulumi/aws/ssm/parameter.js";
import type * as pulumi from "@pulumi/pulumi";
import type { AwsBuilderConfig } from "../../config/aws-schema.ts";
import { parseS3Url } from "../../store/s3-address.ts";
import type { Boxes } from "../aws-builder.ts";
import { instanceNames, type InstanceName } from "../../stage/instance-for.ts";
import { Box } from "./box.ts";
import { deskName, groupKinds, groupName, tokenParameterName } from "./names.ts";
import { Network } from "./network.ts";
import { boxPolicy } from "./policies.ts";
import { boxSettings, userData, type BoxCode } from "./user-data.ts";

/** What a stack's boxes are declared from. */
export interface BoxesArgs {
  aws: AwsBuilderConfig;
  stack: string;
  /** URL of the bucket, `s3://…`. */
  store: string;
  needed: ReadonlySet<InstanceName>;
  code: BoxCode;
  huggingFaceToken: pulumi.Output<string> | undefined;
}

/** Zones to look for a free instance in; more of them bring little. */
const maxZones = 4;

/** Declares network, roles and boxes, and the token in the Parameter Store where the box that downloads needs one. */
export async function declareBoxes(args: BoxesArgs): Promise<Boxes> {
  const { aws, stack, store, needed, code, huggingFaceToken } = args;
  const provider = new Provider("aws", {
    region: aws.region,
    defaultTags: { tags: { "pipress:stack": stack } },
  });
  const zones = await getAvailabilityZones(
    { state: "available", filters: [{ name: "opt-in-status", values: ["opt-in-not-required"] }] },
    { provider },
  );
  const name = `pipress-${stack}`;
  const providers = [provider];
  const network = new Network(
    name,
    { region: aws.region, zones: zones.names.slice(0, maxZones) },
    { providers },
  );
  const token =
    huggingFaceToken !== undefined && needed.has("build")
      ? new Parameter(
          `${name}-token`,
          { name: tokenParameterName(stack), type: "SecureString", value: huggingFaceToken },
          { provider },
        )
      : undefined;
  const declared = instanceNames
    .filter((box) => needed.has(box))
    .map((box): [InstanceName, Box] => {
      const hasToken = box === "build" && token !== undefined;
      const kinds = groupKinds.filter((kind) => kind === "spot" || aws.onDemand);
      const boxArgs = {
        box,
        stack,
        types: aws[box].types,
        diskBytes: aws[box].disk,
        kinds,
        policy: boxPolicy({
          store: parseS3Url(store),
          desk: deskName(stack, box),
          stack,
          region: aws.region,
          groups: kinds.map((kind) => groupName(stack, box, kind)),
          tokenParameter: hasToken ? tokenParameterName(stack) : undefined,
        }),
        userData: userData(boxSettings(aws, stack, store, box, hasToken), code),
        maxHours: aws.maxHours,
        network,
      };
      return [box, new Box(`${name}-${box}`, boxArgs, { providers, dependsOn: hasToken ? [token] : [] })];
    });
  return Object.fromEntries(declared);
}
