import { expect, it } from "vitest";
import { tlsOnly } from "./bucket-policy.ts";

it("the bucket is reached over TLS or not at all, and its policy allows nobody anything", () => {
  const { Statement } = tlsOnly("arn:aws:s3:::models");
  expect(Statement).toMatchObject([
    {
      Effect: "Deny",
      Principal: "*",
      Action: "s3:*",
      Resource: ["arn:aws:s3:::models", "arn:aws:s3:::models/*"],
      Condition: { Bool: { "aws:SecureTransport": "false" } },
    },
  ]);
});
