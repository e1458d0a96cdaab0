"""What a stage is told: its parameters, its tools, and where to report progress."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# A stage's figures: flat, small, and JSON.
Metrics = dict[str, float | int | str | bool | None]

# report(fraction between 0 and 1, "step 135/300 · loss 2.31", seconds left if known)
Report = Callable[..., None]


@dataclass(frozen=True)
class Spec:
    """One run of a stage. `checkpoint` outlives the run: what it holds is there when a killed run starts again."""

    stage: str
    name: str
    params: dict[str, Any]
    llama_cpp_bin: Path
    convert_script: Path
    checkpoint: Path
    report: Report
    # Manifests of the inputs, by the names under which the stage knows them.
    manifests: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Parts of the recipe that its result is to go through, by their path there; no part of the key.
    needed_for: tuple[str, ...] = ()
