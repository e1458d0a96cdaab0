import * as pulumi from "@pulumi/pulumi";
import { stateParams, systemPromptsOf, type SystemPrompt } from "../config/system-prompts.ts";
import type { ServerSettings } from "../config/server-settings.ts";
import type { GraphOptions } from "../plan/graph.ts";
import { digestOf } from "../stage/canonical.ts";
import type { JobResult } from "../stage/job.ts";
import { fileOf } from "../store/manifest.ts";
import type { SystemPromptState } from "./release.ts";

/** File of the stage `system-prompt`. */
export const stateFile = "system-prompt.state";

/** Which stage reads which system prompt. */
export interface SystemPromptStages {
  /** What the plan's graph takes. */
  stages: NonNullable<GraphOptions["systemPrompts"]>;
  /** Name of the stage that reads a prompt under the settings of a host. */
  stageOf: (prompt: SystemPrompt, settings: ServerSettings) => string;
}

/** One stage for each system prompt and all settings that its state depends on, called by the prompt's name. */
export function systemPromptStages(servers: readonly ServerSettings[]): SystemPromptStages {
  const byContent = new Map<string, { name: string; params: Record<string, unknown> }>();
  for (const server of servers)
    for (const { name, prompt } of systemPromptsOf(server)) {
      const params = { prompt, ...stateParams(server) };
      const content = digestOf(params);
      if (byContent.has(content)) continue;
      const taken = new Set([...byContent.values()].map((other) => other.name));
      byContent.set(content, { name: freeName(`system-prompt-${name}`, taken), params });
    }
  return {
    stages: [...byContent.values()],
    stageOf: ({ prompt }, settings) => {
      const stage = byContent.get(digestOf({ prompt, ...stateParams(settings) }));
      if (stage === undefined) throw new Error("no stage reads the system prompt under these settings");
      return stage.name;
    },
  };
}

function freeName(name: string, taken: ReadonlySet<string>, count = 1): string {
  const tried = count === 1 ? name : `${name}-${count}`;
  return taken.has(tried) ? freeName(name, taken, count + 1) : tried;
}

/** The states of a host's system prompts, as its release has them. */
export function systemPromptStates(
  settings: ServerSettings,
  stageOf: SystemPromptStages["stageOf"],
  resultOf: (stage: string) => pulumi.Output<JobResult>,
): pulumi.Output<SystemPromptState[]> {
  return pulumi.all(
    systemPromptsOf(settings).map((prompt) =>
      resultOf(stageOf(prompt, settings)).apply(({ files, metrics }): SystemPromptState => {
        const { sha256, bytes } = fileOf(files, stateFile);
        return { ...prompt, tokens: Number(metrics.tokens), sha256, bytes };
      }),
    ),
  );
}
