"""The loop of Transformers and PEFT, beside the stage `recover`: tokens a second of both, see `train_speed.py`."""

import json
from pathlib import Path

from pipress.bench.train_speed import measure
from pipress.memory import keep_freed_memory
from pipress.spec import Metrics, Spec
from pipress.validation import check_params

TOOLS = ("peft", "safetensors", "tokenizers", "torch", "transformers")


def run(spec: Spec, inputs: dict[str, Path], out: Path) -> Metrics:
    """Parameters are those of `recover`; leaves speed.json."""
    keep_freed_memory()
    result = measure(inputs["teacher"], inputs["model"], inputs["datasets"], check_params("recover", spec.params))
    (out / "speed.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return {name: value for name, value in result.items() if isinstance(value, int | float | str)}
