"""Whether two texts share passages.

Runs of 13 words, as in the contamination study of Brown et al., "Language Models are Few-Shot Learners"
(arXiv:2005.14165, appendix C): long enough that chance and common phrases do not make them.
"""

import re

WORDS = 13
WORD = re.compile(r"\w+")


def shared_share(text: str, other: str) -> float:
    """Share of the word runs of `text` that `other` has too, 0 to 1; 1 for equal texts, also without any words."""
    if text == other:
        return 1.0
    ours, theirs = _runs(text), _runs(other)
    return len(ours & theirs) / len(ours) if ours else 0.0


def _runs(text: str) -> set[int]:
    words = WORD.findall(text.lower())
    length = min(WORDS, len(words))
    # Hashes instead of the runs themselves: a tenth of the memory.
    return {hash(tuple(words[i : i + length])) for i in range(len(words) - length + 1)} if words else set()
