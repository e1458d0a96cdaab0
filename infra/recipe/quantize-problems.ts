import type { Problem } from "../../common/user-error.ts";
import type { Recipe } from "./recipe.generated.ts";

/** File types that llama-quantize refuses without an importance matrix. */
export const needImatrix = ["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "Q2_K_S"];

/** File types under which llama-quantize passes over types for single tensors in silence. */
const unquantized = ["F32", "F16", "BF16"];

/** Matrices of one block of a Llama, as GGUF files name them. */
const blockTensors = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"];

/** More blocks than any Llama has: patterns may name single ones. */
const maxBlocks = 200;

/**
 * What the schema cannot say of a recipe's quantization, because it takes two steps to see it.
 * @param hasLayout whether the model's tensors are called as a Llama's
 */
export function quantizeProblems(steps: Recipe["steps"], file: string, hasLayout = true): Problem[] {
  const { quantize, imatrix } = steps;
  const { type, objective, tensorTypes, outputTensorType, tokenEmbeddingType } = quantize;
  const problems = awarenessProblems(steps, `${file}: steps.recover.quantizationAware`);
  const addProblem = (key: string, what: string, remedy: string) =>
    problems.push({ where: `${file}: steps.quantize.${key}`, what, remedy });

  if (imatrix === undefined && type !== undefined && needImatrix.includes(type))
    addProblem("type", `${type} needs an importance matrix`, "add the step `imatrix`");
  if (imatrix === undefined && objective !== undefined)
    addProblem("objective", "the search needs an importance matrix", "add the step `imatrix`");
  if (
    type !== undefined &&
    unquantized.includes(type) &&
    (tensorTypes ?? outputTensorType ?? tokenEmbeddingType)
  )
    addProblem("type", `${type} takes no types for single tensors`, "take a quantized type, e.g. Q8_0");
  for (const pattern of Object.keys(tensorTypes ?? {}))
    if (hasLayout && !matchesSomeTensor(pattern))
      addProblem(
        `tensorTypes.${pattern}`,
        "matches no tensor of a Llama",
        `names look like blk.0.attn_v.weight; matrices are ${blockTensors.join(", ")}, token_embd and output; of another architecture, name it in base.config.architectures`,
      );
  return problems;
}

/** What keeps recovery from knowing the weights of the release. */
function awarenessProblems({ recover, awq, quantize }: Recipe["steps"], where: string): Problem[] {
  if (recover?.quantizationAware !== true) return [];
  const problems: Problem[] = [];
  if (quantize.type === undefined)
    problems.push({
      where,
      what: "needs a type to train for, and an objective finds one only afterwards",
      remedy: "run the objective once without recovery, and take `quantize.type` near what it finds",
    });
  else if (unquantized.includes(quantize.type))
    problems.push({ where, what: `${quantize.type} rounds nothing`, remedy: "leave it out" });
  if (awq) problems.push({ where, what: "awq would rescale what was trained", remedy: "leave `awq` out" });
  if (recover.fullLayers > 0 || recover.lmHead)
    problems.push({ where, what: "trains adapters only", remedy: "leave `fullLayers` and `lmHead` out" });
  return problems;
}

function matchesSomeTensor(pattern: string): boolean {
  const expression = new RegExp(pattern);
  if (expression.test("token_embd.weight") || expression.test("output.weight")) return true;
  return Array.from({ length: maxBlocks }, (_, block) => block).some((block) =>
    blockTensors.some((tensor) => expression.test(`blk.${block}.${tensor}.weight`)),
  );
}
