import * as pulumi from "@pulumi/pulumi";

/**
 * Tells this stack from every other, also from one of the same name on another backend: what a stack has on a shared
 * machine, bucket or account carries it. Made once and kept in the stack's state.
 */
export class StackId extends pulumi.CustomResource {
  /** Eight hex digits, e.g. `3f9a01c2`; no secret. */
  declare readonly value: pulumi.Output<string>;

  constructor(name: string, options?: pulumi.CustomResourceOptions) {
    super("pipress:index:StackId", name, { value: undefined }, options);
  }
}
