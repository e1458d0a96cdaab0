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
import { type EngineLog, type OrderedLog, withHeartbeat } from "./engine-log.ts";
import {
  type Call,
  type CheckFailure,
  type DiffResult,
  type Existing,
  InitializationFailed,
  type PropertyChange,
  type ProviderDefinition,
  type Props,
  type ResourceHandler,
} from "./handler.ts";

type Reply = grpc.sendUnaryData<unknown>;
type Request = grpc.ServerUnaryCall<unknown, unknown>;

/** Translates the engine's gRPC calls into calls of resource handlers, and their answers back. */
export class ProviderService {
  readonly #definition: ProviderDefinition;
  readonly #log: EngineLog;
  readonly #cancel = new AbortController();
  readonly #working = new Set<Promise<unknown>>();

  constructor(definition: ProviderDefinition, log: EngineLog) {
    this.#definition = definition;
    this.#log = log;
  }

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
    return {
      handshake: this.#unary(() => this.#handshake()),
      getPluginInfo: this.#unary(() => {
        const info = new pluginPb.PluginInfo();
        info.setVersion(this.#definition.version);
        return info;
      }),
      getSchema: this.#unary(() => {
        const response = new providerPb.GetSchemaResponse();
        response.setSchema(this.#definition.schema ?? "{}");
        return response;
      }),
      checkConfig: this.#unary((request: providerPb.CheckRequest) => {
        const response = new providerPb.CheckResponse();
        response.setInputs(request.getNews());
        return response;
      }),
      diffConfig: this.#unary(() => diffResponse({ changes: {} })),
      configure: this.#unary(() => this.#configure()),
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

  #handshake(): providerPb.ProviderHandshakeResponse {
    const response = new providerPb.ProviderHandshakeResponse();
    response.setAcceptSecrets(false);
    response.setAcceptResources(false);
    response.setAcceptOutputs(false);
    return response;
  }

  #configure(): providerPb.ConfigureResponse {
    const response = new providerPb.ConfigureResponse();
    response.setAcceptsecrets(false);
    response.setSupportspreview(true);
    return response;
  }

  async #check(request: providerPb.CheckRequest): Promise<providerPb.CheckResponse> {
    const { handler, call } = this.#resolve(request.getUrn(), { preview: true });
    const news = fromStruct(request.getNews());
    const olds = request.hasOlds() ? fromStruct(request.getOlds()) : undefined;
    const result = (await handler.check?.(news, call, olds)) ?? {};
    const response = new providerPb.CheckResponse();
    response.setInputs(toStruct(result.inputs ?? news));
    response.setFailuresList((result.failures ?? []).map(checkFailure));
    return response;
  }

  async #diff(request: providerPb.DiffRequest): Promise<providerPb.DiffResponse> {
    const { handler, call } = this.#resolve(request.getUrn(), { preview: true });
    const existing = {
      id: request.getId(),
      inputs: fromStruct(request.getOldInputs()),
      state: fromStruct(request.getOlds()),
    };
    const news = fromStruct(request.getNews());
    const result = (await handler.diff?.(existing, news, call)) ?? {
      changes: diffProps(existing.inputs, news),
    };
    const ignored = new Set(request.getIgnorechangesList());
    const changes = Object.entries(result.changes).filter(([path]) => !ignored.has(path));
    return diffResponse({ ...result, changes: Object.fromEntries(changes) });
  }

  async #create(request: providerPb.CreateRequest): Promise<providerPb.CreateResponse> {
    const preview = request.getPreview();
    const { handler, call } = this.#resolve(request.getUrn(), {
      preview,
      timeoutSeconds: request.getTimeout(),
    });
    const inputs = fromStruct(request.getProperties());
    const response = new providerPb.CreateResponse();
    if (preview) {
      response.setProperties(toStruct(handler.previewCreate?.(inputs, call) ?? inputs));
    } else {
      const { id, state } = await work(call, (inner) => handler.create(inputs, inner));
      response.setId(id);
      response.setProperties(toStruct(state));
    }
    response.setRefreshBeforeUpdate(handler.refreshBeforeUpdate ?? false);
    return response;
  }

  async #read(request: providerPb.ReadRequest): Promise<providerPb.ReadResponse> {
    const { handler, call } = this.#resolve(request.getUrn(), { timeoutSeconds: request.getTimeout() });
    const response = new providerPb.ReadResponse();
    const existing: Existing = {
      id: request.getId(),
      inputs: fromStruct(request.getInputs()),
      state: fromStruct(request.getProperties()),
    };
    const result =
      handler.read === undefined
        ? { state: existing.state }
        : await work(call, async (inner) => handler.read?.(existing, inner));
    if (result === undefined) return response;
    response.setId(existing.id);
    response.setProperties(toStruct(result.state));
    response.setInputs(toStruct(result.inputs ?? existing.inputs));
    response.setRefreshBeforeUpdate(handler.refreshBeforeUpdate ?? false);
    return response;
  }

  async #update(request: providerPb.UpdateRequest): Promise<providerPb.UpdateResponse> {
    const preview = request.getPreview();
    const { handler, call } = this.#resolve(request.getUrn(), {
      preview,
      timeoutSeconds: request.getTimeout(),
    });
    const existing = {
      id: request.getId(),
      inputs: fromStruct(request.getOldInputs()),
      state: fromStruct(request.getOlds()),
    };
    const news = fromStruct(request.getNews());
    const response = new providerPb.UpdateResponse();
    if (preview) {
      response.setProperties(toStruct(handler.previewUpdate?.(existing, news, call) ?? news));
    } else {
      const state = await work(call, async (inner) => handler.update?.(existing, news, inner));
      if (state === undefined) throw new Error(`${call.name}: this type has no update in place`);
      response.setProperties(toStruct(state));
    }
    response.setRefreshBeforeUpdate(handler.refreshBeforeUpdate ?? false);
    return response;
  }

  async #delete(request: providerPb.DeleteRequest): Promise<emptyPb.Empty> {
    const { handler, call } = this.#resolve(request.getUrn(), { timeoutSeconds: request.getTimeout() });
    const existing = {
      id: request.getId(),
      inputs: fromStruct(request.getOldInputs()),
      state: fromStruct(request.getProperties()),
    };
    await work(call, async (inner) => handler.delete?.(existing, inner));
    return new emptyPb.Empty();
  }

  async #invoke(request: providerPb.InvokeRequest): Promise<providerPb.InvokeResponse> {
    const token = request.getTok();
    const run = this.#definition.functions?.[token];
    if (run === undefined) throw this.#notServed("function", token);
    const response = new providerPb.InvokeResponse();
    const args = fromStruct(request.getArgs());
    response.setReturn(toStruct(await work(this.#call("", {}), (call) => run(args, call))));
    return response;
  }

  #notServed(kind: string, token: string): UserError {
    const { name, version, elsewhere } = this.#definition;
    return new UserError({
      where: token,
      what: `plugin ${name} ${version} has no such ${kind}`,
      remedy: elsewhere,
    });
  }

  #resolve(urn: string, options: CallOptions): { handler: ResourceHandler; call: OwnCall } {
    const type = urn.split("::")[2]?.split("$").at(-1) ?? "";
    const handler = this.#definition.resources[type];
    if (handler === undefined) throw this.#notServed("resource type", type);
    return { handler, call: this.#call(urn, options) };
  }

  #call(urn: string, { preview = false, timeoutSeconds = 0 }: CallOptions): OwnCall {
    return {
      urn,
      name: urn.split("::").slice(3).join("::"),
      preview,
      signal: limited(this.#cancel.signal, timeoutSeconds),
      log: this.#log.forResource(urn),
    };
  }
}

