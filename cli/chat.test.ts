import { expect, it } from "vitest";
import { checkChats, chooseEndpoint, describeAnswer } from "./chat.ts";

const outputs = {
  baseUrl: "http://fleet/v1",
  baseUrls: { "pi-1": "http://pi-1/v1", "pi-2": "http://pi-2/v1" },
  apiKey: "k3y",
};

it("talks with the fleet, or with the host that is named", () => {
  expect(chooseEndpoint(outputs)).toEqual({ baseUrl: "http://fleet/v1", apiKey: "k3y" });
  expect(chooseEndpoint(outputs, "pi-2")).toEqual({ baseUrl: "http://pi-2/v1", apiKey: "k3y" });
});

it("says which hosts there are, and that there is none yet", () => {
  expect(() => chooseEndpoint(outputs, "pi-3")).toThrow(
    /^pi-3: no host of this stack is called so — did you mean/,
  );
  expect(() => chooseEndpoint(outputs, "kitchen")).toThrow(/one of: pi-1, pi-2$/);
  expect(() => chooseEndpoint({ baseUrls: {} })).toThrow(
    /serves a model yet — `\.\/pipress up` rolls it out/,
  );
});

it("says where an answer came from: the host, where the load balancer tells", () => {
  const answer = { text: "", tokens: 34, tokensPerSecond: 2.13, promptTokens: 9, promptTokensPerSecond: 8 };
  expect(describeAnswer({ ...answer, host: "pi-2" }, "http://fleet/v1")).toBe(
    "(34 tokens, 2.1 tokens/s, from pi-2)",
  );
  expect(describeAnswer(answer, "pi-1")).toBe("(34 tokens, 2.1 tokens/s, from pi-1)");
});

it("does not talk with what embeds texts, as far as the last health check knows", () => {
  const hosts = [
    { host: "pi-1", baseUrl: "", warnings: [], answer: "Paris" },
    { host: "pi-2", baseUrl: "", warnings: [], dimensions: 384 },
  ];
  expect(() => checkChats({ report: { hosts } }, "pi-2")).toThrow(/^pi-2: serves an embedding model/);
  expect(() => checkChats({ report: { hosts: hosts.slice(1) } })).toThrow(/^chat: serves an embedding model/);
  for (const host of [undefined, "pi-1", "pi-3"]) checkChats({ report: { hosts } }, host);
  checkChats({});
});
