import { rowsOf, type Row } from "../rows.ts";
import type { Bench } from "./bench.ts";
import { prunedModel } from "./pruning.ts";
import { ordinaryTraining } from "./recovery.ts";
import { log } from "./runner.ts";

/** Steps of each loop, by turns; the first is not counted. */
const STEPS = 12;

/** The section `speed`: tokens a second of recovery training beside the plain loop of Transformers and PEFT. */
export async function benchSpeed(bench: Bench): Promise<Row[]> {
  log("speed: ours and the plain loop, by turns");
  const { runner, recipe, base, apart } = bench;
  const { model } = prunedModel(bench, 0.1, "ffn-activation");
  const { batchSize = 0, sequenceLength = 0 } = recipe.steps.recover ?? {};
  const params = { ...ordinaryTraining(recipe), tokens: STEPS * batchSize * sequenceLength };
  const inputs = { teacher: base, model, datasets: apart };
  const { metrics } = await runner.measure(runner.peer("train-speed", "plain-training", params, inputs));
  const besideLoop = (name: string, theirs: unknown): Row[] =>
    rowsOf(
      `recovery training, ${String(metrics.dtype)}, ${String(metrics.threads)} threads`,
      { train_tokens_per_second: Number(metrics.ours) },
      { name, figures: { train_tokens_per_second: Number(theirs) } },
    );
  return [
    ...besideLoop("Transformers and PEFT", metrics.peer),
    ...besideLoop("Transformers and PEFT, packed by us", metrics.peerPacked),
  ];
}
