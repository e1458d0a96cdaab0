import type * as pulumi from "@pulumi/pulumi";
import type { StackConfig } from "../config/schema.ts";
import type { Builder } from "../stage/builder.ts";
import { LocalBuilder } from "./local-builder.ts";
import { SshBuilder } from "./ssh-builder.ts";

/**
 * The builder that a stack's configuration asks for.
 * @param huggingFaceToken given to the stages that download, through their environment alone
 */
export function makeBuilder(
  { builder }: StackConfig,
  huggingFaceToken: pulumi.Output<string> | undefined,
): Builder {
  return builder?.ssh === undefined
    ? new LocalBuilder(huggingFaceToken)
    : new SshBuilder(builder.ssh, huggingFaceToken);
}
