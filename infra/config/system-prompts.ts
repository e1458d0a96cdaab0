import { UserError, type Problem } from "../../common/user-error.ts";
import type { Model } from "../model/model.ts";
import type { ReadyModel } from "../model/ready-model.ts";
import type { HostConfig } from "./hosts.ts";
import type { StackConfig } from "./schema.ts";
import type { ServerSettings } from "./server-settings.ts";

/** A system prompt whose KV state the release carries. */
export interface SystemPrompt {
  /** Of its file; of a prompt that is written without a name, `main`. */
  name: string;
  prompt: string;
}

/** Tokens of context that a system prompt has to leave for a question and its answer; `system_prompt.py` asks for as many. */
const LEFT_TOKENS = 64;
/** More bytes than any tokenizer takes for a token of running text (`models/pipress/tokens.py`). */
const BYTES_PER_TOKEN = 12;

/**
 * Options of llama-server that change nothing about a state: what it logs, and how many threads compute. A builder would not
 * see its server get ready without a log.
 */
const stateless = /^--(log-|verbos|threads|no-warmup|cpu-|prio|poll)/;

/**
 * Some templates put today's date before the system prompt: its state would be good for a day. Those take the date from this
 * variable, where it is set; it is what Llama 3.1's own template says.
 */
const templateVariables = JSON.stringify({ date_string: "26 Jul 2024" });

/** The system prompts of a server, in the order in which they are written. */
export function systemPromptsOf({ systemPrompt = [] }: Pick<ServerSettings, "systemPrompt">): SystemPrompt[] {
  return typeof systemPrompt === "string" ? [{ name: "main", prompt: systemPrompt }] : systemPrompt;
}

/** The settings of a server that the states of its system prompts depend on, as parameters of the stage `system-prompt`. */
export function stateParams({ contextLength, parallel, cacheType, flags }: ServerSettings): {
  contextLength: number;
  parallel: number;
  arguments: string[];
} {
  const further = Object.entries(flags).filter(([flag]) => !stateless.test(flag));
  return {
    contextLength,
    parallel,
    // As in ansible/group_vars/all/server-arguments.yml.
    arguments: [
      "--chat-template-kwargs",
      templateVariables,
      ...(cacheType === "q8_0"
        ? ["--cache-type-k", cacheType, "--cache-type-v", cacheType, "--flash-attn", "on"]
        : []),
      ...further.flatMap(([flag, value]) => (value === true ? [flag] : [flag, String(value)])),
    ],
  };
}

/**
 * Checks what can be known of the system prompts before a tokenizer is there.
 * @throws UserError with every prompt whose name is not its own, or that is too long for a request's context whatever its tokens are
 */
export function checkSystemPrompts(
  { server, groups }: Pick<StackConfig, "server" | "groups">,
  fleet: readonly HostConfig[],
  modelOf: (host: HostConfig) => Pick<Model, "name" | "server"> & Pick<ReadyModel, "pooling">,
): void {
  const levels = [
    { where: "pipress:server.systemPrompt", written: server?.systemPrompt },
    ...Object.entries(groups).map(([name, group]) => ({
      where: `pipress:groups.${name}.server.systemPrompt`,
      written: group.server?.systemPrompt,
    })),
  ];
  const problems = new Map<string, Problem>();
  for (const host of fleet) {
    const { systemPrompt } = host.server;
    const model = modelOf(host);
    const ofModel = { where: `${model.name}: server.systemPrompt`, written: model.server.systemPrompt };
    const level = [ofModel, ...levels].find(
      ({ written }) => written !== undefined && written === systemPrompt,
    );
    const where = level?.where ?? `${host.where}.server.systemPrompt`;
    const problemsOfHost =
      systemPrompt !== undefined && model.pooling !== undefined
        ? [{ where, what: `${model.name} is an embedding model, which takes none`, remedy: "leave it out" }]
        : problemsOf(host.server, where);
    for (const problem of problemsOfHost) problems.set(JSON.stringify(problem), problem);
  }
  if (problems.size > 0) throw new UserError([...problems.values()]);
}

function problemsOf(server: ServerSettings, where: string): Problem[] {
  const prompts = systemPromptsOf(server);
  const isList = typeof server.systemPrompt !== "string";
  const context = Math.floor(server.contextLength / server.parallel);
  return prompts.flatMap(({ name, prompt }, index): Problem[] => {
    const path = isList ? `${where}[${index}]` : where;
    if (prompts.findIndex((other) => other.name === name) < index)
      return [{ where: `${path}.name`, what: `"${name}" is the name of two system prompts` }];
    const least = Math.ceil(Buffer.byteLength(prompt) / BYTES_PER_TOKEN);
    if (least + LEFT_TOKENS <= context) return [];
    return [
      {
        where: path,
        what:
          `has ${prompt.length} characters, which are ${least} tokens at the least, but a request has ${context} tokens of ` +
          `context, ${LEFT_TOKENS} of them for question and answer`,
        remedy: "shorten it, or raise server.contextLength",
      },
    ];
  });
}
