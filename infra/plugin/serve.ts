import { connect } from "node:net";
import * as grpc from "@grpc/grpc-js";
import providerGrpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";

import { EngineLog } from "./engine-log.ts";
import type { ProviderDefinition } from "./handler.ts";
import { ProviderService } from "./service.ts";

/**
 * Runs a provider process: serves the definition over gRPC on a free loopback port and prints that port, which is how
 * the engine finds it. Ends when the engine ends, however that happens.
 *
 * Pulumi's own `provider.main` would do the same with less: no detailed diff, no preview flag, no cancellation, no log
 * line that names its resource.
 */
export async function serve(definition: ProviderDefinition, args = process.argv.slice(2)): Promise<void> {
  const engineAddress = args.find((arg) => !arg.startsWith("-"));
  const service = new ProviderService(definition, new EngineLog(engineAddress));
  const server = new grpc.Server({
    "grpc.max_receive_message_length": -1,
    "grpc.max_send_message_length": -1,
  });
  server.addService(providerGrpc.ResourceProviderService, service.implementation());
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
      if (error) reject(error);
      else resolve(bound);
    });
  });
  process.stdout.write(`${port}\n`);
  endWithEngine(service, engineAddress);
}

/**
 * The engine asks its plugins to stop in every ending but one: SIGKILL. This process then gets another parent; or it has
 * one already, and nobody listens at the engine's address. The work in progress gets ten seconds to put itself away.
 */
function endWithEngine(service: ProviderService, engineAddress: string | undefined): void {
  const end = (): void => void service.stop(10_000).then(() => process.exit(0));
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    end();
  }, 1000);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
  if (engineAddress === undefined) return;
  const [host, port] = engineAddress.split(":");
  const probe = connect({ host, port: Number(port) }, () => probe.destroy());
  probe.once("error", end);
}
