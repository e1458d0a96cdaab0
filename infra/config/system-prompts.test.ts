import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { repoRoot } from "../../common/paths.ts";
import { resolveHosts } from "./hosts.ts";
import { parseStackConfig } from "./load.ts";
import { stackConfigSchema } from "./schema.ts";
import { checkSystemPrompts, stateParams, systemPromptsOf } from "./system-prompts.ts";
import { server } from "./testing/settings.ts";

const recipe = { name: "r", server: { contextLength: 512, threads: 4, parallel: 1, minTokensPerSecond: 0 } };

/** What is said against a configuration; nothing where it is right. */
function problems(written: object, changes: object = {}, more: { pooling?: "mean" } = {}): string {
  const config = stackConfigSchema.parse({ recipe: "r", hosts: [{ name: "pi-0", virtual: {} }], ...written });
  const placed = config.hosts.map((host, index) => ({ where: `pipress:hosts[${index}]`, host }));
  const changed = { ...recipe, ...more, server: { ...recipe.server, ...changes } };
  try {
    checkSystemPrompts(
      config,
      resolveHosts(placed, config, () => changed),
      () => changed,
    );
    return "";
  } catch (error) {
    return (error as Error).message;
  }
}

describe("systemPromptsOf", () => {
  it("calls a prompt without a name `main`, and keeps the order of several", () => {
    const named = [
      { name: "desk", prompt: "a" },
      { name: "poet", prompt: "b" },
    ];
    expect(systemPromptsOf({ systemPrompt: "You are a desk." })).toEqual([
      { name: "main", prompt: "You are a desk." },
    ]);
    expect(systemPromptsOf({ systemPrompt: named })).toEqual(named);
    expect(systemPromptsOf({})).toEqual([]);
  });
});

describe("stateParams", () => {
  it("has what a state depends on, and nothing else", () => {
    const { arguments: given, ...rest } = stateParams({
      ...server,
      flags: { "--swa-full": true, "--rope-scale": 2, "--log-verbosity": 1, "--threads-batch": 2 },
    });
    expect(rest).toEqual({ contextLength: 512, parallel: 1 });
    expect(given.slice(2)).toEqual(["--swa-full", "--rope-scale", "2"]);
    for (const same of [{ port: 9000 }, { threads: 2 }, { minTokensPerSecond: 3 }, { allowFrom: [] }])
      expect(stateParams({ ...server, ...same })).toEqual(stateParams(server));
  });

  it("starts the builder's server as the hosts' is started", () => {
    const rendered = readFileSync(join(repoRoot, "ansible/group_vars/all/server-arguments.yml"), "utf8");
    const [name, variables, ...cache] = stateParams({ ...server, cacheType: "q8_0" }).arguments;
    expect(rendered).toContain(`'${name}', "'" ~ '${variables}' ~ "'"`);
    expect(rendered).toContain(cache.map((argument) => `'${argument}'`).join(", "));
  });
});

describe("checkSystemPrompts", () => {
  const long = "word ".repeat(1200);
  const tooLong =
    /has 6000 characters, which are 500 tokens at the least, but a request has 512 tokens of context, 64 of/;

  it("names the place where a prompt is written that is too long whatever its tokens are", () => {
    expect(problems({ server: { systemPrompt: long } })).toMatch(/^pipress:server\.systemPrompt: /);
    expect(problems({ server: { systemPrompt: long } })).toMatch(tooLong);
    expect(problems({}, { systemPrompt: long })).toMatch(/^r: server\.systemPrompt: /);
    const hosts = [{ name: "pi-0", virtual: {}, server: { systemPrompt: [{ name: "a", prompt: long }] } }];
    expect(problems({ hosts })).toMatch(/^pipress:hosts\[0\]\.server\.systemPrompt\[0\]: /);
    const grouped = { groups: { attic: { server: { systemPrompt: long } } } };
    expect(problems({ ...grouped, hosts: [{ name: "pi-0", group: "attic", virtual: {} }] })).toMatch(
      /^pipress:groups\.attic\.server\.systemPrompt: /,
    );
  });

  it("takes one that may fit, and goes by the context of a request", () => {
    expect(problems({ server: { systemPrompt: long, contextLength: 1024 } })).toBe("");
    expect(problems({ server: { systemPrompt: long, contextLength: 1024, parallel: 2 } })).toMatch(tooLong);
  });

  it("has none for an embedding model", () => {
    const written = { server: { systemPrompt: "You are a desk." } };
    expect(problems(written, {}, { pooling: "mean" })).toBe(
      "pipress:server.systemPrompt: r is an embedding model, which takes none — leave it out",
    );
    expect(problems({}, {}, { pooling: "mean" })).toBe("");
  });

  it("wants every prompt to have a name of its own", () => {
    const systemPrompt = [
      { name: "desk", prompt: "a" },
      { name: "desk", prompt: "b" },
    ];
    expect(problems({ server: { systemPrompt } })).toMatch(
      /^pipress:server\.systemPrompt\[1\]\.name: "desk" is the name of two system prompts/,
    );
  });
});

describe("a system prompt in the configuration", () => {
  const parse = (systemPrompt: unknown) =>
    parseStackConfig({ "pipress:recipe": "r", "pipress:server": JSON.stringify({ systemPrompt }) });

  it.each([
    ["", /pipress:server\.systemPrompt.* must not be empty/],
    [" \n", /pipress:server\.systemPrompt.* must not be empty/],
    [[], /pipress:server\.systemPrompt.* must name a system prompt/],
    [[{ name: "a", prompt: "" }], /pipress:server\.systemPrompt\[0\]\.prompt.* must not be empty/],
    [[{ name: "A b", prompt: "x" }], /pipress:server\.systemPrompt\[0\]\.name.* must be 1 to 32/],
    [[{ name: "a", text: "x" }], /pipress:server\.systemPrompt\[0\]/],
    [7, /pipress:server\.systemPrompt/],
  ])("is refused by its path: %j", (written, message) => {
    expect(() => parse(written)).toThrow(message);
  });
});
