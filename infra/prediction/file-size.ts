import { storedBytes, type BlockType } from "./block-types.ts";
import { typesOf, type Quantization } from "./quantize-types.ts";
import { parameterCount, parametersAsLlama, type ModelShape } from "./shape.ts";
import type { Tensor } from "./tensors.ts";

/** GGUF aligns every tensor, and the first of them, to this many bytes. */
const ALIGNMENT = 32;
/** The file's header, and its keys but for the tokenizer: about thirty names and numbers, and a short chat template. */
const HEADER_AND_KEYS_BYTES = 2000;

/** Size of the GGUF that llama-quantize makes of a model, in bytes. Of layers that are no Llama's: by their weights. */
export function fileBytes(shape: ModelShape, quantization: Quantization): number {
  const tensors = typesOf(shape, quantization);
  const metadata =
    HEADER_AND_KEYS_BYTES + shape.tokenizerBytes + sum(tensors.map(([tensor]) => descriptionBytes(tensor)));
  const weights = sum(tensors.map(([tensor, type]) => align(tensorBytes(tensor, type))));
  return align(metadata) + align((weights * parameterCount(shape)) / parametersAsLlama(shape));
}

/** Bytes of a tensor's weights. */
export function tensorBytes({ columns, rows }: Tensor, type: BlockType): number {
  return storedBytes(type, columns * Math.max(1, rows));
}

/** What the file says about a tensor: name, number of dimensions, dimensions, type, offset. */
function descriptionBytes({ name, rows }: Tensor): number {
  const dimensions = rows === 0 ? 1 : 2;
  return 8 + name.length + 4 + 8 * dimensions + 4 + 8;
}

function align(bytes: number): number {
  return Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
