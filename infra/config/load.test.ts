import { describe, expect, it } from "vitest";
import { UserError } from "../../common/user-error.ts";
import { namedModels, parseStackConfig } from "./load.ts";
import type { StackConfig } from "./schema.ts";
import { hostKey } from "../ssh/testing/host-key.ts";

function problems(config: Record<string, unknown>): string[] {
  const all = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [
      `pipress:${key}`,
      typeof value === "string" ? value : JSON.stringify(value),
    ]),
  );
  try {
    parseStackConfig(all);
    return [];
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    return error.problems.map(({ where, what }) => `${where}: ${what}`);
  }
}

describe("namedModels", () => {
  const model = { huggingFace: { repo: "a/b", file: "c.gguf", sha256: "0".repeat(64) } };

  it("are those of a stack and of its groups, whatever else its file says", () => {
    const written = {
      "pipress:recipe": "smollm2-135m",
      "pipress:sudoPassword": { secure: "v1:x:y" },
      "pipress:groups": {
        small: { model, user: "me" },
        attic: { user: "me" },
        other: { model: "qwen3-0.6b" },
        none: null,
      },
    };
    expect(namedModels(written)).toEqual([{ recipe: "smollm2-135m" }, { model }, { model: "qwen3-0.6b" }]);
  });

  it("are none of a stack for artifacts, or of what is written wrongly", () => {
    expect(namedModels({ "pipress:kind": "artifacts", "pipress:bucket": "b" })).toEqual([]);
    expect(namedModels({ "pipress:model": { huggingFace: {} } })).toEqual([]);
  });
});

