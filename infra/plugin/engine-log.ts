import { credentials } from "@grpc/grpc-js";
import engineGrpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import enginePb from "@pulumi/pulumi/proto/engine_pb.js";

import { formatDuration } from "../../common/units.ts";
import type { ResourceLog } from "./handler.ts";

/** Seconds without a word after which a resource in work shows that it is still alive. */
const quietSeconds = 8;

/** Sends log lines to the engine, which shows them beside the resource they belong to. */
export class EngineLog {
  readonly #client: InstanceType<typeof engineGrpc.EngineClient> | undefined;

  /** @param address `host:port` of the engine; without one (provider started by hand) lines go to stderr */
  constructor(address: string | undefined) {
    if (address !== undefined && address !== "")
      this.#client = new engineGrpc.EngineClient(address, credentials.createInsecure());
  }

  /** The log of one resource. */
  forResource(urn: string): ResourceLog {
    const { INFO, WARNING } = enginePb.LogSeverity;
    return {
      status: (message) => {
        this.#send(INFO, urn, message, true);
      },
      info: (message) => {
        this.#send(INFO, urn, message, false);
      },
      warn: (message) => {
        this.#send(WARNING, urn, message, false);
      },
    };
  }

  #send(severity: 0 | 1 | 2 | 3, urn: string, message: string, ephemeral: boolean): void {
    if (this.#client === undefined) {
      process.stderr.write(`${message}\n`);
      return;
    }
    const request = new enginePb.LogRequest();
    request.setSeverity(severity);
    request.setUrn(urn);
    request.setMessage(message);
    request.setEphemeral(ephemeral);
    // A line that cannot be delivered (the engine is going down) is no reason to fail the work it speaks of.
    this.#client.log(request, () => undefined);
  }
}

/**
 * Runs `work` and, whenever it has said nothing for eight seconds, repeats its last status with the time since it
 * said so. A user never looks at a silent screen, and never wonders whether a long step hangs.
 */
export async function withHeartbeat<T>(log: ResourceLog, work: (log: ResourceLog) => Promise<T>): Promise<T> {
  let last = "working";
  let since = Date.now();
  let spoken = since;
  const heard =
    (say: (message: string) => void) =>
    (message: string): void => {
      last = message.split("\n", 1)[0] ?? last;
      since = spoken = Date.now();
      say(message);
    };
  const timer = setInterval(() => {
    if (Date.now() - spoken < quietSeconds * 1000) return;
    spoken = Date.now();
    log.status(`${last} (${formatDuration((spoken - since) / 1000)})`);
  }, 1000);
  try {
    return await work({ status: heard(log.status), info: heard(log.info), warn: heard(log.warn) });
  } finally {
    clearInterval(timer);
  }
}
