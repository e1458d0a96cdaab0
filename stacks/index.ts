import * as pulumi from "@pulumi/pulumi";
import { UserError } from "../infra/errors/user-error.ts";
import { fleetStack } from "./fleet.ts";

/** What Pulumi runs. A user's mistake ends as its message alone, anything else with its stack trace. */
async function main(): Promise<Record<string, unknown>> {
  try {
    return await fleetStack();
  } catch (error) {
    if (error instanceof UserError) throw new pulumi.RunError(error.message);
    throw error;
  }
}

export default main;
