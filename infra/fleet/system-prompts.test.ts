import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { server } from "../config/testing/settings.ts";
import type { JobResult } from "../stage/job.ts";
import { stateFile, systemPromptStages, systemPromptStates } from "./system-prompts.ts";

const desk = { name: "desk", prompt: "You are a desk." };
const poet = { name: "poet", prompt: "You are a poet." };

describe("systemPromptStages", () => {
  it("reads each prompt once for all hosts whose settings give the same state", () => {
    const settings = { ...server, systemPrompt: [desk, poet] };
    const { stages, stageOf } = systemPromptStages([
      settings,
      { ...settings, port: 9000, threads: 2 },
      server,
    ]);
    expect(stages.map(({ name }) => name)).toEqual(["system-prompt-desk", "system-prompt-poet"]);
    expect(stageOf(poet, { ...settings, port: 9000 })).toBe("system-prompt-poet");
  });

  it("reads it again for settings that give another", () => {
    const changes = [{}, { cacheType: "q8_0" as const }, { contextLength: 1024 }, { parallel: 2 }];
    const servers = changes.map((change) => ({ ...server, systemPrompt: "You are a desk.", ...change }));
    const { stages, stageOf } = systemPromptStages(servers);
    const main = { name: "main", prompt: "You are a desk." };
    expect(stages.map(({ name }) => name)).toEqual(servers.map((settings) => stageOf(main, settings)));
    expect(new Set(stages.map(({ name }) => name)).size).toBe(4);
  });

  it("has names of their own for prompts of which one's name begins another's", () => {
    const prompts = ["desk", "desk-2"].map((name) => ({ name, prompt: name }));
    const servers = ["f16", "q8_0"].map((cacheType) => ({
      ...server,
      systemPrompt: prompts,
      cacheType: cacheType as "f16" | "q8_0",
    }));
    const names = systemPromptStages(servers).stages.map(({ name }) => name);
    expect(new Set(names).size).toBe(4);
  });
});

describe("systemPromptStates", () => {
  it("has digest, size and tokens from the stage that read the prompt", async () => {
    const settings = { ...server, systemPrompt: [desk] };
    const result = { files: { [stateFile]: { sha256: "aa", bytes: 9 } }, metrics: { tokens: 12 } };
    const states = systemPromptStates(settings, systemPromptStages([settings]).stageOf, () =>
      pulumi.output(result as unknown as JobResult),
    );
    const value = await new Promise((resolve) => states.apply(resolve));
    expect(value).toEqual([{ ...desk, sha256: "aa", bytes: 9, tokens: 12 }]);
  });
});
