"""llama.cpp's types: of files (`Q4_K_M`, a rule that gives each tensor a type) and of tensors (`Q4_K`)."""

import gguf

# Values in a block and bytes of a block, by tensor type; the gguf package does not list Q2_0 yet.
BLOCKS: dict[str, tuple[int, int]] = {
    **{kind.name: size for kind, size in gguf.GGML_QUANT_SIZES.items()},
    "Q2_0": (64, 18),
}

# File types for models trained in full precision, the better first where two come to the same size. Left out are those
# for models trained to their bits (Q1_0, Q2_0, TQ1_0, TQ2_0) or made of experts (MXFP4_MOE): as baselines they would be
# straw men.
STANDARD_TYPES = (
    *("Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1", "Q5_0", "Q4_K_M", "Q4_K_S", "Q4_1", "IQ4_NL", "IQ4_XS", "Q4_0"),
    *("Q3_K_L", "Q3_K_M", "IQ3_M", "IQ3_S", "Q3_K_S", "IQ3_XS", "IQ3_XXS", "Q2_K", "Q2_K_S"),
    *("IQ2_M", "IQ2_S", "IQ2_XS", "IQ2_XXS", "IQ1_M", "IQ1_S"),
)

# llama-quantize itself refuses these without an importance matrix; better to say so before anything runs.
NEED_IMATRIX = {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ3_XXS", "Q2_K_S"}
# Tensor types that it will not make without one.
TENSORS_NEED_IMATRIX = {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS"}

# What the search gives to tensors, with the file type under which a file mostly of that type is listed.
SEARCHED_TYPES = {
    "Q8_0": "Q8_0",
    "Q6_K": "Q6_K",
    "Q5_1": "Q5_1",
    "Q5_K": "Q5_K_M",
    "Q5_0": "Q5_0",
    "Q4_1": "Q4_1",
    "Q4_K": "Q4_K_M",
    "IQ4_NL": "IQ4_NL",
    "Q4_0": "Q4_0",
    "IQ4_XS": "IQ4_XS",
    "MXFP4": "MXFP4_MOE",
    "Q3_K": "Q3_K_M",
    "IQ3_S": "IQ3_S",
    "IQ3_XXS": "IQ3_XXS",
    "Q2_K": "Q2_K",
    "IQ2_S": "IQ2_S",
    "IQ2_XS": "IQ2_XS",
    "IQ2_XXS": "IQ2_XXS",
    "IQ1_M": "IQ1_M",
    "IQ1_S": "IQ1_S",
}

# Not quantized at all. Under a file type of these, llama-quantize passes over overrides in silence.
UNQUANTIZED = {"F32", "F16", "BF16"}


def bits_per_weight(kind: str) -> float:
    """Bits that a tensor type spends on a weight, scales included."""
    values, size = BLOCKS[kind]
    return 8 * size / values


def tensor_bytes(kind: str, shape: tuple[int, ...]) -> int:
    """Size of a tensor of that type; its rows (the last dimension) must be whole blocks."""
    values, size = BLOCKS[kind]
    weights = 1
    for length in shape:
        weights *= length
    return weights // values * size


def fits(kind: str, name: str, columns: int) -> bool:
    """Whether llama-quantize makes this tensor in that type, importance matrix at hand.

    Rows must be whole blocks. The matrix covers the blocks' tensors only, not embeddings or output.
    """
    if columns % BLOCKS[kind][0] != 0:
        return False
    return kind not in TENSORS_NEED_IMATRIX or name.startswith("blk.")
