"""Documents as rows of token ids, such as the models were trained on and are served with.

A row begins with the token that begins every text (BOS), where the tokenizer puts one. Behind each document, and
nowhere else, stands the token that ends a text; documents run on from row to row, without padding. Chats are cut only
where they are longer than a row.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pipress.atomic import read_json, write_json
from pipress.texts.records import Document, choose, read_records
from pipress.tokens import BYTES_PER_TOKEN

# The token that ended documents in training, by name: an instruct model's `eos` ends a turn of a chat. Llama 3, models
# that follow GPT-2, DeepSeek, and SentencePiece.
ENDS_OF_TEXT = ("<|end_of_text|>", "<|endoftext|>", "<｜end▁of▁sentence｜>", "</s>")

# Beside the documents: the share of rows that chats have, see the stage `add-chats`.
SHARE = "chat.json"

# Up to so many bytes, text is tokenized on the guess of `BYTES_PER_TOKEN`; for more, so many documents say how many
# bytes a token of it takes, and a margin is added.
GUESSED_BYTES, SAMPLE_DOCUMENTS, MARGIN = 32_000_000, 256, 1.05
# Documents that are tokenized at a time.
BATCH_DOCUMENTS = 1024

# An array or a tensor.
Rows = TypeVar("Rows", bound=Any)

# Token ids of texts, without what comes before and behind them.
Encode = Callable[[list[str]], list[list[int]]]


@dataclass(frozen=True)
class Encoder:
    """A tokenizer, whoever's. encode: see `Encode`. begin, end: ids of the tokens that begin every text and that end a
    document; None where the tokenizer has none."""

    encode: Encode
    begin: int | None
    end: int | None


# Rows of characters instead of tokens, for passages that are chosen as rows of tokens are.
END_OF_DOCUMENT = -1
CHARACTERS = Encoder(lambda texts: [[ord(character) for character in text] for text in texts], None, END_OF_DOCUMENT)


def text_of(row: np.ndarray, end: str) -> str:
    """The text of a row of `CHARACTERS`, with `end` where a document ends."""
    return "".join(end if code == END_OF_DOCUMENT else chr(code) for code in row)


def pack(documents: Iterable[Sequence[int]], begin: int | None, end: int | None, length: int) -> np.ndarray:
    """Token ids in rows, (n, length). The rest that fills no row is left out."""
    last = [] if end is None else [end]
    # Arrays, of which a token takes 4 bytes: in lists of Python it takes 36.
    parts = [np.array([*ids, *last], dtype=np.int32) for ids in documents]
    stream = np.concatenate([np.empty(0, np.int32), *parts])
    content = length - (begin is not None)
    count = len(stream) // content
    rows = stream[: count * content].reshape(count, content).astype(np.int64)
    return rows if begin is None else np.insert(rows, 0, begin, axis=1)


def pack_whole(documents: Iterable[Sequence[int]], begin: int | None, end: int | None, length: int) -> np.ndarray:
    """As `pack`, but what a row's end cuts begins the next row anew, so that all that fits in a row is whole in one."""
    last = [] if end is None else [end]
    content = length - (begin is not None)
    rows: list[np.ndarray] = []
    row = np.empty(0, np.int32)
    for ids in documents:
        rest = np.array([*ids, *last], dtype=np.int32)
        fits = len(rest) <= content
        while len(row) + len(rest) >= content:
            taken = content - len(row)
            rows.append(np.concatenate([row, rest[:taken]]))
            row, rest = row[:0], rest if fits and taken < len(rest) else rest[taken:]
        row = np.concatenate([row, rest])
    packed = np.array(rows, dtype=np.int64).reshape(-1, content)
    return packed if begin is None else np.insert(packed, 0, begin, axis=1)


def spread(rows: Rows, count: int) -> Rows:
    """`count` of the rows of an array or tensor (or all, where there are fewer), evenly spread."""
    if count >= len(rows):
        return rows
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(int).tolist()]


def read_rows(path: Path, encoder: Encoder, length: int, count: int) -> np.ndarray:
    """At most `count` rows of `length` tokens from all over a file of documents, (n, length).

    Chats have the share of rows that stands beside the file, or what there are of them; they are mixed in evenly. Where
    there is nothing else, all rows are chats.
    """
    documents = read_records(path)
    share = chat_share(path.parent)
    texts = [document for document in documents if not document.chat]
    wanted = round(count * share) if texts or share == 0 else count
    chats = _rows([document for document in documents if document.chat], encoder, length, wanted, pack_whole)
    return mixed(_rows(texts, encoder, length, count - len(chats), pack), chats)


def chat_share(folder: Path) -> float:
    """Share of rows that are to be chats, 0 to 1."""
    settings = read_json(folder / SHARE)
    return 0.0 if settings is None else float(settings["share"])


def write_chat_share(folder: Path, share: float) -> None:
    """For `read_rows` to find."""
    write_json(folder / SHARE, {"share": share})


def mixed(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Both, in their orders, evenly mixed."""
    places = [(index + 0.5) / len(part) for part in (rows, others) for index in range(len(part))]
    return np.concatenate([rows, others])[np.argsort(places, kind="stable")]


def _rows(
    documents: list[Document], encoder: Encoder, length: int, count: int, packed: Callable[..., np.ndarray]
) -> np.ndarray:
    if count <= 0 or not documents:
        return np.empty((0, length), np.int64)
    # As many documents as rows, and no more of each than all rows hold: a long text is not tokenized as a whole.
    size = count * length * BYTES_PER_TOKEN
    if size > GUESSED_BYTES:
        sample = [document.text for document in choose(documents, 0, SAMPLE_DOCUMENTS)]
        per_token = sum(len(text.encode()) for text in sample) / max(1, sum(map(len, encoder.encode(sample))))
        size = min(size, math.ceil(MARGIN * count * length * per_token))
    texts = [document.text[:size] for document in choose(documents, size, count)]
    batches = (texts[start : start + BATCH_DOCUMENTS] for start in range(0, len(texts), BATCH_DOCUMENTS))
    encoded = (ids for batch in batches for ids in encoder.encode(batch))
    return spread(packed(encoded, encoder.begin, encoder.end, length), count)
