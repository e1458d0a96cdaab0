"""When an instance is to end, decided from what was seen of it: no clock, no request, no file."""

from dataclasses import dataclass

from pipress.cloud.settings import Limits
from pipress.units import format_duration

# The server of jobs notes itself every second or so while it works; restarting it takes less than this.
SERVER_SECONDS = 180.0
# By how the last job ended.
WITHOUT_A_JOB = {"failed": "its last job failed", "done": "its jobs are done"}


@dataclass(frozen=True)
class Seen:
    """One look at the instance. All times are seconds since the epoch."""

    now: float
    # EC2 wants the instance back.
    interrupted: bool
    # The server of jobs noted itself last.
    beat: float
    # A job is at work, and when anything of it last changed.
    working: bool
    changed: float
    # Without a job since; and how the last one ended, if there was one.
    idle_since: float
    last: str
    # The GPU last had something to do; None on an instance without one.
    gpu_busy: float | None
    hours: float
    cost_usd: float


@dataclass(frozen=True)
class End:
    """The instance ends, and why.

    relaunch: another takes its place, and the job goes on there. blame: what to do about it, where the job is to count
    as failed because of it; None where the job did nothing wrong.
    """

    why: str
    relaunch: bool = False
    blame: str | None = None


def judge(seen: Seen, limits: Limits) -> End | None:
    """The first reason to end the instance; None when there is none."""
    if seen.interrupted:
        return End("EC2 takes the spot instance back", relaunch=True)
    if seen.cost_usd >= limits.max_cost_usd:
        return End(
            f"it has cost ${seen.cost_usd:.2f}, its limit is ${limits.max_cost_usd:.2f}",
            blame=_raise("maxCostUsd"),
        )
    if seen.hours * 3600 >= limits.max_seconds:
        limit = format_duration(limits.max_seconds)
        return End(
            f"it has run for {format_duration(seen.hours * 3600)}, its limit is {limit}",
            blame=_raise("maxDuration"),
        )
    if seen.now - seen.beat > SERVER_SECONDS:
        blame = "see the instance's log in the bucket, then run `up` again"
        return End("nothing takes jobs on it any more", blame=blame)
    if not seen.working:
        if seen.now - seen.idle_since <= limits.idle_timeout_seconds:
            return None
        return End(WITHOUT_A_JOB.get(seen.last, "nobody gave it a job"))
    if seen.now - seen.changed > limits.stall_timeout_seconds:
        return End(
            f"the job has made no progress for {_minutes(limits.stall_timeout_seconds)}",
            blame="see its log (`./pipress logs STAGE`), then run `up` again: it goes on from its checkpoint",
        )
    if seen.gpu_busy is not None and seen.now - seen.gpu_busy > limits.gpu_idle_timeout_seconds:
        return End(
            f"the GPU has had nothing to do for {_minutes(limits.gpu_idle_timeout_seconds)}",
            blame="see its log (`./pipress logs STAGE`): does the stage find the GPU?",
        )
    return None


def _raise(limit: str) -> str:
    return f"raise builder.aws.{limit} if that is what you want, then run `up` again: it goes on from its checkpoint"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} s"
