import { describe, expect, it } from "vitest";
import { counts, declared, type Declared } from "../builder/aws/testing/declared.ts";
import { rules } from "../policy-pack/rules.ts";
import { ArtifactBucket } from "./artifact-bucket.ts";

const resources = await declared(
  () => new ArtifactBucket("artifacts", { bucket: "models", prefix: "pipress", keepRemoved: 30 * 86_400 }),
);
const one = (type: string): Declared =>
  resources.find((resource) => resource.type.endsWith(`:${type}`)) ?? ({ inputs: {} } as Declared);

describe("ArtifactBucket", () => {
  it("is one bucket with everything that keeps it closed and its objects retrievable", () => {
    expect(counts(resources)).toEqual({
      "pipress:aws:ArtifactBucket": 1,
      "aws:s3/bucket:Bucket": 1,
      "aws:s3/bucketVersioning:BucketVersioning": 1,
      "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": 1,
      "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": 1,
      "aws:s3/bucketOwnershipControls:BucketOwnershipControls": 1,
      "aws:s3/bucketPolicy:BucketPolicy": 1,
      "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": 1,
    });
    for (const { type, parent } of resources)
      if (type !== "pipress:aws:ArtifactBucket") expect(parent).toBe("artifacts");
  });

  it("closes the bucket before its policy is set, and versions it before versions expire", () => {
    const after = Object.fromEntries(
      resources.map(({ type, dependencies }) => [type.split(":").at(-1) ?? "", dependencies]),
    );
    const bucket = "Bucket artifacts";
    expect(after).toEqual({
      ArtifactBucket: [],
      Bucket: [],
      BucketVersioning: [bucket],
      BucketServerSideEncryptionConfiguration: [bucket],
      BucketPublicAccessBlock: [bucket],
      BucketOwnershipControls: [bucket],
      BucketPolicy: [bucket, "BucketPublicAccessBlock artifacts"],
      BucketLifecycleConfiguration: [bucket, "BucketVersioning artifacts"],
    });
  });

  it("survives its stack: protected, and left where it is when nobody protects it any more", () => {
    expect(one("Bucket")).toMatchObject({
      protect: true,
      retainOnDelete: true,
      inputs: { bucket: "models" },
    });
    expect(one("Bucket").inputs).not.toHaveProperty("forceDestroy");
  });

  it("is versioned, encrypted, private and reached over TLS alone", () => {
    expect(one("BucketVersioning").inputs).toMatchObject({ versioningConfiguration: { status: "Enabled" } });
    expect(one("BucketServerSideEncryptionConfiguration").inputs.rules).toEqual([
      { applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } },
    ]);
    expect(one("BucketPublicAccessBlock").inputs).toMatchObject({
      blockPublicAcls: true,
      blockPublicPolicy: true,
      ignorePublicAcls: true,
      restrictPublicBuckets: true,
    });
    expect(JSON.parse(String(one("BucketPolicy").inputs.policy))).toMatchObject({
      Statement: [{ Effect: "Deny", Resource: ["arn:artifacts", "arn:artifacts/*"] }],
    });
  });

  it("lets go of what was removed, of uploads that were given up and of old job queues, and of no artifact", () => {
    expect(one("BucketLifecycleConfiguration").inputs.rules).toEqual([
      {
        id: "removed",
        status: "Enabled",
        filter: { prefix: "" },
        noncurrentVersionExpiration: { noncurrentDays: 30 },
        abortIncompleteMultipartUpload: { daysAfterInitiation: 7 },
      },
      { id: "job-queues", status: "Enabled", filter: { prefix: "pipress/boxes/" }, expiration: { days: 90 } },
    ]);
  });

  it("passes the policy pack", () => {
    expect(
      resources.flatMap(({ type, inputs }) => rules.flatMap(({ check }) => check(type, inputs))),
    ).toEqual([]);
  });
});
