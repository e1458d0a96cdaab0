/** IAM documents as data: what an instance's role may do, and nothing else. */
import type { PolicyDocument, Statement } from "../../store/bucket-policy.ts";
import type { S3Address } from "../../store/s3-address.ts";

/** Which AWS a region belongs to: China and GovCloud have ARNs, and China a domain, of their own. */
export interface Partition {
  /** `aws`, `aws-cn`, `aws-us-gov`. */
  partition: string;
  /** `amazonaws.com`, `amazonaws.com.cn`. */
  dnsSuffix: string;
}

/** Lets EC2 give the role to an instance. */
export function assumedByEc2({ dnsSuffix }: Pick<Partition, "dnsSuffix">) {
  return {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: `ec2.${dnsSuffix}` } }],
  };
}

export interface InstancePolicyArgs {
  store: Pick<S3Address, "bucket" | "prefix">;
  /** The instance's queue in the bucket, `home-3f9a01c2/gpu`. */
  queue: string;
  stack: string;
  partition: string;
  region: string;
  groups: readonly string[];
  /** Of the parameter with a token; undefined for an instance that needs none. */
  tokenParameter?: string | undefined;
}

/** What an instance may do: artifacts and its own queue below its own prefix, its own end, its own token, and Session Manager. */
export function instancePolicy(args: InstancePolicyArgs): PolicyDocument {
  const { store, queue, stack, partition, region, groups, tokenParameter } = args;
  const bucket = `arn:${partition}:s3:::${store.bucket}`;
  const below = (path: string) => `${bucket}/${store.prefix}/${path}`;
  const statements = [
    allow("ReadArtifactsAndCode", "s3:GetObject", [below("artifacts/*"), below(`boxes/${stack}/source/*`)]),
    allow(
      "WriteArtifacts",
      ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
      below("artifacts/*"),
    ),
    // Two slashes below artifacts/: the files of an attempt that lost, never a manifest.
    allow("RemoveLostAttempts", "s3:DeleteObject", below("artifacts/*/*/*")),
    allow("OwnQueue", ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], below(`boxes/${queue}/*`)),
    {
      // Without it S3 answers "forbidden" where it should say "no such object".
      ...allow("ListOwnPrefix", "s3:ListBucket", bucket),
      Condition: {
        StringLike: { "s3:prefix": [`${store.prefix}/artifacts/*`, `${store.prefix}/boxes/${stack}/*`] },
      },
    },
    allow(
      "EndItself",
      "autoscaling:TerminateInstanceInAutoScalingGroup",
      groups.map(
        (name) => `arn:${partition}:autoscaling:${region}:*:autoScalingGroup:*:autoScalingGroupName/${name}`,
      ),
    ),
    // What AmazonSSMManagedInstanceCore grants for Session Manager, without reading every parameter of the account.
    allow(
      "SessionManager",
      [
        "ssm:UpdateInstanceInformation",
        "ssmmessages:CreateControlChannel",
        "ssmmessages:CreateDataChannel",
        "ssmmessages:OpenControlChannel",
        "ssmmessages:OpenDataChannel",
      ],
      "*",
    ),
  ];
  if (tokenParameter !== undefined)
    statements.push(
      allow("OwnToken", "ssm:GetParameter", `arn:${partition}:ssm:${region}:*:parameter${tokenParameter}`),
    );
  return { Version: "2012-10-17", Statement: statements };
}

function allow(Sid: string, Action: string | string[], Resource: string | string[]): Statement {
  return { Sid, Effect: "Allow", Action, Resource };
}
