import * as grpc from "@grpc/grpc-js";
import engineGrpc from "@pulumi/pulumi/proto/engine_grpc_pb.js";
import type enginePb from "@pulumi/pulumi/proto/engine_pb.js";
import providerGrpc from "@pulumi/pulumi/proto/provider_grpc_pb.js";
import providerPb from "@pulumi/pulumi/proto/provider_pb.js";
import emptyPb from "google-protobuf/google/protobuf/empty_pb.js";
import structPb from "google-protobuf/google/protobuf/struct_pb.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { EngineLog } from "./engine-log.ts";
import { InitializationFailed, type ResourceHandler } from "./handler.ts";
import { ProviderService } from "./service.ts";
import { secret } from "./values.ts";

// Talks to the service as the engine does, over gRPC; the engine's log is a server of this test.
const urn = "urn:pulumi:dev::p::pipress:rollout:Rollout$test:index:Thing::thing";
const logged: { message: string; urn: string; ephemeral: boolean }[] = [];
const servers: grpc.Server[] = [];
let client: InstanceType<typeof providerGrpc.ResourceProviderClient>;

const thing: ResourceHandler = {
  check: (inputs) => ({
    inputs: { ...inputs, size: 1 },
    failures: [{ property: "a.b", reason: "too small" }],
  }),
  create: (inputs, call) => {
    call.log.status("half done");
    call.signal.throwIfAborted();
    if (inputs.fail === "user") throw new UserError({ where: "thing", what: "is broken", remedy: "mend it" });
    if (inputs.fail === "at length")
      throw new UserError({ where: "thing", what: `failed:\n${"ü\n".repeat(500_000)}the reason` });
    if (inputs.fail === "halfway") throw new InitializationFailed("id", { n: 1 }, "stopped halfway");
    return Promise.resolve({ id: "id", state: { name: call.name, value: secret("x") } });
  },
  previewCreate: () => ({ known: true }),
  read: () => Promise.resolve(undefined),
  update: (_existing, _inputs, { signal }) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => {
        reject(new UserError({ where: "thing", what: "cancelled" }));
      });
    }),
};

beforeAll(async () => {
  const engine = new grpc.Server();
  engine.addService(engineGrpc.EngineService, {
    log: (
      call: grpc.ServerUnaryCall<enginePb.LogRequest, unknown>,
      reply: grpc.sendUnaryData<emptyPb.Empty>,
    ) => {
      const { message, urn, ephemeral } = call.request.toObject();
      logged.push({ message, urn, ephemeral });
      reply(null, new emptyPb.Empty());
    },
  });
  const log = new EngineLog(`127.0.0.1:${await listen(engine)}`);
  const service = new ProviderService(
    {
      name: "test",
      version: "1.2.3",
      resources: { "test:index:Thing": () => thing },
      elsewhere: "ask the vendor",
    },
    log,
  );
  const provider = new grpc.Server();
  provider.addService(providerGrpc.ResourceProviderService, service.implementation());
  const address = `127.0.0.1:${await listen(provider)}`;
  client = new providerGrpc.ResourceProviderClient(address, grpc.credentials.createInsecure());
});

afterAll(() => {
  client.close();
  for (const server of servers) server.forceShutdown();
});

function listen(server: grpc.Server): Promise<number> {
  servers.push(server);
  return new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
}

function struct(value: Record<string, structPb.JavaScriptValue>): structPb.Struct {
  return structPb.Struct.fromJavaScript(value);
}

function create(
  inputs: Record<string, structPb.JavaScriptValue>,
  preview = false,
  of = urn,
): Promise<providerPb.CreateResponse> {
  const request = new providerPb.CreateRequest();
  request.setUrn(of);
  request.setProperties(struct(inputs));
  request.setPreview(preview);
  return new Promise((resolve, reject) => {
    client.create(request, (error, response) => {
      if (error) reject(error);
      else resolve(response);
    });
  });
}