/** A call whose log can be waited for. */
type OwnCall = Call & { log: OrderedLog };

/** Runs a handler's work: a heartbeat breaks its silence, and it is answered when its last line is on display. */
async function work<T>(call: OwnCall, run: (call: Call) => Promise<T>): Promise<T> {
  try {
    return await withHeartbeat(call.log, (log) => run({ ...call, log }));
  } finally {
    await call.log.flushed();
  }
}

interface CallOptions {
  preview?: boolean;
  /** From the resource option `customTimeouts`; 0 where none was given. */
  timeoutSeconds?: number;
}

function limited(cancel: AbortSignal, seconds: number): AbortSignal {
  if (seconds === 0) return cancel;
  const limit = new AbortController();
  const expire = (): void => {
    limit.abort(
      new UserError({ where: "customTimeouts", what: `not done within ${formatDuration(seconds)}` }),
    );
  };
  setTimeout(expire, seconds * 1000).unref();
  return AbortSignal.any([cancel, limit.signal]);
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

function checkFailure({ property, reason }: CheckFailure): providerPb.CheckFailure {
  const failure = new providerPb.CheckFailure();
  failure.setProperty(property);
  failure.setReason(reason);
  return failure;
}

/** Exported for tests: the engine's view of a diff, with the kind of every changed property. */
export function diffResponse({ changes, deleteBeforeReplace, stables }: DiffResult): providerPb.DiffResponse {
  const response = new providerPb.DiffResponse();
  const entries = Object.entries(changes);
  const { DIFF_SOME, DIFF_NONE } = providerPb.DiffResponse.DiffChanges;
  response.setChanges(entries.length > 0 ? DIFF_SOME : DIFF_NONE);
  response.setHasdetaileddiff(true);
  for (const [path, change] of entries) response.getDetaileddiffMap().set(path, propertyDiff(change));
  response.setDiffsList([...new Set(entries.map(([path]) => topLevel(path)))]);
  response.setReplacesList([
    ...new Set(entries.filter(([, c]) => c.replace).map(([path]) => topLevel(path))),
  ]);
  response.setDeletebeforereplace(deleteBeforeReplace ?? false);
  response.setStablesList(stables ?? []);
  return response;
}

function topLevel(path: string): string {
  return path.split(/[.[]/, 1)[0] ?? path;
}

function propertyDiff({ kind, replace = false, input = true }: PropertyChange): providerPb.PropertyDiff {
  const { Kind } = providerPb.PropertyDiff;
  const kinds = {
    add: replace ? Kind.ADD_REPLACE : Kind.ADD,
    update: replace ? Kind.UPDATE_REPLACE : Kind.UPDATE,
    delete: replace ? Kind.DELETE_REPLACE : Kind.DELETE,
  };
  const diff = new providerPb.PropertyDiff();
  diff.setKind(kinds[kind]);
  diff.setInputdiff(input);
  return diff;
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
  const message = fitted(error.message);
  const detail = new providerPb.ErrorResourceInitFailed();
  detail.setId(error.id);
  detail.setProperties(toStruct(error.state));
  detail.setReasonsList([message]);
  const any = new anyPb.Any();
  any.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
  const status = new statusPb.Status();
  status.setCode(grpc.status.UNKNOWN);
  status.setMessage(message);
  status.addDetails(any);
  const metadata = new grpc.Metadata();
  metadata.add("grpc-status-details-bin", Buffer.from(status.serializeBinary()));
  return { code: grpc.status.UNKNOWN, details: message, metadata };
}
