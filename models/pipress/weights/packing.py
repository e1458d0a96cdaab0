"""Text as packed token sequences: documents end to end, no padding."""

from bisect import bisect_left
from itertools import accumulate

import torch
from transformers import PreTrainedTokenizerBase

from pipress.tokens import BYTES_PER_TOKEN


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


def sample(text: str, tokenizer: PreTrainedTokenizerBase, length: int, count: int) -> torch.Tensor:
    """`count` packed sequences, evenly spread over the text, each of text that belongs together: (n, length).

    Tokenizes no more of a long text than that takes. Fewer where the text does not hold as many.
    """
    window = length * BYTES_PER_TOKEN
    if count * window > len(text):
        return spread(pack(text, tokenizer, length), count)
    paragraphs = text.split("\n\n")
    ends = list(accumulate(len(paragraph) + 2 for paragraph in paragraphs))
    rows = []
    for start in torch.linspace(0, len(text) - window, count).tolist():
        first = bisect_left(ends, start)
        piece = "\n\n".join(paragraphs[first : bisect_left(ends, ends[first] + window) + 1])[:window]
        rows.append(pack(piece, tokenizer, length)[:1])
    return torch.cat(rows)
