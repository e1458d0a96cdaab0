import { needImatrix } from "../recipe/quantize-problems.ts";
import { fileBytes } from "./file-size.ts";
import { startingTypes, type QuantizeType } from "./quantize-types.ts";
import type { ModelShape } from "./shape.ts";

/** Types of llama-quantize that can be had, with or without an importance matrix. */
export function standardTypes(imatrix: boolean): QuantizeType[] {
  return (Object.keys(startingTypes) as QuantizeType[]).filter(
    (type) => imatrix || !needImatrix.includes(type),
  );
}

/** The type that makes the largest file of at most `bytes`; the smallest of all where none is small enough. */
export function standardTypeUnder(shape: ModelShape, bytes: number, imatrix: boolean): QuantizeType {
  const sized = standardTypes(imatrix)
    .map((type) => ({ type, size: fileBytes(shape, { type, imatrix }) }))
    .sort((a, b) => b.size - a.size);
  return (sized.find(({ size }) => size <= bytes) ?? sized.at(-1))?.type ?? "Q4_K_M";
}
