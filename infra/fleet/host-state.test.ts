import { describe, expect, it } from "vitest";
import { startSshd, sshdMissing } from "../ssh/testing/sshd.ts";
import { lookAtHost, parseMetrics, parseState } from "./host-state.ts";

it("reads what a host says of its service, and leaves out what it does not say", () => {
  const output = [
    "release 0625cb6c-12ab",
    "rolledOut 1796063385",
    "service active",
    "started 1796063390",
    "celsius 61234",
    "throttled 50005",
  ];
  expect(parseState(output.join("\n"))).toEqual({
    ...{ release: "0625cb6c-12ab", rolledOutAt: 1796063385, service: "active", startedAt: 1796063390 },
    ...{ celsius: 61.234, throttled: 0x50005 },
  });
  expect(
    Object.values(parseState("release \nservice \ncelsius ")).every((value) => value === undefined),
  ).toBe(true);
});

it("reads llama-server's figures", () => {
  const text = [
    "# TYPE llamacpp:predicted_tokens_seconds gauge",
    "llamacpp:predicted_tokens_seconds 3.71",
    "llamacpp:prompt_tokens_seconds 29.5",
    "llamacpp:requests_processing 1",
    "llamacpp:requests_deferred 2",
  ].join("\n");
  expect(parseMetrics(text)).toEqual({ tokensPerSecond: 3.71, readTokensPerSecond: 29.5, requests: 3 });
  expect(parseMetrics("llamacpp:predicted_tokens_seconds 0\nllamacpp:requests_processing 0")).toEqual({
    requests: 0,
  });
  expect(parseMetrics("")).toEqual({});
});

describe.skipIf(sshdMissing !== undefined)("over a real sshd", () => {
  it("looks at a host that serves nothing, and says why one does not answer", async () => {
    const sshd = await startSshd();
    const server = { baseUrl: "http://127.0.0.1:1/v1", apiKey: "key" };
    expect(await lookAtHost(sshd.host, server)).not.toHaveProperty("problem");
    await sshd.remove();
    expect(await lookAtHost(sshd.host, undefined)).toHaveProperty("problem");
  });
});
