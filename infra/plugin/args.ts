import type * as pulumi from "@pulumi/pulumi";

/** What a program passes for the inputs of a resource: at every depth the value, or an output that becomes it. */
export type Args<Inputs> = { [Key in keyof Inputs]: Arg<Inputs[Key]> };

type Arg<Value> = pulumi.Input<
  Value extends readonly (infer Item)[] ? Arg<Item>[] : Value extends object ? Args<Value> : Value
>;
