import { describe, expect, it } from "vitest";
import { assumedByEc2, instancePolicy } from "./policies.ts";

const args = {
  store: { bucket: "models", prefix: "team/pipress" },
  queue: "home/gpu",
  stack: "home",
  partition: "aws",
  region: "eu-central-1",
  groups: ["pipress-home-gpu-spot"],
};
const prefix = "arn:aws:s3:::models/team/pipress";

describe("instancePolicy", () => {
  it("allows exactly this", () => {
    const allowed = instancePolicy(args).Statement.map(({ Effect, Action, Resource, Condition }) => [
      Effect,
      [Action].flat(),
      [Resource].flat(),
      Condition,
    ]);
    expect(allowed).toEqual([
      ["Allow", ["s3:GetObject"], [`${prefix}/artifacts/*`, `${prefix}/boxes/home/source/*`], undefined],
      [
        "Allow",
        ["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
        [`${prefix}/artifacts/*`],
        undefined,
      ],
      ["Allow", ["s3:DeleteObject"], [`${prefix}/artifacts/*/*/*`], undefined],
      [
        "Allow",
        ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
        [`${prefix}/boxes/home/gpu/*`],
        undefined,
      ],
      [
        "Allow",
        ["s3:ListBucket"],
        ["arn:aws:s3:::models"],
        { StringLike: { "s3:prefix": ["team/pipress/artifacts/*", "team/pipress/boxes/home/*"] } },
      ],
      [
        "Allow",
        ["autoscaling:TerminateInstanceInAutoScalingGroup"],
        ["arn:aws:autoscaling:eu-central-1:*:autoScalingGroup:*:autoScalingGroupName/pipress-home-gpu-spot"],
        undefined,
      ],
      [
        "Allow",
        [
          "ssm:UpdateInstanceInformation",
          "ssmmessages:CreateControlChannel",
          "ssmmessages:CreateDataChannel",
          "ssmmessages:OpenControlChannel",
          "ssmmessages:OpenDataChannel",
        ],
        ["*"],
        undefined,
      ],
    ]);
  });

  it("adds its own token, and no other parameter", () => {
    const more = instancePolicy({ ...args, tokenParameter: "/pipress/home/hugging-face-token" }).Statement;
    expect(more.slice(0, -1)).toEqual(instancePolicy(args).Statement);
    expect(more.at(-1)).toMatchObject({
      Action: "ssm:GetParameter",
      Resource: "arn:aws:ssm:eu-central-1:*:parameter/pipress/home/hugging-face-token",
    });
  });

  it.each(["aws-cn", "aws-us-gov"])("names everything in the partition %s", (partition) => {
    const { Statement } = instancePolicy({ ...args, partition, tokenParameter: "/x" });
    const arns = Statement.flatMap(({ Resource }) => Resource).filter((arn) => arn !== "*");
    expect(arns.filter((arn) => !arn.startsWith(`arn:${partition}:`))).toEqual([]);
  });

  it("has no action with a star in it", () => {
    const actions = instancePolicy({ ...args, tokenParameter: "/x" }).Statement.flatMap(
      ({ Action }) => Action,
    );
    expect(actions.filter((action) => action.includes("*"))).toEqual([]);
  });
});

it("the role is for EC2 instances alone", () => {
  expect(assumedByEc2({ dnsSuffix: "amazonaws.com" }).Statement).toEqual([
    { Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "ec2.amazonaws.com" } },
  ]);
});
