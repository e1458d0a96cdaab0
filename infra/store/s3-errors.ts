import { UserError } from "../../common/user-error.ts";
import type { S3Address } from "./s3-address.ts";

const credentials = "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
const expired = /^(ExpiredToken|ExpiredTokenException|TokenRefreshRequired|RequestExpired)$/;
const refused = /^(InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|InvalidClientTokenId)$/;
const unreachable = /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ECONNRESET|ETIMEDOUT|TimeoutError)$/;

/** What a failed request to a bucket means to a user; any other error comes back as it is. */
export function explainS3Error(error: unknown, address: S3Address, action: string, thing: string): unknown {
  if (!(error instanceof Error)) return error;
  const { code, cause } = error as { code?: string; cause?: { code?: string } };
  const names = [error.name, code, cause?.code];
  const name = names.find((text) => text !== "Error" && text !== "AggregateError" && text) ?? "";
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
  const store = `s3://${[address.bucket, address.prefix].filter(Boolean).join("/")}`;
  const problem = (what: string, remedy: string) => new UserError({ where: store, what, remedy });

  if (name === "NoSuchBucket")
    return problem(`there is no bucket ${address.bucket}`, "make it, or mend `store` in the configuration");
  if (expired.test(name) || /token.*expired|session.*expired|expired.*session/i.test(error.message))
    return problem(
      "the credentials have expired",
      "sign in again (`aws sso login`, or new session keys), then run the same command again",
    );
  if (name === "CredentialsProviderError") return problem("there are no credentials for it", credentials);
  if (refused.test(name)) return problem(`the credentials are refused (${name})`, credentials);
  if (name === "AccessDenied" || status === 403)
    return problem(
      `the credentials may not do ${action} on ${thing}`,
      `grant it; a plan needs s3:GetObject on ${store}/* and s3:ListBucket on the bucket, \`store gc\` also s3:DeleteObject`,
    );
  if (name === "PermanentRedirect" || status === 301)
    return problem(`the bucket ${address.bucket} is in another region`, "add ?region=… to the store's URL");
  if (unreachable.test(name))
    return problem(
      `${address.endpoint ?? "AWS"} cannot be reached (${name})`,
      "check the network and the store's endpoint",
    );
  if (status !== undefined)
    return problem(
      `${action} on ${thing} failed: ${name} ${error.message}`,
      "run the same command again later",
    );
  return error;
}