test("check returns completed inputs and every failure by path", async () => {
  const request = new providerPb.CheckRequest();
  request.setUrn(urn);
  request.setNews(struct({ a: 1 }));
  const response = await new Promise<providerPb.CheckResponse>((resolve, reject) => {
    client.check(request, (error, result) => {
      if (error) reject(error);
      else resolve(result);
    });
  });
  expect(response.getInputs()?.toJavaScript()).toEqual({ a: 1, size: 1 });
  expect(response.getFailuresList().map((failure) => failure.toObject())).toEqual([
    { property: "a.b", reason: "too small" },
  ]);
});

test("create returns id and outputs, secrets marked", async () => {
  const response = await create({});
  expect(response.getId()).toBe("id");
  expect(response.getProperties()?.toJavaScript()).toEqual({ name: "thing", value: secret("x") });
});

test("progress reaches the engine as a status of its resource, before the resource is done", async () => {
  logged.length = 0;
  await create({});
  expect(logged).toContainEqual({ message: "half done", urn, ephemeral: true });
});

test("nothing is made at preview", async () => {
  const response = await create({ fail: "user" }, true);
  expect(response.getId()).toBe("");
  expect(response.getProperties()?.toJavaScript()).toEqual({ known: true });
});

test("a user's mistake arrives as its message alone", async () => {
  await expect(create({ fail: "user" })).rejects.toMatchObject({ details: "thing: is broken — mend it" });
});

test("a message too long for gRPC arrives with its beginning and its end", async () => {
  const error = await create({ fail: "at length" }).catch((caught: unknown) => caught as grpc.ServiceError);
  expect((error as grpc.ServiceError).details).toMatch(
    /^thing: failed:\nü\n[^]*\n… \(left out\)\n[^]*the reason$/,
  );
});

test("a type that is not served is the user's mistake, and the error says who serves it", async () => {
  await expect(create({}, false, "urn:pulumi:dev::p::test:index:Other::other")).rejects.toMatchObject({
    details: "test:index:Other: plugin test 1.2.3 has no such resource type — ask the vendor",
  });
});

test("something half made arrives with its id and state, so that the engine remembers it", async () => {
  const error = await create({ fail: "halfway" }).catch((caught: unknown) => caught as grpc.ServiceError);
  expect(error).toMatchObject({ details: "stopped halfway" });
  expect((error as grpc.ServiceError).metadata.get("grpc-status-details-bin")).toHaveLength(1);
});

test("a resource that read does not find is reported as gone", async () => {
  const request = new providerPb.ReadRequest();
  request.setUrn(urn);
  request.setId("id");
  const response = await new Promise<providerPb.ReadResponse>((resolve, reject) => {
    client.read(request, (error, result) => {
      if (error) reject(error);
      else resolve(result);
    });
  });
  expect(response.getId()).toBe("");
});

test("a diff names each changed property", async () => {
  const request = new providerPb.DiffRequest();
  request.setUrn(urn);
  request.setId("id");
  request.setOldInputs(struct({ a: { b: 1 }, c: 1 }));
  request.setOlds(struct({}));
  request.setNews(struct({ a: { b: 2 }, c: 1 }));
  const response = await new Promise<providerPb.DiffResponse>((resolve, reject) => {
    client.diff(request, (error, result) => {
      if (error) reject(error);
      else resolve(result);
    });
  });
  expect(response.getChanges()).toBe(providerPb.DiffResponse.DiffChanges.DIFF_SOME);
  const named = response.getDetaileddiffMap();
  expect([...named.keys()]).toEqual(["a.b"]);
  expect(named.get("a.b")?.toObject()).toEqual({
    kind: providerPb.PropertyDiff.Kind.UPDATE,
    inputdiff: true,
  });
  expect(response.getReplacesList()).toEqual([]);
});

// Last: a cancelled provider takes no more work.
test("cancel ends the work in progress with the handler's own message", async () => {
  const request = new providerPb.UpdateRequest();
  request.setUrn(urn);
  request.setId("id");
  request.setOldInputs(struct({}));
  request.setOlds(struct({}));
  request.setNews(struct({}));
  const updated = new Promise((resolve, reject) => {
    client.update(request, (error, response) => {
      if (error) reject(error);
      else resolve(response);
    });
  });
  client.cancel(new emptyPb.Empty(), () => undefined);
  await expect(updated).rejects.toMatchObject({ details: "thing: cancelled" });
  await expect(create({})).rejects.toMatchObject({ details: "cancelled" });
});
