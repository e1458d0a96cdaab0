"""What an instance is given at its boot: no secret is in it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Limits:
    """When an instance is to end by itself."""

    # Seconds in which neither progress, log nor checkpoint of the job changes.
    stall_timeout_seconds: float
    # Seconds in which the GPU has nothing to do while a job is at work.
    gpu_idle_timeout_seconds: float
    # Seconds without a job.
    idle_timeout_seconds: float
    # Of this instance and those it took over from, since its oldest job was submitted.
    max_seconds: float
    max_cost_usd: float


@dataclass(frozen=True)
class Settings:
    """queue: `<stack>-<id>/gpu`, its job queue in the bucket. usd_per_hour: by type and lifecycle, with the disk.

    dns_suffix: what the names of AWS's endpoints end with, `amazonaws.com`.
    """

    queue: str
    store: str
    region: str
    dns_suffix: str
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
    given: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    limits = given["limits"]
    return Settings(
        queue=given["queue"],
        store=given["store"],
        region=given["region"],
        dns_suffix=given["dnsSuffix"],
        gpu=given["gpu"],
        token_parameter=given.get("tokenParameter"),
        usd_per_hour=given["usdPerHour"],
        limits=Limits(
            limits["stallTimeoutSeconds"],
            limits["gpuIdleTimeoutSeconds"],
            limits["idleTimeoutSeconds"],
            limits["maxSeconds"],
            limits["maxCostUsd"],
        ),
    )
