import * as pulumi from "@pulumi/pulumi";
import { MockMonitor } from "@pulumi/pulumi/runtime/mocks.js";
import { vi } from "vitest";

/** A resource as a program registered it with Pulumi's mocks. */
export interface Declared {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
  /** Name of the resource it is a child of; empty at the top. */
  parent: string;
  /** What it comes after, as `Vpc pipress-home`, in order. */
  dependencies: string[];
  protect: boolean;
  retainOnDelete: boolean;
  ignoreChanges: string[];
  /** Names that it may have in a stack's state. */
  aliases: string[];
  /** The resource whose end is its own, without a removal; empty where there is none. */
  deletedWith: string;
}

/** The parts of a registration that mocks do not hand on. */
interface Registration {
  getName(): string;
  getType(): string;
  getParent(): string;
  getDependenciesList(): string[];
  getProtect(): boolean;
  getRetainondelete(): boolean;
  getIgnorechangesList(): string[];
  getAliasesList(): { getSpec(): { getName(): string } | undefined }[];
  getDeletedwith(): string;
}

// The SDK has this function but not in its types.
const { waitForRPCs } = pulumi.runtime as unknown as { waitForRPCs: () => Promise<void> };

const nameOf = (urn: string): string => urn.split("::").at(-1) ?? "";
const typeOf = (urn: string): string => urn.split("::").at(-2)?.split(":").at(-1) ?? "";

const commercial = { partition: "aws", dnsSuffix: "amazonaws.com" };

/**
 * Runs a program with Pulumi's mocks and returns what it declares, in the order of declaration.
 * @param outputs of resources by their type, besides their inputs
 */
export async function declared(
  program: () => unknown,
  { outputs = {}, partition = commercial }: { outputs?: Record<string, object>; partition?: object } = {},
): Promise<Declared[]> {
  const resources: Declared[] = [];
  const inputs = new Map<string, Record<string, unknown>>();
  const registered: Registration[] = [];
  const register = MockMonitor.prototype.registerResource;
  const spy = vi.spyOn(MockMonitor.prototype, "registerResource").mockImplementation(function (
    this: MockMonitor,
    request: Registration,
    callback,
  ) {
    registered.push(request);
    return register.call(this, request, callback);
  });
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs: given }) => {
        inputs.set(`${type} ${name}`, given as Record<string, unknown>);
        return {
          id: `${name}-id`,
          state: { name, ...given, arn: `arn:${name}`, latestVersion: 1, ...outputs[type] },
        };
      },
      call: ({ token }) => {
        if (token === "aws:index/getPartition:getPartition") return partition;
        if (token !== "aws:index/getAvailabilityZones:getAvailabilityZones") return {};
        return { names: ["a", "b", "c", "d", "e"].map((zone) => `us-east-1${zone}`), zoneIds: [] };
      },
    },
    "pipress",
    "home",
  );
  await program();
  await waitForRPCs();
  spy.mockRestore();
  for (const request of registered) {
    const [type, name] = [request.getType(), request.getName()];
    resources.push({
      type,
      name,
      inputs: inputs.get(`${type} ${name}`) ?? {},
      parent: nameOf(request.getParent()),
      dependencies: request
        .getDependenciesList()
        .map((urn) => `${typeOf(urn)} ${nameOf(urn)}`)
        .sort(),
      protect: request.getProtect(),
      retainOnDelete: request.getRetainondelete(),
      ignoreChanges: request.getIgnorechangesList(),
      aliases: request.getAliasesList().map((alias) => alias.getSpec()?.getName() ?? ""),
      deletedWith: nameOf(request.getDeletedwith()),
    });
  }
  return resources;
}

/** How many resources there are of each type. */
export function counts(resources: readonly Declared[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { type } of resources) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
}
