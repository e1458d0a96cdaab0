import type { ServerSettings } from "../../config/server-settings.ts";
import type { Prediction } from "../../prediction/predict.ts";
import { releaseStage } from "../../plan/graph.ts";
import { memoryMax } from "../../prediction/memory.ts";
import type { PlannedStage } from "../../stage/planned.ts";
import type { FileDigest } from "../../store/manifest.ts";
import type { Toolchain } from "../../../toolchain/toolchain.ts";
import type { Host } from "../host.ts";
import { withoutSystemPrompts, type Release } from "../release.ts";
import { sourceFile } from "../rollout/release-files.ts";

/** What a host is judged by: the parts of a release that decide whether it has room for it. */
export type ExpectedRelease = Pick<Release, "model" | "server" | "memoryMax" | "settings">;

/** Of a file that is not made yet: no host has it. */
const unknownDigest = "0".repeat(64);

/**
 * The release as far as it is known before its stages have run: predicted, but for the model file where that is in the store.
 * Where nothing can be predicted either, it asks for nothing.
 */
export function expectRelease(
  plan: readonly PlannedStage[],
  prediction: Prediction | undefined,
  { llamaCpp }: Toolchain,
  settings: ServerSettings,
): ExpectedRelease {
  const made = plan.find(({ name }) => name === releaseStage(plan))?.artifact?.files["model.gguf"];
  const model: FileDigest = made ?? {
    sha256: unknownDigest,
    bytes: Math.round(prediction?.release.fileBytes ?? 0),
  };
  return {
    model: { sha256: model.sha256, bytes: model.bytes },
    server: {
      sha256: llamaCpp.release.files["llama-server"].sha256,
      bytes: llamaCpp.release.files["llama-server"].bytes,
    },
    memoryMax: prediction === undefined ? 0 : memoryMax(prediction.shape, model.bytes, settings),
    settings: withoutSystemPrompts(settings),
  };
}

/** Variables of `ansible/preflight.yml` for a host. */
export function lookVars(
  { build, isVirtual, takeOver, prepare }: Pick<Host, "build" | "isVirtual" | "takeOver" | "prepare">,
  release: ExpectedRelease,
  toolchain: Toolchain,
): Record<string, unknown> {
  const { sha256, bytes } = sourceFile(toolchain);
  return {
    pipress_release: release,
    pipress_build: build,
    pipress_virtual: isVirtual,
    pipress_take_over: takeOver,
    pipress_prepare: prepare,
    pipress_source: { sha256, bytes },
  };
}
