import * as pulumi from "@pulumi/pulumi";
import { UserError } from "../common/user-error.ts";
import { fleetStack } from "./fleet.ts";

/** Stacks by what `pipress:kind` says they are. */
async function chosenStack(): Promise<Record<string, unknown>> {
  if (pulumi.runtime.allConfig()["pipress:kind"] !== "artifacts") return fleetStack();
  const { artifactsStack } = await import("./artifacts.ts"); // the AWS package takes a while to load
  return artifactsStack();
}

/** What Pulumi runs. A user's mistake ends as its message alone, anything else with its stack trace. */
async function main(): Promise<Record<string, unknown>> {
  try {
    return await chosenStack();
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const mistake = new pulumi.RunError(error.message);
    // The SDK inspects the error with colours, which in Node 20 takes half a minute on a stack that names node_modules.
    mistake.stack = mistake.message;
    throw mistake;
  }
}

export default main;
