/**
 * For tests only: stands in for the provider of the package `aws` on the real engine. It remembers what it is given, as the
 * engine's state, and touches nothing. It proves what a program declares and what the engine does with it, not what AWS says.
 */
import { createHash } from "node:crypto";
import { diffProps } from "../../../../plugin/detailed-diff.ts";
import type { Props, ResourceHandler } from "../../../../plugin/handler.ts";
import { serve } from "../../../../plugin/serve.ts";

const anything: ResourceHandler = {
  diff: ({ inputs }, news) => ({ changes: diffProps(inputs, news) }),
  create: (inputs, { urn, name }) => {
    const id = `${name}-${createHash("sha256").update(urn).digest("hex").slice(0, 8)}`;
    return Promise.resolve({ id, state: outputs(inputs, id) });
  },
  update: ({ id }, news) => Promise.resolve(outputs(news, id)),
};

function outputs(inputs: Props, id: string): Props {
  return { name: id, ...inputs, arn: `arn:aws:stand-in:::${id}`, latestVersion: 1 };
}

await serve({
  name: "aws",
  version: "7.48.0",
  resources: new Proxy<Record<string, () => ResourceHandler>>({}, { get: () => () => anything }),
  functions: {
    "aws:index/getPartition:getPartition": () =>
      Promise.resolve({
        id: "aws",
        partition: "aws",
        dnsSuffix: "amazonaws.com",
        reverseDnsPrefix: "com.amazonaws",
      }),
    "aws:index/getAvailabilityZones:getAvailabilityZones": ({ state }) =>
      Promise.resolve({ state, id: "us-east-1", names: ["us-east-1a", "us-east-1b"], zoneIds: [] }),
  },
});
