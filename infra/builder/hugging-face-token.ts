import * as pulumi from "@pulumi/pulumi";
import { UserError } from "../../common/user-error.ts";
import { isConfigSecret } from "../config/is-config-secret.ts";

const key = "pipress:huggingFaceToken";

/** Stages that download, and so may need the token. */
const downloading = new Set(["fetch", "fetch-dataset"]);

/** The token as a stage's environment; empty for stages that download nothing. */
export function tokenEnvironment(
  stage: string,
  token: pulumi.Input<string> | undefined,
): Record<string, pulumi.Input<string>> {
  return token !== undefined && downloading.has(stage) ? { HF_TOKEN: token } : {};
}

/**
 * The token of a stack's configuration as a secret, so that the state holds it encrypted.
 * @throws UserError when it lies in the configuration in clear
 */
export function secretToken(token: string | undefined): pulumi.Output<string> | undefined {
  if (token === undefined) return undefined;
  if (isConfigSecret(key)) return pulumi.secret(token);
  throw new UserError({
    where: key,
    what: "is written in clear",
    remedy: "revoke it, make another, and set that with `config set --secret huggingFaceToken`",
  });
}
