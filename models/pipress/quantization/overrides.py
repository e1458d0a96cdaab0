"""Types of single tensors, over what a file type says."""

import re
from pathlib import Path
from typing import Any

from pipress.errors import StageError
from pipress.quantization.source_model import Mix, SourceModel
from pipress.quantization.types import BLOCKS, TENSORS_NEED_IMATRIX, UNQUANTIZED


def tensor_overrides(params: dict[str, Any], source: SourceModel, imatrix: Path | None) -> Mix:
    """Types by tensor name from `tensorTypes`, `outputTensorType` and `tokenEmbeddingType`.

    Raises StageError, with every problem, for patterns that match nothing or contradict each other, and for types that
    a tensor cannot have.
    """
    problems: list[str] = []
    overrides: Mix = {}
    for pattern, kind in params.get("tensorTypes", {}).items():
        names = [name for name in source.weights if re.search(pattern, name)]
        if not names:
            problems.append(f"no tensor matches `{pattern}` of tensorTypes")
        for name in names:
            if overrides.setdefault(name, kind) != kind:
                problems.append(f"tensorTypes gives {name} two types, {overrides[name]} and {kind}")
    tied = "output.weight" not in source.weights
    # Where output and embedding are one tensor, llama.cpp goes by the output's type unless the embedding has its own.
    output = "token_embd.weight" if tied else "output.weight"
    for name, key in ((output, "outputTensorType"), ("token_embd.weight", "tokenEmbeddingType")):
        if key in params:
            overrides[name] = params[key]
    for name, kind in overrides.items():
        if kind in TENSORS_NEED_IMATRIX and (imatrix is None or not name.startswith("blk.")):
            problems.append(f"{name} cannot be {kind} without an importance matrix, which it does not have")
        columns = source.weights[name].shape[-1]
        if columns % BLOCKS[kind][0] != 0:
            problems.append(f"{name} cannot be {kind}: its rows of {columns} are not whole blocks of {BLOCKS[kind][0]}")
    if overrides and params["type"] in UNQUANTIZED:
        problems.append(f"{params['type']} takes no types for single tensors")
    if problems:
        more = f" (and {len(problems) - 5} more)" if len(problems) > 5 else ""
        raise StageError("; ".join(problems[:5]) + more, "fix steps.quantize in the recipe")
    return overrides
