import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { planStages } from "../plan/plan.ts";
import { loadRecipe, type Recipe } from "../recipe/recipe.ts";
import { FileStore } from "../store/file-store.ts";
import type { Manifest } from "../store/manifest.ts";
import { readToolchain } from "../../toolchain/toolchain.ts";
import { checkLocalDatasets } from "./local-datasets.ts";

const folder = mkdtempSync(join(tmpdir(), "pipress-datasets-"));
const path = join(folder, "chats.jsonl");
const toolchain = readToolchain();
const store = new FileStore(pathToFileURL(join(folder, "store")).href);
afterAll(() => rmSync(folder, { recursive: true }));

/** Conversations, one for each answer. */
function writeChats(...answers: readonly string[]): string {
  const lines = answers.map((content) =>
    JSON.stringify({
      messages: [
        { role: "user", content: "Hello" },
        { role: "assistant", content },
      ],
    }),
  );
  writeFileSync(path, lines.join("\n"));
  return createHash("sha256").update(lines.join("\n")).digest("hex");
}

/** The dev recipe with that file for calibration, and its stages. */
async function planned(
  sha256: string,
): Promise<{ model: Recipe; plan: Awaited<ReturnType<typeof planStages>> }> {
  const recipe = loadRecipe("smollm2-135m");
  const local = { local: { path, sha256 }, format: "chat", field: "text" };
  const calibration = [recipe.datasets.calibration[0], local];
  const model = { ...recipe, datasets: { ...recipe.datasets, calibration } } as Recipe;
  return { model, plan: await planStages(model, {}, store, toolchain) };
}

const check = async (sha256: string) => checkLocalDatasets([await planned(sha256)], toolchain.python);

describe("data sets that are files of this machine", () => {
  it("are refused by their place in the recipe where they hold no conversations, are others, or are gone", async () => {
    const where = "recipe smollm2-135m: datasets.calibration.1: ";
    await expect(check(writeChats("Hi", ""))).rejects.toThrow(
      `${where}chats.jsonl cannot be read as conversations: has a message without text (line 2) — each line is`,
    );
    const sha256 = writeChats("Hi", "Good morning");
    await expect(check(sha256)).resolves.toBeUndefined();
    writeChats("Hi", "Good evening");
    await expect(check(sha256)).rejects.toThrow(`${where}${path} has the SHA-256 `);
    rmSync(path);
    await expect(check(sha256)).rejects.toThrow(`${where}there is no ${path} on this builder`);
  });

  it("make new stages where their digest is another, and may be gone once they have been read", async () => {
    const before = await planned(writeChats("Hi", "Good morning"));
    const again = await planned(writeChats("Hi", "Good morning"));
    const after = await planned(writeChats("Hi", "Good evening"));
    const keys = ({ plan }: typeof before) => Object.fromEntries(plan.map(({ name, key }) => [name, key]));
    expect(keys(again)).toEqual(keys(before));
    for (const name of ["fetch-dataset", "add-chats", "prune", "recover"])
      expect(keys(after)[name], name).not.toBe(keys(before)[name]);
    expect(keys(after).fetch).toBe(keys(before).fetch);

    rmSync(path);
    const artifact = {} as Manifest;
    const read = after.plan.map((stage) => ({ ...stage, artifact }));
    await expect(
      checkLocalDatasets([{ model: after.model, plan: read }], toolchain.python),
    ).resolves.toBeUndefined();
  });
});
