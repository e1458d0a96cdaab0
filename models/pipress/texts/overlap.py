"""Whether two texts share passages.

Runs of 13 words, as in the contamination study of Brown et al., "Language Models are Few-Shot Learners"
(arXiv:2005.14165, appendix C): long enough that chance and common phrases do not make them.
"""

import re
from collections import deque
from collections.abc import Iterator, Sequence

WORDS = 13
WORD = re.compile(r"\w+")


def shared_shares(few: Sequence[str], many: Sequence[str]) -> tuple[float, float]:
    """Of the word runs of either documents, the share that the others have too, 0 to 1; 1 for equal ones without words.

    Held in memory are the runs of `few`.
    """
    if few == many:
        return 1.0, 1.0
    ours, found = set(_runs(few)), set()
    n_many = n_shared = 0
    for run in _runs(many):
        n_many += 1
        if run in ours:
            n_shared += 1
            found.add(run)
    return len(found) / max(1, len(ours)), n_shared / max(1, n_many)


def _runs(documents: Sequence[str]) -> Iterator[int]:
    """Hashes instead of the runs themselves: a tenth of the memory."""
    run: deque[str] = deque(maxlen=WORDS)
    for document in documents:
        for word in WORD.findall(document.lower()):
            run.append(word)
            if len(run) == WORDS:
                yield hash(tuple(run))
    if 0 < len(run) < WORDS:
        yield hash(tuple(run))
