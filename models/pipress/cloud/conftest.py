"""An instance that boots here, and the doubles of what is around it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipress.cloud.settings import Limits
from pipress.cloud.testing.aws import AwsDouble
from pipress.cloud.testing.machine import Machine, has_namespaces
from pipress.store.conftest import s3_server, s3_url
from pipress.store.testing.s3_server import S3Server

__all__ = ["s3_server", "s3_url"]

LIMITS = Limits(
    stall_timeout_seconds=1800,
    gpu_idle_timeout_seconds=1200,
    idle_timeout_seconds=300,
    max_seconds=43200,
    max_cost_usd=20,
)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsDouble]:
    """A double of AWS besides S3; the environment leads to it."""
    double = AwsDouble()
    for name, value in double.environment.items():
        monkeypatch.setenv(name, value)
    yield double
    double.stop()


@pytest.fixture
def machine(s3_server: S3Server, s3_url: str, aws: AwsDouble, tmp_path: Path) -> Iterator[Callable[..., Machine]]:
    """Makes machines, each with a home of its own, in one store."""
    if not has_namespaces():
        pytest.skip("this user may make no namespaces (unshare); root may")
    made: list[Machine] = []

    def make(double: AwsDouble = aws, **changes: Any) -> Machine:
        made.append(Machine(tmp_path / f"instance-{len(made)}", s3_server, tmp_path.name, double, **changes))
        return made[-1]

    yield make
    for one in made:
        one.cut_power()
