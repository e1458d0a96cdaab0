"""When a box is to end, decided from what was seen of it: no clock, no request, no file."""

from dataclasses import dataclass

from pipress.cloud.settings import Limits

# The server of jobs notes itself every second or so while it works; restarting it takes less than this.
SERVER_SECONDS = 180.0
# By how the last job ended.
WITHOUT_A_JOB = {"failed": "its last job failed", "done": "its jobs are done"}


@dataclass(frozen=True)
class Seen:
    """One look at the box. All times are seconds since the epoch."""

    now: float
    # EC2 wants the box back.
    interrupted: bool
    # The server of jobs noted itself last.
    beat: float
    # A job is at work, and when anything of it last changed.
    working: bool
    changed: float
    # Without a job since; and how the last one ended, if there was one.
    idle_since: float
    last: str
    # The GPU last had something to do; None on a box without one.
    gpu_busy: float | None
    hours: float
    cost_usd: float


@dataclass(frozen=True)
class End:
    """The box ends, and why.

    relaunch: another takes its place, and the job goes on there. blame: what to do about it, where the job is to count
    as failed because of it; None where the job did nothing wrong.
    """

    why: str
    relaunch: bool = False
    blame: str | None = None


def judge(seen: Seen, limits: Limits) -> End | None:
    """The first reason to end the box; None when there is none."""
    if seen.interrupted:
        return End("EC2 takes the spot instance back", relaunch=True)
    if seen.cost_usd >= limits.max_cost_usd:
        return End(
            f"it has cost ${seen.cost_usd:.2f}, its limit is ${limits.max_cost_usd:.2f}",
            blame=_raise("maxCostUsd"),
        )
    if seen.hours >= limits.max_hours:
        return End(
            f"it has run for {seen.hours:.1f} hours, its limit is {limits.max_hours:g}",
            blame=_raise("maxHours"),
        )
    if seen.now - seen.beat > SERVER_SECONDS:
        return End("nothing takes jobs on it any more", blame="see the box's log in the bucket, then run `up` again")
    if not seen.working:
        if seen.now - seen.idle_since <= limits.linger_seconds:
            return None
        return End(WITHOUT_A_JOB.get(seen.last, "nobody gave it a job"))
    if seen.now - seen.changed > limits.no_progress_seconds:
        return End(
            f"the job has made no progress for {_minutes(limits.no_progress_seconds)}",
            blame="see its log (`./pipress logs STAGE`), then run `up` again: it goes on from its checkpoint",
        )
    if seen.gpu_busy is not None and seen.now - seen.gpu_busy > limits.gpu_idle_seconds:
        return End(
            f"the GPU has had nothing to do for {_minutes(limits.gpu_idle_seconds)}",
            blame="see its log (`./pipress logs STAGE`): does the stage find the GPU?",
        )
    return None


def _raise(limit: str) -> str:
    return f"raise builder.aws.{limit} if that is what you want, then run `up` again: it goes on from its checkpoint"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} s"
