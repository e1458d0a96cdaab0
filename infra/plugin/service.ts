import * as grpc from "@grpc/grpc-js";
import pluginPb from "@pulumi/pulumi/proto/plugin_pb.js";
import providerPb from "@pulumi/pulumi/proto/provider_pb.js";
import statusPb from "@pulumi/pulumi/proto/status_pb.js";
import anyPb from "google-protobuf/google/protobuf/any_pb.js";
import emptyPb from "google-protobuf/google/protobuf/empty_pb.js";
import structPb from "google-protobuf/google/protobuf/struct_pb.js";

import { formatDuration } from "../../common/units.ts";
import { UserError } from "../../common/user-error.ts";
import { diffProps } from "./detailed-diff.ts";
import { type EngineLog, withHeartbeat } from "./engine-log.ts";
import {
  type Call,
  type DiffResult,
  type Existing,
  InitializationFailed,
  type PropertyChange,
  type ProviderDefinition,
  type Props,
  type ResourceHandler,
} from "./handler.ts";
import { message } from "./message.ts";

type Reply = grpc.sendUnaryData<unknown>;
type Request = grpc.ServerUnaryCall<unknown, unknown>;

/** Translates the engine's gRPC calls into calls of resource handlers, and their answers back. */
export class ProviderService {
  readonly #cancel = new AbortController();
  readonly #working = new Set<Promise<unknown>>();

  constructor(
    private readonly definition: ProviderDefinition,
    private readonly log: EngineLog,
  ) {}

