/**
 * The provider as the engine sees it: Pulumi's ResourceProvider service over gRPC. Served directly rather than with
 * `pulumi.provider.main`, which has no preview flag, no cancel, no detailed diff and no status messages.
 */
import grpc, { type sendUnaryData, type ServerUnaryCall } from "@grpc/grpc-js";
import providerrpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import type * as proto from "@pulumi/pulumi/proto/provider_pb.js";
import providerproto from "@pulumi/pulumi/proto/provider_pb.js";
import pluginproto from "@pulumi/pulumi/proto/plugin_pb.js";
import emptyproto from "google-protobuf/google/protobuf/empty_pb.js";
import structproto, { type Struct } from "google-protobuf/google/protobuf/struct_pb.js";

import { check, checkSource, type Failure } from "./check.ts";
import { diff, rootOf, type Change } from "./diff.ts";
import { OperationLog, type Message } from "./engine-log.ts";
import { Operations, type Operation } from "./operation.ts";
import { behaviours, runLocal, type Behaviour } from "./resources.ts";
import { declarationOf, functions, packageSchema, packageVersion, type Declaration } from "./schema.ts";
import { reveal, unknown, type WireObject } from "./values.ts";

export interface Provider {
  /** The loopback port that the engine is told. */
  port: number;
  operations: Operations;
  stop(): void;
}

/** Starts the service on a free loopback port. `send` takes messages for the display. */
export function serve(send: (message: Message) => Promise<void>): Promise<Provider> {
  const operations = new Operations();
  const unlimited = -1;
  const server = new grpc.Server({
    "grpc.max_receive_message_length": unlimited,
    "grpc.max_send_message_length": unlimited,
  });
  server.addService(providerrpc.ResourceProviderService, handlers(operations, send));
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve({ port, operations, stop: () => server.forceShutdown() });
    });
  });
}

function handlers(
  operations: Operations,
  send: (message: Message) => Promise<void>,
): grpc.UntypedServiceImplementation {
  /** Runs work for one resource, and answers when its last message is on display. */
  function operate<T>(urn: string, timeout: number, work: (operation: Operation) => Promise<T>): Promise<T> {
    const log = new OperationLog(urn, send);
    return operations.run(timeout, async (signal) => {
      try {
        return await work({ log, signal });
      } finally {
        await log.flushed();
      }
    });
  }

  return {
    getPluginInfo: unary(() => {
      const response = new pluginproto.PluginInfo();
      response.setVersion(packageVersion);
      return response;
    }),

    getSchema: unary(() => {
      const response = new providerproto.GetSchemaResponse();
      response.setSchema(JSON.stringify(packageSchema()));
      return response;
    }),

    checkConfig: unary((request: proto.CheckRequest) => {
      const response = new providerproto.CheckResponse();
      response.setInputs(request.getNews());
      return response;
    }),

    diffConfig: unary(() => {
      const response = new providerproto.DiffResponse();
      response.setChanges(providerproto.DiffResponse.DiffChanges.DIFF_NONE);
      return response;
    }),

    configure: unary(() => {
      const response = new providerproto.ConfigureResponse();
      response.setAcceptsecrets(true);
      response.setSupportspreview(true);
      response.setAcceptresources(true);
      return response;
    }),

    check: unary((request: proto.CheckRequest) => {
      const type = typeOf(request.getUrn());
      const declaration = requireDeclaration(type);
      const { inputs, failures } = check(declaration.inputs, fromStruct(request.getNews()));
      if (type === "command:remote:CopyToRemote" && failures.length === 0)
        failures.push(...checkSource(inputs));
      const response = new providerproto.CheckResponse();
      response.setInputs(toStruct(inputs));
      response.setFailuresList(failures.map(checkFailure));
      return response;
    }),

    diff: unary((request: proto.DiffRequest) => {
      const changes = diff(
        requireDeclaration(typeOf(request.getUrn())),
        fromStruct(request.getOldInputs()),
        fromStruct(request.getNews()),
        request.getIgnorechangesList(),
      );
      return diffResponse(changes);
    }),

    create: unary(async (request: proto.CreateRequest) => {
      const [urn, inputs] = [request.getUrn(), fromStruct(request.getProperties())];
      const behaviour = requireBehaviour(typeOf(urn));
      const response = new providerproto.CreateResponse();
      if (request.getPreview()) {
        // No id: it is not known before the resource exists.
        response.setProperties(toStruct({ ...inputs, ...unknownOutputs(typeOf(urn)) }));
        return response;
      }
      const outputs = await operate(urn, request.getTimeout(), (operation) =>
        behaviour.create(revealed(inputs), operation),
      );
      response.setId(behaviour.newId(nameOf(urn)));
      response.setProperties(toStruct({ ...inputs, ...outputs }));
      return response;
    }),

    read: unary((request: proto.ReadRequest) => {
      // There is nothing to look at: what a command did is only in the state (pulumi-command #20, #432).
      const response = new providerproto.ReadResponse();
      response.setId(request.getId());
      response.setProperties(request.getProperties());
      response.setInputs(request.getInputs());
      return response;
    }),

    update: unary(async (request: proto.UpdateRequest) => {
      const urn = request.getUrn();
      const { update } = requireBehaviour(typeOf(urn));
      if (!update) throw unimplemented(`Update is not implemented for resource ${urn}`);
      const [state, inputs] = [fromStruct(request.getOlds()), fromStruct(request.getNews())];
      for (const name of request.getIgnorechangesList())
        if (name in state) inputs[name] = state[name] ?? null;
      const response = new providerproto.UpdateResponse();
      if (request.getPreview()) {
        response.setProperties(toStruct({ ...inputs, ...unknownOutputs(typeOf(urn)) }));
        return response;
      }
      const outputs = await operate(urn, request.getTimeout(), (operation) =>
        update(revealed(inputs), revealed(state), operation),
      );
      response.setProperties(toStruct({ ...inputs, ...outputs }));
      return response;
    }),

    delete: unary(async (request: proto.DeleteRequest) => {
      const urn = request.getUrn();
      const behaviour = requireBehaviour(typeOf(urn));
      const state = revealed(fromStruct(request.getProperties()));
      await operate(urn, request.getTimeout(), async (operation) => behaviour.delete?.(state, operation));
      return new emptyproto.Empty();
    }),

    invoke: unary(async (request: proto.InvokeRequest) => {
      const token = request.getTok();
      if (token !== "command:local:run") throw new Error(`unknown function ${token}`);
      const response = new providerproto.InvokeResponse();
      const { inputs, failures } = check(functions[token].inputs, fromStruct(request.getArgs()));
      if (failures.length > 0) {
        response.setFailuresList(failures.map(checkFailure));
        return response;
      }
      const args = revealed(inputs);
      const outputs = await operate("", 0, (operation) =>
        runLocal(String(args["command"]), args, {}, operation),
      );
      response.setReturn(toStruct({ ...inputs, ...outputs }));
      return response;
    }),

    cancel: unary(() => {
      // Answered at once; the engine waits for the operations themselves.
      void operations.cancelAll();
      return new emptyproto.Empty();
    }),
  };
}

