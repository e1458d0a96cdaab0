import { Bucket } from "@pulumi/aws/s3/bucket.js";
import { BucketLifecycleConfiguration } from "@pulumi/aws/s3/bucketLifecycleConfiguration.js";
import { BucketOwnershipControls } from "@pulumi/aws/s3/bucketOwnershipControls.js";
import { BucketPolicy } from "@pulumi/aws/s3/bucketPolicy.js";
import { BucketPublicAccessBlock } from "@pulumi/aws/s3/bucketPublicAccessBlock.js";
import { BucketServerSideEncryptionConfiguration } from "@pulumi/aws/s3/bucketServerSideEncryptionConfiguration.js";
import { BucketVersioning } from "@pulumi/aws/s3/bucketVersioning.js";
import * as pulumi from "@pulumi/pulumi";
import { tlsOnly } from "./bucket-policy.ts";

/** Inputs of the bucket. */
export interface ArtifactBucketArgs {
  bucket: string;
  /** Below which everything of ours lies. */
  prefix: string;
  /** How long what was removed or replaced can be brought back, seconds. */
  keepRemoved: number;
}

/** Job queues hold nothing that is worth keeping for longer: logs, and the code that instances ran. */
const queueDays = 90;
/** An upload that nobody completed within this is nobody's. */
const uploadDays = 7;

/**
 * A bucket for artifacts: versioned, encrypted, private, reached over TLS alone. It is protected, and stays even when its stack
 * is destroyed: nothing else is kept anywhere.
 */
export class ArtifactBucket extends pulumi.ComponentResource {
  readonly arn: pulumi.Output<string>;

  constructor(name: string, args: ArtifactBucketArgs, options?: pulumi.ComponentResourceOptions) {
    super("pipress:aws:ArtifactBucket", name, {}, options);
    const parent = { parent: this };
    const made = new Bucket(
      name,
      { bucket: args.bucket },
      { ...parent, protect: true, retainOnDelete: true },
    );
    const bucket = made.id;
    const versioning = new BucketVersioning(
      name,
      { bucket, versioningConfiguration: { status: "Enabled" } },
      parent,
    );
    new BucketServerSideEncryptionConfiguration(
      name,
      { bucket, rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
      parent,
    );
    const closed = new BucketPublicAccessBlock(
      name,
      {
        bucket,
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      },
      parent,
    );
    new BucketOwnershipControls(name, { bucket, rule: { objectOwnership: "BucketOwnerEnforced" } }, parent);
    new BucketPolicy(
      name,
      { bucket, policy: made.arn.apply((arn) => JSON.stringify(tlsOnly(arn))) },
      { ...parent, dependsOn: closed },
    );
    new BucketLifecycleConfiguration(
      name,
      { bucket, rules: lifecycleRules(args) },
      { ...parent, dependsOn: versioning },
    );
    this.arn = made.arn;
    this.registerOutputs({ arn: this.arn });
  }
}

/** What disappears by itself: versions that were replaced, uploads that were given up, and job queues. No artifact does. */
function lifecycleRules({ prefix, keepRemoved }: ArtifactBucketArgs) {
  return [
    {
      id: "removed",
      status: "Enabled",
      filter: { prefix: "" },
      noncurrentVersionExpiration: { noncurrentDays: Math.max(1, Math.round(keepRemoved / 86_400)) },
      abortIncompleteMultipartUpload: { daysAfterInitiation: uploadDays },
    },
    {
      id: "job-queues",
      status: "Enabled",
      filter: { prefix: `${prefix}/boxes/` },
      expiration: { days: queueDays },
    },
  ];
}
