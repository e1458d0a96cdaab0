import type { Recipe } from "../../infra/recipe/recipe.ts";
import type { Materials } from "./materials.ts";
import { prunedModel } from "./pruning.ts";
import { beside } from "../results.ts";
import type { Row } from "./rows.ts";
import { log, type Runner } from "./runner.ts";

/** Steps of each loop, by turns; the first is not counted. */
const STEPS = 12;

/** The section `speed`: tokens a second of recovery training beside the plain loop of Transformers and PEFT. */
export async function benchSpeed(runner: Runner, recipe: Recipe, materials: Materials): Promise<Row[]> {
  log("speed: ours and the plain loop, by turns");
  const { model } = prunedModel(runner, materials, 0.1, "ffn-activation", materials.mixed);
  const { batchSize = 0, sequenceLength = 0 } = recipe.steps.recover ?? {};
  const params = { ...recipe.steps.recover, tokens: STEPS * batchSize * sequenceLength };
  const inputs = { teacher: materials.base, model, datasets: materials.apart };
  const { metrics } = await runner.measure(runner.peer("train-speed", "plain-training", params, inputs));
  const { ours, peer, peerPacked, threads, dtype } = metrics as Record<string, number>;
  const row = {
    section: "speed",
    case: `recovery training, ${String(dtype)}, ${String(threads)} threads`,
    metric: "train_tokens_per_second",
    value: Number(ours),
    unit: "tokens/s",
  } as const;
  return [
    { ...row, ...beside(row.value, "Transformers and PEFT", Number(peer)) },
    { ...row, ...beside(row.value, "Transformers and PEFT, packed by us", Number(peerPacked)) },
  ];
}
