import OpenAI, { APIConnectionError, APIError, APIUserAbortError } from "openai";
import { UserError } from "../common/user-error.ts";

/** Where a fleet answers, and what it asks for. */
export interface Endpoint {
  /** With `/v1`. */
  baseUrl: string;
  apiKey: string;
}

/** What was said, and what it took. */
export interface Answer {
  text: string;
  /** Tokens of the answer. */
  tokens: number;
  tokensPerSecond: number;
  /** Tokens that were read for it: those that no earlier question had. */
  promptTokens: number;
  promptTokensPerSecond: number;
  /** The host that answered, where the load balancer says which. */
  host?: string;
}

/** What every question of a conversation asks for. */
export interface Asked {
  /** By name; a host, and an endpoint in front of one model, answer to any. */
  model?: string | undefined;
  /** Of an answer; without it an answer ends where the model, or the context, does. */
  maxTokens?: number | undefined;
}

/** What a listener hears of an answer while it is made. */
export interface Listener {
  /** Tokens of the prompt that are read, of so many. */
  onRead?: (done: number, total: number) => void;
  onText?: (text: string) => void;
}

/** What llama-server adds to OpenAI's chunks: how far it has read the prompt, and with the last one how fast it was. */
interface ChunkOfLlamaServer {
  prompt_progress?: { total: number; processed: number };
  timings?: {
    prompt_n: number;
    prompt_per_second: number;
    predicted_n: number;
    predicted_per_second: number;
  };
}

/** The load balancer's word for who answered (ansible/roles/load_balancer). */
const SERVED_BY = "x-served-by";
/** A Pi may read for minutes before it says a word, and others may be served first. */
const TIMEOUT_MS = 60 * 60_000;

/** Questions and answers, each answer in the light of those before it. */
export class Conversation {
  private readonly client: OpenAI;
  private messages: { role: "user" | "assistant"; content: string }[] = [];

  constructor(
    private readonly endpoint: Endpoint,
    private readonly asked: Asked = {},
  ) {
    const { baseUrl: baseURL, apiKey } = endpoint;
    this.client = new OpenAI({ baseURL, apiKey, timeout: TIMEOUT_MS, maxRetries: 1 });
  }

  /** Forgets what was said. */
  begin(): void {
    this.messages = [];
  }

  /**
   * Asks, and tells of the answer as it comes. A question that fails, or is stopped before a word of its answer, is as if it
   * had not been asked.
   * @returns undefined where the signal stopped it; what was said by then has been heard, and stays part of the conversation
   * @throws UserError where nobody answers
   */
  async ask(question: string, listener: Listener, signal: AbortSignal): Promise<Answer | undefined> {
    const messages = [...this.messages, { role: "user" as const, content: question }];
    let text = "";
    let timings: ChunkOfLlamaServer["timings"];
    let isWhole = false;
    try {
      const request = {
        model: this.asked.model ?? "pipress",
        messages,
        stream: true as const,
        return_progress: true,
        ...(this.asked.maxTokens !== undefined && { max_tokens: this.asked.maxTokens }),
      };
      const { data, response } = await this.client.chat.completions
        .create(request, { signal })
        .withResponse();
      for await (const chunk of data) {
        const { prompt_progress: read, ...rest } = chunk as typeof chunk & ChunkOfLlamaServer;
        if (read) listener.onRead?.(read.processed, read.total);
        const [choice] = chunk.choices;
        isWhole ||= choice?.finish_reason != null;
        const piece = choice?.delta.content ?? "";
        text += piece;
        if (piece !== "") listener.onText?.(piece);
        timings = rest.timings ?? timings;
      }
      if (!isWhole && !signal.aborted) throw new Error("the connection was closed");
      if (!signal.aborted) {
        this.messages = [...messages, { role: "assistant", content: text }];
        const host = response.headers.get(SERVED_BY);
        return {
          text,
          tokens: timings?.predicted_n ?? 0,
          tokensPerSecond: timings?.predicted_per_second ?? 0,
          promptTokens: timings?.prompt_n ?? 0,
          promptTokensPerSecond: timings?.prompt_per_second ?? 0,
          ...(host !== null && { host }),
        };
      }
    } catch (error) {
      if (!(error instanceof APIUserAbortError) && !signal.aborted) throw this.problem(error);
    }
    if (text !== "") this.messages = [...messages, { role: "assistant", content: text }];
    return undefined;
  }

  private problem(error: unknown): UserError {
    const where = this.endpoint.baseUrl;
    if (error instanceof APIConnectionError) {
      const { code, message } = rootOf(error) as NodeJS.ErrnoException;
      return new UserError({
        where,
        what: `cannot be reached: ${code ?? message}`,
        remedy: CERTIFICATES.test(`${code ?? ""} ${message}`)
          ? "NODE_EXTRA_CA_CERTS=FILE names a certificate that signs it"
          : "`./pipress status` shows what the hosts said last, `./pipress refresh` asks them",
      });
    }
    if (!(error instanceof APIError))
      return new UserError({
        where,
        what: `the answer broke off: ${rootOf(error as Error).message}`,
        remedy: "ask again; `./pipress status` shows what the hosts said last",
      });
    const { status, type } = error as { status?: number; type?: string | null };
    const what = error.message.replace(/^\d+ /, "");
    if (status === 401)
      return new UserError({
        where,
        what: "refuses the stack's key",
        remedy: "run `./pipress up`: hosts get it then",
      });
    if (type === "exceed_context_size_error")
      return new UserError({
        where,
        what: `the conversation is longer than the model's context: ${what}`,
        remedy: "begin anew with /new; `server.contextLength` sets how much there is",
      });
    if (NO_CHAT.test(what))
      return new UserError({
        where,
        what: `${this.asked.model ?? "its model"} embeds texts, and does not chat`,
        remedy: "--model names another where there are several; /v1/embeddings asks this one",
      });
    return new UserError({
      where,
      what: `answers ${String(status ?? "with an error")}: ${what}`,
      remedy: "`./pipress status` shows what the hosts serve",
    });
  }
}

const CERTIFICATES = /CERT|SIGNATURE|ISSUER|SIGNED/i;

/** llama-server's words with an embedding model. */
const NO_CHAT = /does not support (logits computation|chat completions|completions)/i;

/** What lies under an error of the connection. */
function rootOf(error: Error): Error {
  return error.cause instanceof Error ? rootOf(error.cause) : error;
}
