"""What a box is told at its boot: no secret is in it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Limits:
    """When a box is to end by itself."""

    # Seconds in which neither progress, log nor checkpoint of the job changes.
    no_progress_seconds: float
    # Seconds in which the GPU has nothing to do while a job is at work.
    gpu_idle_seconds: float
    # Seconds without a job.
    linger_seconds: float
    # Of this box and those it took over from, since its oldest job was submitted.
    max_hours: float
    max_cost_usd: float


@dataclass(frozen=True)
class Settings:
    """box: `<stack>/gpu`, where its jobs lie in the bucket. usd_per_hour: by type and lifecycle, with the disk."""

    box: str
    store: str
    region: str
    gpu: bool
    token_parameter: str | None
    usd_per_hour: dict[str, dict[str, float]]
    limits: Limits

    def price(self, instance_type: str, lifecycle: str) -> float:
        """US dollars an hour. A type that nobody priced is taken for the dearest."""
        known = self.usd_per_hour.get(instance_type) or max(self.usd_per_hour.values(), key=lambda p: p["on-demand"])
        return known.get(lifecycle, known["on-demand"])


def read_settings(path: Path) -> Settings:
    """Reads what boot.sh wrote down; `infra/builder/aws/user-data.ts` is where it comes from."""
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    limits = told["limits"]
    return Settings(
        box=told["box"],
        store=told["store"],
        region=told["region"],
        gpu=told["gpu"],
        token_parameter=told.get("tokenParameter"),
        usd_per_hour=told["usdPerHour"],
        limits=Limits(
            limits["noProgressSeconds"],
            limits["gpuIdleSeconds"],
            limits["lingerSeconds"],
            limits["maxHours"],
            limits["maxCostUsd"],
        ),
    )