  /** Aborts the work in progress and waits for it, at most `milliseconds`. */
  async stop(milliseconds: number): Promise<void> {
    this.#cancel.abort();
    await Promise.race([
      Promise.allSettled(this.#working),
      new Promise((resolve) => setTimeout(resolve, milliseconds)),
    ]);
  }

  /** The table that the gRPC server serves. */
  implementation(): grpc.UntypedServiceImplementation {
    const { version, schema = "{}" } = this.definition;
    return {
      // Claims nothing: secrets arrive as plain values, resources and outputs of others as what they resolve to.
      handshake: this.#unary(() => new providerPb.ProviderHandshakeResponse()),
      getPluginInfo: this.#unary(() => message(pluginPb.PluginInfo, { version })),
      getSchema: this.#unary(() => message(providerPb.GetSchemaResponse, { schema })),
      checkConfig: this.#unary((request: providerPb.CheckRequest) =>
        message(providerPb.CheckResponse, { inputs: request.getNews() }),
      ),
      diffConfig: this.#unary(() => diffResponse({ changes: {} })),
      configure: this.#unary(() => message(providerPb.ConfigureResponse, { supportspreview: true })),
      check: this.#unary((request: providerPb.CheckRequest) => this.#check(request)),
      diff: this.#unary((request: providerPb.DiffRequest) => this.#diff(request)),
      create: this.#unary((request: providerPb.CreateRequest) => this.#create(request)),
      read: this.#unary((request: providerPb.ReadRequest) => this.#read(request)),
      update: this.#unary((request: providerPb.UpdateRequest) => this.#update(request)),
      delete: this.#unary((request: providerPb.DeleteRequest) => this.#delete(request)),
      invoke: this.#unary((request: providerPb.InvokeRequest) => this.#invoke(request)),
      cancel: this.#unary(() => {
        this.#cancel.abort();
        return new emptyPb.Empty();
      }),
    };
  }

  /** Wraps one method: tracks it until it has answered, and turns what it throws into the engine's shape. */
  #unary<Message>(method: (request: Message) => unknown): (call: Request, reply: Reply) => void {
    return (call, reply) => {
      const work = Promise.resolve()
        .then(() => method(call.request as Message))
        .then(
          (response) => {
            reply(null, response);
          },
          (error: unknown) => {
            reply(toServiceError(error), null);
          },
        );
      this.#working.add(work);
      void work.finally(() => this.#working.delete(work));
    };
  }

  async #check(request: providerPb.CheckRequest): Promise<providerPb.CheckResponse> {
    const handler = await this.#handler(request.getUrn());
    const news = fromStruct(request.getNews());
    const { inputs = news, failures = [] } = handler.check?.(news) ?? {};
    return message(providerPb.CheckResponse, {
      inputs: toStruct(inputs),
      failuresList: failures.map((failure) => message(providerPb.CheckFailure, failure)),
    });
  }

  async #diff(request: providerPb.DiffRequest): Promise<providerPb.DiffResponse> {
    const handler = await this.#handler(request.getUrn());
    const old = existing(request.getId(), request.getOldInputs(), request.getOlds());
    const news = fromStruct(request.getNews());
    const result = (await handler.diff?.(old, news)) ?? {
      changes: diffProps(old.inputs, news),
    };
    const ignored = new Set(request.getIgnorechangesList());
    const changes = Object.entries(result.changes).filter(([path]) => !ignored.has(path));
    return diffResponse({ ...result, changes: Object.fromEntries(changes) });
  }

  async #create(request: providerPb.CreateRequest): Promise<providerPb.CreateResponse> {
    const handler = await this.#handler(request.getUrn());
    const inputs = fromStruct(request.getProperties());
    const { id, state } = request.getPreview()
      ? { id: "", state: handler.previewCreate?.(inputs) ?? inputs }
      : await this.#work(request.getUrn(), request.getTimeout(), (call) => handler.create(inputs, call));
    return message(providerPb.CreateResponse, {
      id,
      properties: toStruct(state),
    });
  }

  async #read(request: providerPb.ReadRequest): Promise<providerPb.ReadResponse> {
    const handler = await this.#handler(request.getUrn());
    const old = existing(request.getId(), request.getInputs(), request.getProperties());
    const found = await this.#work(request.getUrn(), request.getTimeout(), async (call) =>
      handler.read === undefined ? old : handler.read(old, call),
    );
    if (found === undefined) return new providerPb.ReadResponse();
    return message(providerPb.ReadResponse, {
      id: old.id,
      properties: toStruct(found.state),
      inputs: toStruct(found.inputs ?? old.inputs),
    });
  }

  async #update(request: providerPb.UpdateRequest): Promise<providerPb.UpdateResponse> {
    const handler = await this.#handler(request.getUrn());
    const old = existing(request.getId(), request.getOldInputs(), request.getOlds());
    const news = fromStruct(request.getNews());
    const state = request.getPreview()
      ? (handler.previewUpdate?.(old, news) ?? news)
      : await this.#work(request.getUrn(), request.getTimeout(), async (call) => {
          if (handler.update === undefined) throw new Error(`${call.name}: this type has no update in place`);
          return handler.update(old, news, call);
        });
    return message(providerPb.UpdateResponse, {
      properties: toStruct(state),
    });
  }

  async #delete(request: providerPb.DeleteRequest): Promise<emptyPb.Empty> {
    const handler = await this.#handler(request.getUrn());
    const old = existing(request.getId(), request.getOldInputs(), request.getProperties());
    await this.#work(request.getUrn(), request.getTimeout(), async (call) => handler.delete?.(old, call));
    return new emptyPb.Empty();
  }

  async #invoke(request: providerPb.InvokeRequest): Promise<providerPb.InvokeResponse> {
    const run = this.definition.functions?.[request.getTok()];
    if (run === undefined) throw this.#notServed("function", request.getTok());
    const result = await this.#work("", 0, (call) => run(fromStruct(request.getArgs()), call));
    return message(providerPb.InvokeResponse, { return: toStruct(result) });
  }

  #notServed(kind: string, token: string): UserError {
    const { name, version, elsewhere } = this.definition;
    return new UserError({
      where: token,
      what: `plugin ${name} ${version} has no such ${kind}`,
      remedy: elsewhere,
    });
  }

  async #handler(urn: string): Promise<ResourceHandler> {
    const type = urn.split("::")[2]?.split("$").at(-1) ?? "";
    const load = this.definition.resources[type];
    if (load === undefined) throw this.#notServed("resource type", type);
    return load();
  }

  /**
   * Runs a handler's work: a heartbeat breaks its silence, and it is answered when its last line is on display.
   * @param timeoutSeconds from the resource option `customTimeouts`; 0 where none was given
   */
  async #work<T>(urn: string, timeoutSeconds: number, run: (call: Call) => Promise<T>): Promise<T> {
    const name = urn.split("::").slice(3).join("::");
    const signal = limited(this.#cancel.signal, timeoutSeconds);
    const resourceLog = this.log.forResource(urn);
    try {
      return await withHeartbeat(resourceLog, (log) => run({ urn, name, signal, log }));
    } finally {
      await resourceLog.flushed();
    }
  }
}

