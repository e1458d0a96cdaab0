import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import grpc from "@grpc/grpc-js";
import enginerpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import type { LogRequest } from "@pulumi/pulumi/proto/engine_pb.js";
import providerrpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import providerproto from "@pulumi/pulumi/proto/provider_pb.js";
import emptyproto from "google-protobuf/google/protobuf/empty_pb.js";
import structproto, { type Struct } from "google-protobuf/google/protobuf/struct_pb.js";

import type { Props } from "../handler.ts";

export interface Shown {
  severity: number;
  message: string;
  urn: string;
  ephemeral: boolean;
}

export interface Options {
  timeout?: number;
  preview?: boolean;
}

/**
 * Plays the engine's side: starts a provider's executable as the engine does, speaks the same gRPC protocol to it, and
 * keeps the lines that it sends for the display.
 */
export class EngineStandIn {
  readonly messages: Shown[] = [];
  readonly process: ChildProcess;
  /** Everything the provider wrote to its standard output. */
  stdout = "";
  readonly #server: grpc.Server;
  #client!: InstanceType<typeof providerrpc.ResourceProviderClient>;

  private constructor(server: grpc.Server, process: ChildProcess) {
    this.#server = server;
    this.process = process;
  }

  static async start(program: string, cwd = "/tmp"): Promise<EngineStandIn> {
    const server = new grpc.Server();
    const messages: Shown[] = [];
    server.addService(enginerpc.EngineService, {
      log(call: { request: LogRequest }, callback: (error: null, response: object) => void) {
        const request = call.request;
        messages.push({
          severity: request.getSeverity(),
          message: request.getMessage(),
          urn: request.getUrn(),
          ephemeral: request.getEphemeral(),
        });
        callback(null, new emptyproto.Empty());
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) => {
        if (error) reject(error);
        else resolve(bound);
      });
    });
    const child = spawn(program, ["--logtostderr", "-v=1", `127.0.0.1:${port}`], {
      cwd,
      stdio: ["pipe", "pipe", "inherit"],
      detached: true,
    });
    const engine = new EngineStandIn(server, child);
    Object.assign(engine, { messages });
    await engine.#handshake();
    return engine;
  }

  async #handshake(): Promise<void> {
    const providerPort = await new Promise<string>((resolve, reject) => {
      this.process.stdout?.setEncoding("utf8").on("data", (text: string) => {
        this.stdout += text;
        if (this.stdout.includes("\n")) resolve(this.stdout.split("\n", 1)[0] ?? "");
      });
      this.process.once("exit", (code) => {
        reject(new Error(`the provider ended with ${code} before it told its port`));
      });
    });
    this.#client = new providerrpc.ResourceProviderClient(
      `127.0.0.1:${providerPort}`,
      grpc.credentials.createInsecure(),
      { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 },
    );
  }

  /** Closes the provider as the engine does (SIGINT to its process group) and waits for its end. */
  async close(): Promise<void> {
    this.#client.close();
    if (this.process.exitCode === null && this.process.signalCode === null) {
      const exited = once(this.process, "exit");
      process.kill(-(this.process.pid as number), "SIGINT");
      await exited;
    }
    this.#server.forceShutdown();
  }

  /** The status lines on display so far, for one resource. */
  statusLines(urn: string): string[] {
    return this.messages
      .filter((entry) => entry.ephemeral && entry.urn === urn)
      .map(({ message }) => message);
  }

  async check(type: string, inputs: Props) {
    const request = new providerproto.CheckRequest();
    request.setUrn(urnOf(type));
    request.setNews(toStruct(inputs));
    const response = await this.#call<InstanceType<typeof providerproto.CheckResponse>>("check", request);
    return {
      inputs: fromStruct(response.getInputs()),
      failures: response
        .getFailuresList()
        .map((failure) => `${failure.getProperty()}: ${failure.getReason()}`),
    };
  }

  async diff(type: string, olds: Props, news: Props) {
    const request = new providerproto.DiffRequest();
    request.setUrn(urnOf(type));
    request.setOldInputs(toStruct(olds));
    request.setNews(toStruct(news));
    const response = await this.#call<InstanceType<typeof providerproto.DiffResponse>>("diff", request);
    return {
      changes: response.getChanges(),
      paths: [...response.getDetaileddiffMap().keys()],
      replaces: response.getReplacesList(),
    };
  }

  async create(type: string, inputs: Props, { preview = false, timeout = 0 }: Options = {}) {
    const request = new providerproto.CreateRequest();
    request.setUrn(urnOf(type));
    request.setProperties(toStruct(inputs));
    request.setPreview(preview);
    request.setTimeout(timeout);
    const response = await this.#call<InstanceType<typeof providerproto.CreateResponse>>("create", request);
    return { id: response.getId(), properties: fromStruct(response.getProperties()) };
  }

  async update(type: string, olds: Props, news: Props, { preview = false }: Options = {}) {
    const request = new providerproto.UpdateRequest();
    request.setUrn(urnOf(type));
    request.setOlds(toStruct(olds));
    request.setNews(toStruct(news));
    request.setPreview(preview);
    const response = await this.#call<InstanceType<typeof providerproto.UpdateResponse>>("update", request);
    return fromStruct(response.getProperties());
  }

  async delete(type: string, state: Props): Promise<void> {
    const request = new providerproto.DeleteRequest();
    request.setUrn(urnOf(type));
    request.setProperties(toStruct(state));
    await this.#call("delete", request);
  }

  async read(type: string, id: string, properties: Props) {
    const request = new providerproto.ReadRequest();
    request.setUrn(urnOf(type));
    request.setId(id);
    request.setProperties(toStruct(properties));
    const response = await this.#call<InstanceType<typeof providerproto.ReadResponse>>("read", request);
    return { id: response.getId(), properties: fromStruct(response.getProperties()) };
  }

  async schema(): Promise<Props> {
    const request = new providerproto.GetSchemaRequest();
    const response = await this.#call<InstanceType<typeof providerproto.GetSchemaResponse>>(
      "getSchema",
      request,
    );
    return JSON.parse(response.getSchema()) as Props;
  }

  async version(): Promise<string> {
    const response = await this.#call<{ getVersion(): string }>("getPluginInfo", new emptyproto.Empty());
    return response.getVersion();
  }

  async cancel(): Promise<void> {
    await this.#call("cancel", new emptyproto.Empty());
  }

  #call<Response>(method: string, request: object): Promise<Response> {
    const methods = this.#client as unknown as Record<
      string,
      (request: object, callback: (error: grpc.ServiceError | null, response: Response) => void) => void
    >;
    return new Promise((resolve, reject) => {
      methods[method]?.call(this.#client, request, (error, response) => {
        if (error) reject(new Error(error.details));
        else resolve(response);
      });
    });
  }
}

export function urnOf(type: string, name = "it"): string {
  return `urn:pulumi:dev::test::${type}::${name}`;
}

function toStruct(properties: Props): Struct {
  return structproto.Struct.fromJavaScript(properties as Record<string, structproto.JavaScriptValue>);
}

function fromStruct(struct: Struct | undefined): Props {
  return (struct?.toJavaScript() ?? {}) as Props;
}
