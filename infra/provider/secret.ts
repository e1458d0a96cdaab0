import * as pulumi from "@pulumi/pulumi";

/** Inputs of a secret. */
export interface SecretArgs {
  /** Random bytes in it. Changing this makes a new secret. @default 32 */
  bytes?: pulumi.Input<number>;
}

/** A random value, made once, kept encrypted in the stack's state, and the same on every later `up`. */
export class Secret extends pulumi.CustomResource {
  /** The bytes in base64url, without padding; always secret. */
  declare readonly value: pulumi.Output<string>;

  constructor(name: string, args: SecretArgs = {}, options?: pulumi.CustomResourceOptions) {
    const inputs = { bytes: args.bytes ?? 32, value: undefined };
    super(
      "pipress:index:Secret",
      name,
      inputs,
      pulumi.mergeOptions({ additionalSecretOutputs: ["value"] }, options),
    );
  }
}
