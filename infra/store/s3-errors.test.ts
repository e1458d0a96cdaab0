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

  const explained = (error: unknown, changes: object = {}) =>
    (explainS3Error(error, { ...address, ...changes }, "s3:GetObject", "s3://b/p/x") as Error).message;

  it("knows each of the ways in which credentials are over, or wrong", () => {
    for (const name of ["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"])
      expect(explained(refusal(name, 400)), name).toContain("have expired");
    for (const text of ["The token has expired", "Your SSO session is expired", "Expired session"])
      expect(explained(refusal("Other", undefined, text)), text).toContain("have expired");
    for (const name of [
      "InvalidAccessKeyId",
      "SignatureDoesNotMatch",
      "InvalidToken",
      "InvalidClientTokenId",
    ])
      expect(explained(refusal(name, 403)), name).toContain(`are refused (${name})`);
  });

  it("takes no other name for one of these", () => {
    for (const name of ["XExpiredToken", "ExpiredTokenX", "XInvalidToken", "InvalidTokenX"])
      expect(explained(refusal(name, 400)), name).toContain(`failed: ${name}`);
    for (const code of ["XECONNREFUSED", "ENOTFOUNDX"]) {
      const error = Object.assign(new Error("x"), { code });
      expect(explainS3Error(error, address, "a", "b")).toBe(error);
    }
  });

  it("goes by the status where a server has names of its own", () => {
    expect(explained(refusal("Forbidden", 403))).toContain("may not do s3:GetObject on s3://b/p/x");
    expect(explained(refusal("AccessDenied"))).toContain("may not do s3:GetObject");
    expect(explained(refusal("Moved", 301))).toContain("in another region");
    expect(explained(refusal("PermanentRedirect"))).toContain("in another region");
  });

  it("finds why there is no connection, however deep, and names the server that it is about", () => {
    const codes = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "ECONNRESET", "ETIMEDOUT"];
    for (const code of codes)
      expect(explained(Object.assign(new AggregateError([]), { code }))).toBe(
        `s3://b/p: AWS cannot be reached (${code}) — check the network and the store's endpoint`,
      );
    const deep = new Error("x", { cause: { code: "ECONNREFUSED" } });
    expect(explained(deep, { endpoint: "http://h:9", prefix: "" })).toMatch(/^s3:\/\/b: http:\/\/h:9 cannot/);
    expect(explained(refusal("TimeoutError"))).toContain("AWS cannot be reached (TimeoutError)");
  });

  it("leaves what is no error, and an error without a name, as they are", () => {
    for (const thing of ["text", undefined, new Error("x")])
      expect(explainS3Error(thing, address, "s3:GetObject", "x")).toBe(thing);
    expect(explained(refusal("Error", 500))).toMatch(/failed: {2}said the server/);
  });

  it("leaves what is no answer of S3 as it is", () => {
    const bug = new TypeError("undefined is not a function");
    expect(explainS3Error(bug, address, "s3:GetObject", "x")).toBe(bug);
  });
});