function limited(cancel: AbortSignal, seconds: number): AbortSignal {
  if (seconds === 0) return cancel;
  const limit = new AbortController();
  const what = `not done within ${formatDuration(seconds)}`;
  const expire = (): void => {
    limit.abort(new UserError({ where: "customTimeouts", what }));
  };
  setTimeout(expire, seconds * 1000).unref();
  return AbortSignal.any([cancel, limit.signal]);
}

function existing(
  id: string,
  inputs: structPb.Struct | undefined,
  state: structPb.Struct | undefined,
): Existing {
  return { id, inputs: fromStruct(inputs), state: fromStruct(state) };
}

function fromStruct(struct: structPb.Struct | undefined): Props {
  return (struct?.toJavaScript() ?? {}) as Props;
}

function toStruct(props: Props): structPb.Struct {
  // A round trip through JSON drops undefined members, which the wire format cannot carry.
  return structPb.Struct.fromJavaScript(
    JSON.parse(JSON.stringify(props)) as Record<string, structPb.JavaScriptValue>,
  );
}

/** The engine's view of a diff, with the kind of every changed property. */
function diffResponse({ changes, deleteBeforeReplace }: DiffResult): providerPb.DiffResponse {
  const { DIFF_SOME, DIFF_NONE } = providerPb.DiffResponse.DiffChanges;
  const entries = Object.entries(changes);
  const replaced = entries.filter(([, { replace }]) => replace);
  const topLevel = ([path]: [string, PropertyChange]): string => path.split(/[.[]/, 1)[0] ?? path;
  const response = message(providerPb.DiffResponse, {
    changes: entries.length > 0 ? DIFF_SOME : DIFF_NONE,
    hasdetaileddiff: true,
    diffsList: [...new Set(entries.map(topLevel))],
    replacesList: [...new Set(replaced.map(topLevel))],
    deletebeforereplace: deleteBeforeReplace,
  });
  for (const [path, change] of entries) response.getDetaileddiffMap().set(path, propertyDiff(change));
  return response;
}

function propertyDiff({ kind, replace = false, input = true }: PropertyChange): providerPb.PropertyDiff {
  const { Kind } = providerPb.PropertyDiff;
  const name = `${kind}${replace ? "_replace" : ""}`.toUpperCase() as keyof typeof Kind;
  return message(providerPb.PropertyDiff, { kind: Kind[name], inputdiff: input });
}

/** A user's mistake keeps its message; a bug keeps its stack, since somebody has to find it. */
function toServiceError(error: unknown): Partial<grpc.StatusObject> {
  if (error instanceof InitializationFailed) return initializationFailed(error);
  return { code: grpc.status.UNKNOWN, details: fitted(describe(error)) };
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // The reason of a signal that the engine's cancel has aborted.
  if (error.name === "AbortError") return "cancelled";
  return error instanceof UserError ? error.message : (error.stack ?? error.message);
}

/**
 * gRPC carries an error's text in a header of at most 64 KiB, percent-encoded: up to three bytes for one. Of a longer
 * text the middle goes; what it is about stands at the beginning, and the reason mostly at the end.
 */
function fitted(text: string): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= 16 * 1024) return text;
  const [head, tail] = [bytes.subarray(0, 2 * 1024), bytes.subarray(-14 * 1024)];
  return `${head.toString()}\n… (left out)\n${tail.toString()}`;
}

/** Carries id and state inside the error; Go's gRPC reads such details from this one metadata key. */
function initializationFailed(error: InitializationFailed): Partial<grpc.StatusObject> {
  const code = grpc.status.UNKNOWN;
  const details = fitted(error.message);
  const failed = message(providerPb.ErrorResourceInitFailed, {
    id: error.id,
    properties: toStruct(error.state),
    reasonsList: [details],
  });
  const any = new anyPb.Any();
  any.pack(failed.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const status = message(statusPb.Status, { code, message: details, detailsList: [any] });
  const metadata = new grpc.Metadata();
  metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  return { code, details, metadata };
}
