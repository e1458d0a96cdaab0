/** Messages to the Pulumi display, over the engine's gRPC service. */
import grpc from "@grpc/grpc-js";
import enginerpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import engineproto from "@pulumi/pulumi/proto/engine_pb.js";

export type Severity = "debug" | "info" | "warning" | "error";

/** Where the messages of one operation go; they carry the resource's URN. */
export interface Log {
  /** A line that is on display until the next one, and not in the final output (the official `InfoStatus`). */
  status(message: string): void;
  /** A message that stays. */
  say(severity: Severity, message: string): void;
  /** Resolves once everything said so far has reached the engine. */
  flushed(): Promise<void>;
}

export interface Message {
  severity: Severity;
  message: string;
  urn: string;
  /** True for a status line. */
  ephemeral: boolean;
}

/** Status lines that may wait for the engine. Past that the oldest go: only the latest is on display anyway. */
const maxWaitingStatusLines = 100;

/** Messages of one operation, sent one after the other so that they arrive in order. */
export class OperationLog implements Log {
  readonly #urn: string;
  readonly #send: (message: Message) => Promise<void>;
  #waiting: Message[] = [];
  #sending: Promise<void> | undefined;

  constructor(urn: string, send: (message: Message) => Promise<void>) {
    this.#urn = urn;
    this.#send = send;
  }

  status(message: string): void {
    this.#enqueue({ severity: "info", message, urn: this.#urn, ephemeral: true });
  }

  say(severity: Severity, message: string): void {
    this.#enqueue({ severity, message, urn: this.#urn, ephemeral: false });
  }

  async flushed(): Promise<void> {
    while (this.#sending) await this.#sending;
  }

  #enqueue(message: Message): void {
    this.#waiting.push(message);
    if (this.#waiting.length > 2 * maxWaitingStatusLines) this.#dropOldStatusLines();
    this.#sending ??= this.#drain().finally(() => (this.#sending = undefined));
  }

  #dropOldStatusLines(): void {
    const cut = this.#waiting.length - maxWaitingStatusLines;
    this.#waiting = this.#waiting.filter(({ ephemeral }, index) => index >= cut || !ephemeral);
  }

  async #drain(): Promise<void> {
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) await this.#send(next);
  }
}

/** Connects to the engine at `address` (host:port). Without an address, messages go nowhere. */
export function engineSender(address: string | undefined): (message: Message) => Promise<void> {
  if (!address) return () => Promise.resolve();
  const client = new enginerpc.EngineClient(address, grpc.credentials.createInsecure());
  const severities = engineproto.LogSeverity;
  return ({ severity, message, urn, ephemeral }) =>
    new Promise((resolve) => {
      const request = new engineproto.LogRequest();
      request.setSeverity(
        {
          debug: severities.DEBUG,
          info: severities.INFO,
          warning: severities.WARNING,
          error: severities.ERROR,
        }[severity],
      );
      request.setMessage(message);
      request.setUrn(urn);
      request.setEphemeral(ephemeral);
      // A message that cannot be shown must not fail the command that wrote it.
      client.log(request, () => {
        resolve();
      });
    });
}
