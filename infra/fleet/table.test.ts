import { describe, expect, it } from "vitest";
import { formatSummary, type FleetOutputs } from "./table.ts";

const outputs: FleetOutputs = {
  baseUrl: "http://127.0.0.1:18080/v1",
  apiKey: "k3y",
  modelPath: "/store/artifacts/ab/model.gguf",
  reportUrl: "/store/artifacts/cd/report.html",
  report: {
    model: "recipe r",
    release: "d1",
    stages: [{ name: "recover", key: "0123456789abcdef", seconds: 185 }],
    models: [
      { label: "base", fileBytes: 269e6, perplexity: 28.104, perplexityError: 0.31 },
      { label: "quantized", fileBytes: 96e6, perplexity: 33.3, perplexityError: 0.4, kld: 0.2114 },
    ],
    hosts: [
      {
        host: "pi-0",
        baseUrl: "",
        tokensPerSecond: 2.24,
        loadSeconds: 5,
        answer: "Paris",
        warnings: ["no Pi"],
      },
    ],
  },
};

describe("formatSummary", () => {
  it("sets each size beside the base's and each perplexity beside its error", () => {
    const text = formatSummary(outputs);
    expect(text).toMatch(/base +269 MB +100 % +28\.10 +0\.31/);
    expect(text).toMatch(/quantized +96\.0 MB +36 % +33\.30 +0\.40 +0\.211/);
  });

  it("says how far restored system prompts are from the prompts themselves", () => {
    const { report } = outputs;
    const systemPrompts = [
      { name: "desk", tokens: 412, kld: 0.0031 },
      { name: "poet", tokens: 80, problem: "damaged" },
    ];
    const hosts = report.hosts.map((host) => ({ ...host, systemPrompts }));
    const text = formatSummary({ ...outputs, report: { ...report, hosts } });
    expect(text).toContain(", system prompt desk restored (412 tokens, KL divergence 0.0031)\n");
    expect(text).not.toContain("poet");
  });

  it("says how long each stage took, how fast each host is, and how to call it", () => {
    const text = formatSummary(outputs);
    expect(text).toMatch(/recover +3 min 05 s +0123456789ab/);
    expect(text).toContain("pi-0: 2.2 tokens/s, ready 5 s after start\n  note: no Pi");
    expect(text).toContain("report    /store/artifacts/cd/report.html");
    expect(text).toContain("curl http://127.0.0.1:18080/v1/chat/completions");
    expect(text).toContain("Authorization: Bearer k3y");
  });

  it("sets a host's speed beside that of the release before", () => {
    const host = {
      host: "pi-1",
      baseUrl: "",
      tokensPerSecond: 2.5,
      tokensPerSecondBefore: 1.9,
      warnings: [],
    };
    const text = formatSummary({ ...outputs, report: { ...outputs.report, hosts: [host] } });
    expect(text).toContain("pi-1: 2.5 tokens/s (1.9 before)");
  });

  it("says of an embedding model how fast it reads, and how to ask it", () => {
    const host = { host: "pi-1", baseUrl: "", tokensPerSecond: 301.2, dimensions: 384, warnings: [] };
    const text = formatSummary({ ...outputs, report: { ...outputs.report, hosts: [host] } });
    expect(text).toContain("pi-1: 301.2 tokens/s read, vectors of 384 numbers");
    expect(text).toContain("curl http://127.0.0.1:18080/v1/embeddings");
    const both = { ...outputs.report, hosts: [...outputs.report.hosts, host] };
    expect(formatSummary({ ...outputs, report: both })).toContain("/v1/chat/completions");
  });

  it("says why a host did not get the release", () => {
    const host = { host: "pi-1", baseUrl: "", warnings: [], problem: "skipped: pi-1: unreachable" };
    const text = formatSummary({ ...outputs, report: { ...outputs.report, hosts: [host] } });
    expect(text).toContain("pi-1: no figures\n  note: skipped: pi-1: unreachable");
  });

  it("shows no call for a stack without hosts", () => {
    const text = formatSummary({ ...outputs, baseUrl: undefined, report: { ...outputs.report, hosts: [] } });
    expect(text).not.toContain("curl");
  });
});
