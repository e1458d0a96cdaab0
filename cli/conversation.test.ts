import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { text } from "node:stream/consumers";
import type { AddressInfo } from "node:net";
import getPort from "get-port";
import { afterEach, describe, expect, it } from "vitest";
import { Conversation } from "./conversation.ts";

type Handler = (
  response: ServerResponse,
  body: { messages: { content: string }[] },
  request: IncomingMessage,
) => void;

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

/** A stand-in for llama-server, whose own answers tests/e2e sees. */
async function standIn(handler: Handler, maxTokens?: number): Promise<Conversation> {
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      handler(response, JSON.parse(body) as never, request);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return new Conversation({ baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: "k3y" }, { maxTokens });
}

function begin(response: ServerResponse, ...pieces: string[]): void {
  response.writeHead(200, { "content-type": "text/event-stream", "x-served-by": "pi-2" });
  response.write(event({ choices: [], prompt_progress: { total: 9, processed: 4 } }));
  for (const content of pieces) response.write(event({ choices: [{ delta: { content } }] }));
}

function end(response: ServerResponse): void {
  const timings = { prompt_n: 9, prompt_per_second: 8, predicted_n: 2, predicted_per_second: 3.5 };
  response.write(event({ choices: [{ delta: {}, finish_reason: "stop" }], timings }));
  response.end("data: [DONE]\n\n");
}

const event = (chunk: object): string => `data: ${JSON.stringify(chunk)}\n\n`;
const never = new AbortController().signal;

function refuse(response: ServerResponse, status: number, error: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error }));
}

describe("a conversation", () => {
  it("tells of an answer as it comes, and what it took", async () => {
    const asked: unknown[] = [];
    const conversation = await standIn((response, body, { headers }) => {
      asked.push({ ...body, key: headers.authorization });
      begin(response, "Par", "is");
      end(response);
    });
    const heard: unknown[] = [];
    const listener = {
      onRead: (...read: number[]) => heard.push(read),
      onText: (piece: string) => heard.push(piece),
    };
    expect(await conversation.ask("Where?", listener, never)).toEqual({
      ...{ text: "Paris", tokens: 2, tokensPerSecond: 3.5, promptTokens: 9, promptTokensPerSecond: 8 },
      host: "pi-2",
    });
    expect(heard).toEqual([[4, 9], "Par", "is"]);
    expect(asked).toMatchObject([{ messages: [{ role: "user", content: "Where?" }], key: "Bearer k3y" }]);
  });

  it("asks for no longer an answer than is wanted", async () => {
    const asked: object[] = [];
    const handler: Handler = (response, body) => {
      asked.push(body);
      begin(response, "A");
      end(response);
    };
    await (await standIn(handler, 12)).ask("1", {}, never);
    await (await standIn(handler)).ask("1", {}, never);
    expect(asked[0]).toMatchObject({ max_tokens: 12 });
    expect(asked[1]).not.toHaveProperty("max_tokens");
  });

  it("asks in the light of what was said, until it begins anew", async () => {
    const asked: string[][] = [];
    const conversation = await standIn((response, { messages }) => {
      asked.push(messages.map(({ content }) => content));
      begin(response, "A");
      end(response);
    });
    await conversation.ask("1", {}, never);
    await conversation.ask("2", {}, never);
    conversation.begin();
    await conversation.ask("3", {}, never);
    expect(asked).toEqual([["1"], ["1", "A", "2"], ["3"]]);
  });

  it("keeps what a stopped answer said", async () => {
    const asked: string[][] = [];
    const conversation = await standIn((response, { messages }) => {
      asked.push(messages.map(({ content }) => content));
      begin(response, "Well");
      if (asked.length > 1) end(response);
    });
    const stop = new AbortController();
    const listener = {
      onText: () => {
        stop.abort();
      },
    };
    expect(await conversation.ask("1", listener, stop.signal)).toBeUndefined();
    await conversation.ask("2", {}, never);
    expect(asked[1]).toEqual(["1", "Well", "2"]);
  });

  it("forgets a question that was stopped before a word of its answer", async () => {
    const stop = new AbortController();
    let questions: string[] = [];
    const conversation = await standIn((response, { messages }) => {
      questions = messages.map(({ content }) => content);
      begin(response);
      if (stop.signal.aborted) end(response);
      else stop.abort();
    });
    expect(await conversation.ask("1", {}, stop.signal)).toBeUndefined();
    await conversation.ask("2", {}, never);
    expect(questions).toEqual(["2"]);
  });

  it.each<[string, Handler, RegExp]>([
    [
      "another key",
      (response) => {
        refuse(response, 401, { message: "Invalid API Key", type: "authentication_error" });
      },
      /refuses the stack's key — run `\.\/pipress up`/,
    ],
    [
      "too long a conversation",
      (response) => {
        refuse(response, 400, { message: "request (9 tokens) exceeds 8", type: "exceed_context_size_error" });
      },
      /longer than the model's context: request \(9 tokens\) exceeds 8 — begin anew with \/new/,
    ],
    [
      "an embedding model",
      (response) => {
        const message = "the current context does not support logits computation. skipping";
        refuse(response, 500, { message, type: "server_error" });
      },
      /embeds texts, and does not chat — --model names another/,
    ],
    [
      "anything else",
      (response) => {
        refuse(response, 422, { message: "no such thing" });
      },
      /answers 422: no such thing/,
    ],
    [
      "a host that is gone in the middle",
      (response) => {
        begin(response, "Well");
        setTimeout(() => response.destroy(), 50);
      },
      /the answer broke off: /,
    ],
    [
      "an answer without an end",
      (response) => {
        begin(response, "Well");
        response.end();
      },
      /the answer broke off: the connection was closed/,
    ],
  ])("says what is wrong: %s", async (_, handler, message) => {
    const conversation = await standIn(handler);
    await expect(conversation.ask("1", {}, never)).rejects.toThrow(message);
  });

  it("says that nobody listens", async () => {
    const port = await getPort();
    const conversation = new Conversation({ baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: "k3y" });
    await expect(conversation.ask("1", {}, never)).rejects.toThrow(
      /^http:\/\/127\.0\.0\.1:\d+\/v1: cannot be reached: ECONNREFUSED — /,
    );
  });
});
