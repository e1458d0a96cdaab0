import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Answer } from "../../../cli/conversation.ts";
import { artifacts, ask, expectStillServing, type Outputs } from "../scenario.ts";
import type { Workspace } from "../workspace.ts";

/** What a successful `up` leaves: an answering host, and figures that can be believed. */
export function service(workspace: Workspace): void {
  describe("an answering virtual Pi", () => {
    it("answers the smoke test with the API key, and nobody without it", async () => {
      const outputs = await workspace.outputs<Outputs>();
      await expectStillServing(workspace);
      expect((await ask(outputs, undefined)).status).toBe(401);
      expect((await ask(outputs, "wrong")).status).toBe(401);
    });

    it("calls the model by the recipe's name", async () => {
      const { baseUrl, apiKey } = await workspace.outputs<Outputs>();
      const response = await fetch(`${baseUrl}/models`, { headers: { authorization: `Bearer ${apiKey}` } });
      expect(await response.json()).toMatchObject({ data: [{ id: "smollm2-135m" }] });
    });

    it("answers what is asked by ./pipress chat", async () => {
      const { exitCode, stdout, stderr } = await workspace.pipress(
        // An answer drawn by chance may go on to the end of the context: half an hour on an emulated Pi.
        ["chat", "pi-0", "--json", "--max-tokens", "12"],
        "What is the capital of France?",
      );
      expect(exitCode, stderr).toBe(0);
      const answer = JSON.parse(stdout) as Answer;
      expect(answer.text).not.toBe(""); // drawn by chance, unlike the smoke test's
      expect(answer.tokens).toBeGreaterThan(0);
      expect(answer.tokensPerSecond).toBeGreaterThan(0);
    });

    it("reports sizes, perplexities and the host's speed, and recovery improves on the pruned model", async () => {
      const { report, modelPath } = await workspace.outputs<Outputs>();
      expect(report.models.map(({ label }) => label)).toEqual([
        "base",
        "pruned",
        "recovered",
        "quantized",
        "baseline, same size",
        "baseline, same speed",
      ]);
      const [base, pruned, recovered, quantized, baseline] = report.models;
      expect(pruned?.perplexity).toBeGreaterThan(base?.perplexity ?? Infinity);
      expect(recovered?.perplexity).toBeLessThan(pruned?.perplexity ?? 0);
      expect(quantized?.fileBytes).toBeLessThan((base?.fileBytes ?? 0) / 2);
      expect(baseline?.fileBytes).toBeLessThanOrEqual(quantized?.fileBytes ?? 0);
      expect(report.hosts[0]?.tokensPerSecond).toBeGreaterThan(0);
      expect(readFileSync(modelPath).subarray(0, 4).toString()).toBe("GGUF");
    });

    it("changes nothing when nothing changed", async () => {
      const before = artifacts(workspace);
      expect(await workspace.preview()).toEqual([]);
      const { exitCode, output } = await workspace.up("--expect-no-changes");
      expect(exitCode, output).toBe(0);
      expect(artifacts(workspace)).toEqual(before);
    });
  });
}
