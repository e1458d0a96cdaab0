"""Documents as fetch-dataset leaves them: one JSON object a line, each a whole document."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pipress.atomic import write_pieces

# Steps by the golden ratio's fraction: the first few of any number of points lie evenly (Knuth, The Art of Computer
# Programming, 6.4, theorem S).
GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Document:
    """source: number of the data set in the recipe. chat: a conversation, as the chat template has it; before the stage
    `add-chats`, its messages as `pack_messages` makes them."""

    text: str
    source: int = 0
    chat: bool = False


def write_documents(path: Path, documents: Iterable[Document]) -> None:
    """One line each; the file is there as a whole or not at all, because a killed run goes on from it."""
    write_pieces(path, (json.dumps(asdict(document), ensure_ascii=False) + "\n" for document in documents))


def read_records(path: Path) -> list[Document]:
    """What `write_documents` wrote."""
    with open(path, encoding="utf-8") as file:
        return [Document(**json.loads(line)) for line in file]


def spread_order(count: int) -> Iterator[int]:
    """All numbers below `count`, the first of them, however many, spread evenly."""
    seen: set[int] = set()
    position = 0.5
    while len(seen) < count:
        index = int(position * count)
        # Where the next place is taken, the one behind it is.
        while index in seen:
            index = (index + 1) % count
        seen.add(index)
        yield index
        position = (position + GOLDEN) % 1


def choose(documents: Sequence[Document], size: int, count: int) -> list[Document]:
    """At least `count` documents from all over the text, of `size` bytes together, or all of them, in their order."""
    chosen: list[int] = []
    taken = 0
    for index in spread_order(len(documents)):
        if taken >= size and len(chosen) >= count:
            break
        chosen.append(index)
        taken += len(documents[index].text.encode())
    return [documents[index] for index in sorted(chosen)]


def hold_back(documents: Sequence[Document], share: float) -> tuple[list[Document], list[Document]]:
    """Parts documents into those to learn from and those to judge by: of every source that has two, about `share`.

    Whole documents go, at least one of each source and never all.
    """
    held: set[int] = set()
    for source in {document.source for document in documents}:
        indices = [index for index, document in enumerate(documents) if document.source == source]
        wanted = share * sum(len(documents[index].text) for index in indices)
        size = 0
        for place in spread_order(len(indices) - 1):
            if size >= wanted and size > 0:
                break
            held.add(indices[place])
            size += len(documents[indices[place]].text)
    learn = [document for index, document in enumerate(documents) if index not in held]
    return learn, [documents[index] for index in sorted(held)]
