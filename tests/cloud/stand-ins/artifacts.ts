import { createHash } from "node:crypto";
import type { PlannedStage } from "../../../infra/stage/planned.ts";
import { smolLM2 } from "../../../infra/prediction/testing/shapes.ts";
import type { S3Store } from "../../../infra/store/s3-store.ts";

/** Where the one file of a made-up artifact lies below the store's prefix. */
export function madeUpFile(key: string): string {
  return `artifacts/${key}/${key.slice(0, 16)}/model.gguf`;
}

/** Writes an artifact that no stage made: one small file, and a manifest that names it. */
export async function makeUp(
  store: S3Store,
  { key, stage, name, params, inputKeys }: PlannedStage,
  run: string,
): Promise<void> {
  const content = Buffer.from(name);
  const file = { sha256: createHash("sha256").update(content).digest("hex"), bytes: content.length };
  const manifest = {
    ...{ schema: 1, key, stage, name, run, params, inputs: inputKeys, attempt: key.slice(0, 16) },
    ...{ files: { "model.gguf": file }, metrics: stage === "fetch" ? smolLM2 : {}, toolVersions: {} },
    ...{ createdAt: "2026-01-01T00:00:00+00:00", seconds: 1, costUsd: 0.01 },
  };
  await store.put(madeUpFile(key), content);
  await store.put(`artifacts/${key}/manifest.json`, Buffer.from(JSON.stringify(manifest)));
}
