import { describe, expect, it } from "vitest";
import { explainS3Error } from "./s3-errors.ts";

const address = { bucket: "b", prefix: "p", endpoint: undefined, region: undefined };

/** An error as the SDK throws it. */
function refusal(name: string, status?: number, message = "said the server"): Error {
  return Object.assign(new Error(message), { name, $metadata: { httpStatusCode: status } });
}

describe("explainS3Error", () => {
  it.each([
    [refusal("ExpiredToken", 400), "s3://b/p: the credentials have expired — sign in again (`aws sso login`"],
    [refusal("CredentialsProviderError", undefined, "Token is expired"), "the credentials have expired"],
    [refusal("CredentialsProviderError"), "there are no credentials for it — set AWS_PROFILE"],
    [refusal("InvalidAccessKeyId", 403), "are refused (InvalidAccessKeyId)"],
    [refusal("AccessDenied", 403), "may not do s3:GetObject on s3://b/p/x — grant it; a plan needs"],
    [refusal("PermanentRedirect", 301), "the bucket b is in another region — add ?region="],
    [refusal("NoSuchBucket", 404), "there is no bucket b — make it"],
    [Object.assign(new Error("x"), { code: "ENOTFOUND" }), "AWS cannot be reached (ENOTFOUND)"],
    [refusal("SlowDown", 503), "s3:GetObject on s3://b/p/x failed: SlowDown said the server"],
  ])("%s", (error, message) => {
    expect((explainS3Error(error, address, "s3:GetObject", "s3://b/p/x") as Error).message).toContain(
      message,
    );
  });

  it("leaves what is no answer of S3 as it is", () => {
    const bug = new TypeError("undefined is not a function");
    expect(explainS3Error(bug, address, "s3:GetObject", "x")).toBe(bug);
  });
});
