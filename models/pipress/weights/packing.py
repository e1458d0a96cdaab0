"""Text as packed token sequences: documents end to end, no padding."""

import torch
from transformers import PreTrainedTokenizerBase


def pack(text: str, tokenizer: PreTrainedTokenizerBase, length: int) -> torch.Tensor:
    """Token ids in rows of `length`, shape (n_sequences, length); documents are parted by the end-of-text token.

    The rest that fills no row is left out.
    """
    end = tokenizer.eos_token_id
    ids: list[int] = []
    for encoded in tokenizer(text.split("\n\n"), add_special_tokens=False)["input_ids"]:
        ids.extend(encoded)
        if end is not None:
            ids.append(end)
    rows = len(ids) // length
    return torch.tensor(ids[: rows * length], dtype=torch.long).view(rows, length)


def spread(sequences: torch.Tensor, count: int) -> torch.Tensor:
    """`count` of the sequences (or all, where there are fewer), evenly spread over the text: (count, length)."""
    if count >= len(sequences):
        return sequences
    return sequences[torch.linspace(0, len(sequences) - 1, count).round().long()]