/** A gRPC handler from a function; what it throws becomes the error that the engine shows. */
function unary<Request, Response>(
  handle: (request: Request) => Response | Promise<Response>,
): (call: ServerUnaryCall<Request, Response>, callback: sendUnaryData<Response>) => void {
  return (call, callback) => {
    Promise.resolve()
      .then(() => handle(call.request))
      .then(
        (response) => {
          callback(null, response);
        },
        (error: Error & { code?: unknown }) => {
          const code = typeof error.code === "number" ? error.code : grpc.status.UNKNOWN;
          callback({ code, details: error.message });
        },
      );
  };
}

/** The resource type in a URN: `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`. */
function typeOf(urn: string): string {
  return urn.split("::")[2]?.split("$").at(-1) ?? "";
}

function nameOf(urn: string): string {
  return urn.split("::").slice(3).join("::");
}

function requireDeclaration(type: string): Declaration {
  const declaration = declarationOf(type);
  if (!declaration) throw new Error(`unknown resource type '${type}'`);
  return declaration;
}

function requireBehaviour(type: string): Behaviour {
  requireDeclaration(type);
  return behaviours[type as keyof typeof behaviours];
}

/** The outputs that only running the command can tell: unknown, never secret (pulumi-command #256). */
function unknownOutputs(type: string): WireObject {
  const { outputs } = requireDeclaration(type);
  const always = Object.keys(outputs).filter((name) => outputs[name]?.required);
  return Object.fromEntries(always.map((name) => [name, unknown]));
}

function revealed(properties: WireObject): WireObject {
  return reveal(properties) as WireObject;
}

function checkFailure({ property, reason }: Failure): proto.CheckFailure {
  const failure = new providerproto.CheckFailure();
  failure.setProperty(property);
  failure.setReason(reason);
  return failure;
}

function diffResponse(changes: Map<string, Change>): proto.DiffResponse {
  const { Kind } = providerproto.PropertyDiff;
  const kinds = {
    add: [Kind.ADD, Kind.ADD_REPLACE],
    delete: [Kind.DELETE, Kind.DELETE_REPLACE],
    update: [Kind.UPDATE, Kind.UPDATE_REPLACE],
  } as const;
  const { DIFF_SOME, DIFF_NONE } = providerproto.DiffResponse.DiffChanges;
  const response = new providerproto.DiffResponse();
  response.setChanges(changes.size > 0 ? DIFF_SOME : DIFF_NONE);
  response.setHasdetaileddiff(true);
  for (const [path, { kind, replace }] of changes) {
    const detail = new providerproto.PropertyDiff();
    detail.setKind(kinds[kind][replace ? 1 : 0]);
    response.getDetaileddiffMap().set(path, detail);
  }
  const roots = (entries: [string, Change][]) => [...new Set(entries.map(([path]) => rootOf(path)))];
  response.setDiffsList(roots([...changes]));
  response.setReplacesList(roots([...changes].filter(([, { replace }]) => replace)));
  return response;
}

function fromStruct(struct: Struct | undefined): WireObject {
  return (struct?.toJavaScript() ?? {}) as WireObject;
}

function toStruct(properties: WireObject): Struct {
  return structproto.Struct.fromJavaScript(properties);
}

function unimplemented(message: string): Error {
  return Object.assign(new Error(message), { code: grpc.status.UNIMPLEMENTED });
}