describe("parseStackConfig", () => {
  it("fills defaults and turns sizes into bytes", () => {
    const config = parseStackConfig({
      "pipress:recipe": "smollm2-135m",
      "pipress:hosts": '[{"name":"pi-0","virtual":{"memory":"1 GiB"}}]',
      "other:key": "is none of our business",
    });
    expect(config).toEqual({
      recipe: "smollm2-135m",
      server: {},
      groups: {},
      monitoring: false,
      takeOver: false,
      prepareHosts: false,
      rollout: {
        ...{ canary: { count: 1 }, steps: [], maxFailures: { count: 0 } },
        ...{ soak: 60, concurrency: 10, prefetch: true, peerToPeer: false, unreachable: "fail" },
      },
      hosts: [{ name: "pi-0", virtual: { memory: 2 ** 30, cpus: 2, disk: 8 * 2 ** 30 } }],
    });
  });

  it("reads waves as numbers or shares and the soak as a time", () => {
    const { rollout } = parseStackConfig({
      "pipress:recipe": "x",
      "pipress:rollout": '{"canary":2,"steps":["25 %","50%"],"soak":"1.5 h","orderBy":"ring"}',
    });
    expect(rollout).toMatchObject({
      canary: { count: 2 },
      steps: [{ share: 0.25 }, { share: 0.5 }],
      soak: 5400,
    });
    expect(problems({ recipe: "x", rollout: { canary: "some", soak: "soon", steps: ["120 %"] } })).toEqual([
      'pipress:rollout.canary: "some" is neither a number of hosts nor a share such as "20 %"',
      'pipress:rollout.steps[0]: "120 %" is neither a number of hosts nor a share such as "20 %"',
      'pipress:rollout.soak: "soon" is not a time; write it as "90 s" or "10 minutes"',
    ]);
  });

  it("reports every problem at once, each by its config path", () => {
    const messages = problems({
      server: { port: 70000 },
      hosts: [
        { name: "pi-0", virtual: { memory: "lots" } },
        { name: "Pi_1", address: "pi-1", hostKey: "nonsense" },
      ],
    });
    expect(messages).toHaveLength(5);
    expect(messages).toContain("pipress:recipe: is required, or pipress:model for a model that is ready");
    expect(messages.join("\n")).toContain('pipress:hosts[0].virtual.memory: "lots" is not a size');
    expect(messages.join("\n")).toContain("pipress:hosts[1].name: must be lower-case");
    expect(messages.join("\n")).toContain("pipress:hosts[1].hostKey: must be a public host key");
    expect(messages.join("\n")).toContain("pipress:server.port: ");
  });

  it("names the nearest known key for an unknown one, at any depth", () => {
    expect(problems({ recipe: "x", hsots: "[]", server: { prot: 1, zzzzzzzz: 2 } })).toEqual([
      'pipress:server.prot: unknown key; did you mean "port"?',
      "pipress:server.zzzzzzzz: unknown key; known here: port, contextLength, threads, parallel, minTokensPerSecond, cacheType, speculation, ui, flags, systemPrompt, allowFrom",
      'pipress:hsots: unknown key; did you mean "hosts"?',
    ]);
    expect(problems({ recipe: "x", hosts: [{ name: "pi-0", virtual: { memroy: "1 GiB" } }] })).toEqual([
      'pipress:hosts[0].virtual.memroy: unknown key; did you mean "memory"?',
    ]);
  });

  it("refuses what only the virtual machine would have refused, and hosts that were forgotten", () => {
    const virtual = { memory: "16 GiB", cpus: 8, disk: "1 GiB" };
    const server = { port: 80 };
    expect(problems({ recipe: "x", hosts: [{ name: "0-pi", virtual, server }] })).toEqual([
      "pipress:hosts[0].name: must be 1 to 32 lower-case letters, digits or dashes, starting with a letter",
      "pipress:hosts[0].virtual.memory: must be from 512 MiB to 8 GiB",
      "pipress:hosts[0].virtual.cpus: Too big: expected number to be <=4",
      "pipress:hosts[0].virtual.disk: must be from 2 to 512 GiB",
      "pipress:hosts[0].server.port: must be 1024 or higher: llama-server has no right to a lower port",
    ]);
    expect(problems({ recipe: "x", hosts: null })).toEqual([
      "pipress:hosts: is empty: list hosts, or leave the key out",
    ]);
  });

  // As the file has them; Pulumi makes text of each. A key without a line here fails the type check.
  const oneOfEach: { [Key in keyof Required<StackConfig>]: unknown } = {
    kind: "fleet",
    recipe: "2024",
    model: "smollm2-135m",
    store: "s3://models/p",
    builder: { ssh: { address: "gpu", user: "me", hostKey } },
    huggingFaceToken: "hf_123",
    hosts: [{ name: "pi-0", virtual: {} }],
    inventory: "hosts.yaml",
    sudoPassword: "1234",
    prepareHosts: true,
    groups: { attic: { user: "me" } },
    server: { port: 8081 },
    takeOver: true,
    endpoint: { host: "pi-0" },
    monitoring: true,
    rollout: { maxFailures: 1 },
  };

  it.each(Object.keys(oneOfEach))("takes %s as Pulumi hands it over", (key) => {
    const value = oneOfEach[key as keyof StackConfig];
    const config = { ...(key !== "model" && { recipe: "x" }), store: "s3://models/p", [key]: value };
    expect(problems(config)).toEqual([]);
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const read = parseStackConfig({
      ...(key !== "model" && { "pipress:recipe": "x" }),
      "pipress:store": "s3://models/p",
      [`pipress:${key}`]: text,
    });
    if (typeof value !== "object") expect(read).toMatchObject({ [key]: value });
  });

  it("says what a structured key should have been when it is plain text", () => {
    expect(problems({ recipe: "x", hosts: "pi-0" })).toEqual([
      "pipress:hosts: Invalid input: expected array, received string",
    ]);
  });

  const ssh = { address: "gpu", user: "me", hostKey };

  it("takes a bucket as the store and a machine of one's own as the builder", () => {
    const config = parseStackConfig({
      "pipress:recipe": "x",
      "pipress:store": "s3://models/p?endpoint=http://nas:9000",
      "pipress:builder": JSON.stringify({ ssh }),
    });
    expect(config.builder).toEqual({ ssh: { ...ssh, port: 22 } });
    expect(config.store).toBe("s3://models/p?endpoint=http://nas:9000");
  });

  it("refuses a relative private key wherever a machine is described, by its config path", () => {
    const wrong = { privateKeyFile: "keys/pi" };
    const bastion = { address: "gate", user: "me", hostKey, ...wrong };
    const pi = { name: "pi-1", address: "10.0.0.1", hostKey };
    const message = "must be an absolute path, or one that starts with ~/";
    expect(
      problems({
        ...{ recipe: "x", store: "s3://models/p", builder: { ssh: { ...ssh, ...wrong, bastion } } },
        hosts: [{ ...pi, ...wrong, bastion }],
        groups: { attic: { ...wrong, bastion } },
        endpoint: { host: { ...pi, name: "gate", agentSocket: "agent", bastion } },
      }),
    ).toEqual([
      `pipress:builder.ssh.privateKeyFile: ${message}`,
      `pipress:builder.ssh.bastion.privateKeyFile: ${message}`,
      `pipress:hosts[0].privateKeyFile: ${message}`,
      `pipress:hosts[0].bastion.privateKeyFile: ${message}`,
      `pipress:groups.attic.privateKeyFile: ${message}`,
      `pipress:groups.attic.bastion.privateKeyFile: ${message}`,
      `pipress:endpoint.host.agentSocket: ${message}`,
      `pipress:endpoint.host.bastion.privateKeyFile: ${message}`,
    ]);
  });

  const aws = { region: "us-east-1", maxCostUsd: 20 };
  const onAws = (changes: object, rest: object = {}) =>
    problems({ recipe: "x", store: "s3://models/p", builder: { aws: { ...aws, ...changes }, ...rest } });

  it("takes EC2 instances with no more than a region and a limit", () => {
    const { builder } = parseStackConfig({
      "pipress:recipe": "x",
      "pipress:store": "s3://models/p",
      "pipress:builder": JSON.stringify({ aws }),
    });
    expect(builder?.aws).toMatchObject({
      ...aws,
      gpu: { disk: 2e11 },
      onDemand: false,
      maxDuration: 86_400,
      ...{ stallTimeout: 1800, gpuIdleTimeout: 1200, idleTimeout: 300 },
    });
    expect(builder?.aws?.gpu.types[0]).toBe("g6e.2xlarge");
  });

  it("reports every mistake about instances at once", () => {
    expect(
      onAws({ maxCostUsd: undefined, region: "frankfurt", idleTimeout: "soon", gpu: { types: ["big"] } }),
    ).toEqual([
      'pipress:builder.aws.region: must be a region such as "us-east-1"',
      'pipress:builder.aws.gpu.types[0]: must be an EC2 instance type such as "g6e.2xlarge"',
      "pipress:builder.aws.maxCostUsd: is required",
      'pipress:builder.aws.idleTimeout: "soon" is not a time; write it as "90 s" or "10 minutes"',
    ]);
  });

  it("wants to know what an instance costs, for every type", () => {
    expect(onAws({ gpu: { types: ["g6e.2xlarge", "p6.48xlarge"] } })).toEqual([
      "pipress:builder.aws.gpu.types[1]: no price is known for p6.48xlarge in us-east-1; write it down: prices: { p6.48xlarge: { onDemand: …, spot: … } }",
    ]);
    const prices = { "p6.48xlarge": { onDemand: 98, spot: 40 } };
    expect(onAws({ gpu: { types: ["p6.48xlarge"] }, prices })).toEqual([]);
    expect(onAws({ region: "eu-north-1" })).toHaveLength(8);
  });

  it("refuses two builders, a folder as the store of instances, and a prefix that no role can be limited to", () => {
    expect(onAws({}, { ssh })).toEqual(["pipress:builder: names two builders, ssh and aws; keep one"]);
    expect(problems({ recipe: "x", builder: { aws } }).join()).toContain(
      "because stages run on EC2 instances",
    );
    expect(problems({ recipe: "x", store: "s3://models", builder: { aws } }).join()).toContain(
      "needs a prefix",
    );
  });

  it.each([
    ["/srv/x", 'must be a folder or a bucket as a URL, e.g. "file:///srv/pipress" or "s3://bucket/prefix"'],
    ["s3://Models", '"s3://Models" names no bucket; write it as s3://bucket/prefix'],
    ["s3://models?endpoint=nas", 'has an endpoint "nas" that is not an address'],
  ])("refuses the store %s", (store, message) => {
    expect(problems({ recipe: "x", store }).join()).toContain(message);
  });

  it("wants a bucket when stages run on another machine, which cannot write to a folder of this one", () => {
    const message = "pipress:store: must be a bucket both machines reach, because stages run on gpu";
    expect(problems({ recipe: "x", builder: { ssh } }).join()).toContain(message);
    expect(problems({ recipe: "x", builder: { ssh }, store: "file:///srv" }).join()).toContain(message);
  });
});
