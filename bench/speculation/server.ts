import { setTimeout } from "node:timers/promises";
import { execa } from "execa";
import getPort from "get-port";
import { z } from "zod";
import type { Request } from "./requests.ts";

/** A batch that checked drafted tokens. */
export interface Check {
  drafted: number;
  accepted: number;
}

/** What came of a request. */
export interface Answer {
  text: string;
  tokens: number;
  /** Batches that checked drafted tokens; any other gave one token. */
  checks: Check[];
}

/** Most tokens of an answer that is the model's own. */
const MOST_TOKENS = 100;
const READY_SECONDS = 60;

/**
 * Asks llama-server one request after the other, always for the most probable token, as a service would get them.
 * @param forced whether it is held to the answers that are written (by a grammar), or gives its own
 */
export async function ask(
  program: string,
  model: string,
  flags: readonly string[],
  requests: readonly Request[],
  forced: boolean,
): Promise<Answer[]> {
  const port = await getPort();
  const server = execa(
    program,
    [
      ...[
        "--model",
        model,
        "--host",
        "127.0.0.1",
        "--port",
        String(port),
        "--parallel",
        "1",
        "--threads",
        "2",
      ],
      ...["--ctx-size", "2048", "--cache-ram", "0", "--offline", "--no-ui", ...flags],
    ],
    // With this it logs every check.
    { all: true, reject: false, env: { LLAMA_TRACE: "1" }, cleanup: true, maxBuffer: 1e8 },
  );
  const answers = [];
  try {
    const url = `http://127.0.0.1:${String(port)}`;
    await waitUntilReady(url, () => server.exitCode !== null);
    for (const request of requests) answers.push(await askOne(url, request, forced));
  } finally {
    server.kill();
  }
  const { all } = await server;
  const checks = checksOf(all);
  return answers.map((answer, index) => ({ ...answer, checks: checks[index] ?? [] }));
}

async function waitUntilReady(url: string, hasEnded: () => boolean): Promise<void> {
  for (let tries = 0; tries < READY_SECONDS * 5; tries += 1) {
    if (hasEnded()) break;
    const ready = await fetch(`${url}/health`).catch(() => undefined);
    if (ready?.ok === true) return;
    await setTimeout(200);
  }
  throw new Error("llama-server is not ready");
}

const completion = z.object({
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })]),
  timings: z.object({ predicted_n: z.number() }),
});

async function askOne(url: string, { prompt, answer }: Request, forced: boolean) {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({
      messages: [{ role: "user", content: prompt }],
      temperature: 0,
      cache_prompt: false,
      ...(forced ? { grammar: `root ::= ${JSON.stringify(answer)}` } : { max_tokens: MOST_TOKENS }),
    }),
  });
  if (!response.ok) throw new Error(`llama-server: ${await response.text()}`);
  const { choices, timings } = completion.parse(await response.json());
  return { text: choices[0].message.content, tokens: timings.predicted_n };
}

/** The checks of each request, in their order, from a log with `LLAMA_TRACE=1`. */
export function checksOf(log: string): Check[][] {
  const checks: Check[][] = [];
  for (const line of log.split("\n")) {
    if (/ launch_slot_: .* processing task/.test(line)) checks.push([]);
    const [, accepted, drafted] = /accepted +(\d+)\/ *(\d+) draft tokens/.exec(line) ?? [];
    if (accepted !== undefined) checks.at(-1)?.push({ drafted: Number(drafted), accepted: Number(accepted) });
  }
  return checks;
}
