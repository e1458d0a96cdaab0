import { credentials } from "@grpc/grpc-js";
import engineGrpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import enginePb from "@pulumi/pulumi/proto/engine_pb.js";

import { formatDuration } from "../../common/units.ts";
import type { ResourceLog } from "./handler.ts";
import { message } from "./message.ts";

/** Seconds without a word after which a resource in work shows that it is still alive. */
const quietSeconds = 8;

/** Status lines that may wait for the engine. Of more the oldest go: only the latest is on display anyway. */
const maxWaiting = 100;

/** One line on its way to the engine. */
export interface LogLine {
  /** A status (`info`) is on display until the next line, then gone. */
  severity: "info" | "warning";
  message: string;
}

/** The log of one resource. Lines are sent one after the other, so that they arrive in order. */
export class OrderedLog implements ResourceLog {
  #waiting: LogLine[] = [];
  #sending: Promise<void> | undefined;

  constructor(private readonly send: (line: LogLine) => Promise<void>) {}

  readonly status = (message: string): void => {
    this.#add({ severity: "info", message });
  };

  readonly warn = (message: string): void => {
    this.#add({ severity: "warning", message });
  };

  /** Resolves once every line so far has reached the engine. */
  async flushed(): Promise<void> {
    await this.#sending;
  }

  #add(line: LogLine): void {
    this.#waiting.push(line);
    if (this.#waiting.length > 2 * maxWaiting) {
      const cut = this.#waiting.length - maxWaiting;
      this.#waiting = this.#waiting.filter(({ severity }, index) => index >= cut || severity === "warning");
    }
    this.#sending ??= this.#drain().finally(() => (this.#sending = undefined));
  }

  async #drain(): Promise<void> {
    for (let line = this.#waiting.shift(); line !== undefined; line = this.#waiting.shift())
      await this.send(line);
  }
}

/** Sends log lines to the engine, which shows them beside the resource they belong to. */
export class EngineLog {
  readonly #client: InstanceType<typeof engineGrpc.EngineClient> | undefined;

  /** @param address `host:port` of the engine; without one (provider started by hand) lines go to stderr */
  constructor(address: string | undefined) {
    if (address !== undefined && address !== "")
      this.#client = new engineGrpc.EngineClient(address, credentials.createInsecure());
  }

  /** The log of one resource. */
  forResource(urn: string): OrderedLog {
    return new OrderedLog((line) => this.#send(urn, line));
  }

  #send(urn: string, { severity, message: text }: LogLine): Promise<void> {
    const client = this.#client;
    if (client === undefined) {
      process.stderr.write(`${text}\n`);
      return Promise.resolve();
    }
    const { INFO, WARNING } = enginePb.LogSeverity;
    const request = message(enginePb.LogRequest, {
      severity: severity === "info" ? INFO : WARNING,
      urn,
      message: text,
      ephemeral: severity === "info",
    });
    // A line that cannot be delivered (the engine is going down) is no reason to fail the work it speaks of.
    return new Promise((resolve) => {
      client.log(request, () => {
        resolve();
      });
    });
  }
}

/**
 * Runs `work` and, whenever it has said nothing for eight seconds, repeats its last status with the time since it
 * said so. A user never looks at a silent screen, and never wonders whether a long step hangs.
 */
export async function withHeartbeat<T>(log: ResourceLog, work: (log: ResourceLog) => Promise<T>): Promise<T> {
  let last = "working";
  let since = Date.now();
  let lastMessageAt = since;
  const remember =
    (write: (message: string) => void) =>
    (message: string): void => {
      last = message.split("\n", 1)[0] ?? last;
      since = lastMessageAt = Date.now();
      write(message);
    };
  const timer = setInterval(() => {
    if (Date.now() - lastMessageAt < quietSeconds * 1000) return;
    lastMessageAt = Date.now();
    log.status(`${last} (${formatDuration((lastMessageAt - since) / 1000)})`);
  }, 1000);
  try {
    return await work({
      status: remember(log.status),
      warn: remember(log.warn),
    });
  } finally {
    clearInterval(timer);
  }
}
