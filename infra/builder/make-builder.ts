import type * as pulumi from "@pulumi/pulumi";
import type { StackConfig } from "../config/schema.ts";
import type { Builder } from "../stage/builder.ts";
import { LocalBuilder } from "./local-builder.ts";

/**
 * The builder that a stack's configuration asks for.
 * @param huggingFaceToken given to the stages that download, through their environment alone
 */
export async function makeBuilder(
  { builder }: StackConfig,
  huggingFaceToken: pulumi.Output<string> | undefined,
): Promise<Builder> {
  if (builder?.ssh === undefined) return new LocalBuilder(huggingFaceToken);
  const { SshBuilder } = await import("./ssh-builder.ts"); // brings what SSH needs
  return new SshBuilder(builder.ssh, huggingFaceToken);
}
