import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { FleetOutputs } from "../../infra/fleet/table.ts";
import type { PlannedStep, Workspace } from "./workspace.ts";

/**
 * The dev stack's recipe with checkpoints close enough for a test to fall between them, pruning and evaluation that take less,
 * and recovery that knows no type: another type then makes nothing but `quantize` and what follows run again.
 */
export const quick = {
  "steps.prune": { method: "ffn-activation", reconstruct: false, pruningRatio: 0.1, calibrationTokens: 4096 },
  "steps.recover.quantizationAware": false,
  "steps.quantize.type": "Q4_K_M",
  "steps.recover.checkpointEverySteps": 3,
  "steps.evaluate.chunks": 4,
  "steps.evaluate.questions": 3,
};

/** The one virtual host, as in `Pulumi.dev.yaml`. */
export const host = { name: "pi-0", virtual: { memory: "2 GiB", cpus: 2 } };

/** The stack's configuration, with the workspace's own recipe. */
export const config = (workspace: Workspace): Record<string, unknown> => ({
  recipe: workspace.recipeFile,
  hosts: [host],
});

/** Outputs of a stack that has a host. */
export interface Outputs extends FleetOutputs {
  baseUrl: string;
  apiKey: string;
}

interface Answer {
  status: number;
  text: string;
}

/** Asks the question of the smoke test over HTTP. */
export async function ask({ baseUrl }: Outputs, apiKey: string | undefined): Promise<Answer> {
  const response = await fetch(`${baseUrl}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...(apiKey && { authorization: `Bearer ${apiKey}` }) },
    body: JSON.stringify({
      messages: [{ role: "user", content: "What is the capital of France?" }],
      max_tokens: 16,
      temperature: 0,
    }),
  });
  const body = (await response.json()) as { choices?: { message: { content: string } }[] };
  return { status: response.status, text: body.choices?.[0]?.message.content ?? "" };
}

/** Artifacts by stage name, with the time at which each was made. */
export function artifacts(workspace: Workspace): Record<string, { key: string; createdAt: string }> {
  const root = join(workspace.data, "store", "artifacts");
  return Object.fromEntries(
    readdirSync(root).map((key) => {
      const { name, createdAt } = JSON.parse(readFileSync(join(root, key, "manifest.json"), "utf8")) as {
        name: string;
        createdAt: string;
      };
      return [name, { key, createdAt }];
    }),
  );
}

/** Names of the resources that a preview would touch, without the stack itself, whose outputs change with them. */
export const changedNames = (steps: PlannedStep[]): string[] =>
  [...new Set(steps.filter(({ type }) => type !== "pulumi:pulumi:Stack").map(({ name }) => name))].sort();

/** Expects a command to fail with one clear error: its words, and no stack trace. */
export function expectClearError(output: string, ...words: (string | RegExp)[]): void {
  for (const word of words) expect(output).toMatch(word);
  expect(output).not.toMatch(/^\s+at .*\(.*:\d+:\d+\)/m);
  expect(output).not.toContain("Traceback (most recent call last)");
}

/** Expects the host to answer the question of the smoke test sensibly. */
export async function expectStillServing(workspace: Workspace): Promise<void> {
  const outputs = await workspace.outputs<Outputs>();
  expect(await ask(outputs, outputs.apiKey)).toMatchObject({
    status: 200,
    text: expect.stringMatching(/Paris/) as string,
  });
}
