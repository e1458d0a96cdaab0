import { createInterface } from "node:readline/promises";
import { text } from "node:stream/consumers";
import { didYouMean } from "../common/nearest.ts";
import { UserError } from "../common/user-error.ts";
import { servedModels } from "../infra/config/served-models.ts";
import type { Report } from "../infra/fleet/report.ts";
import { Conversation, type Answer, type Endpoint } from "./conversation.ts";
import { stackOutputs } from "./run-pulumi.ts";
import { openStack, type Stack, type StackOptions } from "./stack.ts";

/** What `up` says of a fleet that can be talked to; nothing of it where there is no host. */
interface Outputs extends Partial<Endpoint> {
  baseUrls?: Record<string, string>;
  report?: Pick<Report, "hosts">;
}

/**
 * `./pipress chat [HOST]`: a conversation with the fleet, or with one host. Where standard input is no terminal, all of it is
 * one question.
 */
export async function chat(
  host: string | undefined,
  options: StackOptions & { json?: true; maxTokens?: number; model?: string },
): Promise<number> {
  const stack = await openStack(options);
  const outputs = await stackOutputs<Outputs>(stack.fullName, "--show-secrets");
  const endpoint = chooseEndpoint(outputs, host);
  checkChats(outputs, host);
  const { model = ownModel(stack), maxTokens } = options;
  const conversation = new Conversation(endpoint, { model, maxTokens });
  const source = host ?? endpoint.baseUrl;
  if (process.stdin.isTTY && !options.json) await talk(conversation, source);
  else await answerOnce(conversation, source, options.json === true);
  return 0;
}

/** `./pipress key`: what a client has to send. */
export async function key(options: StackOptions): Promise<number> {
  console.log((await readEndpoint(await openStack(options))).apiKey);
  return 0;
}

/** Where a stack, or one of its hosts, answers, and with which key. */
export async function readEndpoint({ fullName }: Stack, host?: string): Promise<Endpoint> {
  return chooseEndpoint(await stackOutputs<Outputs>(fullName, "--show-secrets"), host);
}

/** The name of the stack's own model, which an endpoint in front of several models asks for. */
function ownModel({ config }: Stack): string | undefined {
  const [own, ...others] = servedModels(config);
  return others.length > 0 ? own?.model.name : undefined;
}

/** @throws UserError where the stack serves nothing, or has no such host */
export function chooseEndpoint({ baseUrl, baseUrls = {}, apiKey }: Outputs, host?: string): Endpoint {
  if (baseUrl === undefined || apiKey === undefined)
    throw new UserError({
      where: "chat",
      what: "no host of this stack serves a model yet",
      remedy: "`./pipress up` rolls it out",
    });
  if (host === undefined) return { baseUrl, apiKey };
  const own = baseUrls[host];
  if (own !== undefined) return { baseUrl: own, apiKey };
  const names = Object.keys(baseUrls);
  throw new UserError({
    where: host,
    what: "no host of this stack is called so",
    remedy: didYouMean(host, names) ?? `one of: ${names.join(", ")}`,
  });
}

/** @throws UserError where the host, or every host there is, serves an embedding model, by its last health check */
export function checkChats({ report }: Pick<Outputs, "report">, host?: string): void {
  const asked = (report?.hosts ?? []).filter((figures) => host === undefined || figures.host === host);
  if (asked.length === 0 || asked.some(({ dimensions }) => dimensions === undefined)) return;
  throw new UserError({
    where: host ?? "chat",
    what: "serves an embedding model, which gives texts vectors and does not chat",
    remedy: "ask its /v1/embeddings; docs/clients.md says how",
  });
}

/** Question by question. Ctrl-C stops an answer; where there is none, as Ctrl-D does, the conversation. */
async function talk(conversation: Conversation, source: string): Promise<void> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr, prompt: "> " });
  let answering: AbortController | undefined;
  terminal.on("SIGINT", () => {
    if (answering === undefined) terminal.close();
    else answering.abort();
  });
  console.error(`${source}: /new begins anew, Ctrl-C stops an answer, Ctrl-D ends`);
  terminal.prompt();
  for await (const line of terminal) {
    const question = line.trim();
    if (question === "/new") conversation.begin();
    else if (question !== "") {
      answering = new AbortController();
      await answerAloud(conversation, question, source, answering.signal).catch(sayProblem);
      answering = undefined;
    }
    terminal.prompt();
  }
  console.error();
}

/** A mistake ends a question, not the conversation. */
function sayProblem(error: unknown): void {
  if (!(error instanceof UserError)) throw error;
  console.error(error.message);
}

async function answerOnce(conversation: Conversation, source: string, json: boolean): Promise<void> {
  const question = (await text(process.stdin)).trim();
  if (question === "")
    throw new UserError({
      where: "chat",
      what: "there is no question",
      remedy: 'write it to standard input: `echo "Who are you?" | ./pipress chat`',
    });
  const never = new AbortController().signal;
  if (!json) return answerAloud(conversation, question, source, never);
  console.log(JSON.stringify(await conversation.ask(question, {}, never)));
}

/** The answer goes to standard output as it comes, what it took to standard error. */
async function answerAloud(
  conversation: Conversation,
  question: string,
  source: string,
  signal: AbortSignal,
): Promise<void> {
  const note = noteFor(process.stderr);
  const answer = await conversation
    .ask(
      question,
      {
        onRead: (done, total) => {
          note(`reading ${done} of ${total} tokens`);
        },
        onText: (piece) => {
          note("");
          process.stdout.write(piece);
        },
      },
      signal,
    )
    .finally(() => {
      note("");
    });
  console.log();
  console.error(answer === undefined ? "(stopped)" : describeAnswer(answer, source));
}

/** `(34 tokens, 2.1 tokens/s, from pi-2)`. @param source where no host is known */
export function describeAnswer({ tokens, tokensPerSecond, host }: Answer, source: string): string {
  return `(${tokens} tokens, ${tokensPerSecond.toFixed(1)} tokens/s, from ${host ?? source})`;
}

/** A line at a terminal that the next one takes the place of; elsewhere nothing. */
function noteFor(stream: NodeJS.WriteStream): (line: string) => void {
  let shown = "";
  return (line) => {
    if (!stream.isTTY || line === shown) return;
    stream.write(`\r\x1b[K${line}`);
    shown = line;
  };
}
