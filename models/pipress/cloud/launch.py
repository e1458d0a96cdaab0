"""Starting an instance, and what it means when AWS does not start one."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from pipress.errors import StageError

# By how many hours after its start an instance is gone, as infra/builder/aws/tags.ts has it.
TTL_TAG, USUAL_HOURS = "pipress:ttl-hours", 24.0

# What AWS says when it has no such machine free right now: another type, zone or way of paying may do.
NO_CAPACITY = re.compile(
    r"InsufficientInstanceCapacity|UnfulfillableCapacity|no Spot capacity|insufficient capacity|"
    r"InsufficientHostCapacity|not supported in your requested Availability Zone|SpotMaxPriceTooLow",
    re.IGNORECASE,
)
QUOTA = re.compile(
    r"VcpuLimitExceeded|MaxSpotInstanceCountExceeded|InstanceLimitExceeded|vCPU limit|vCPU capacity", re.I
)
FORBIDDEN = re.compile(r"UnauthorizedOperation|AccessDenied|not authorized|You are not authorized", re.IGNORECASE)


class Groups:
    """An instance's Auto Scaling groups, each of one at most: spot first, then on demand where that is allowed.

    names: those that may be there, in that order.
    """

    def __init__(self, client: Any, names: list[str]) -> None:
        self.client, self.candidates = client, names
        self.hours: dict[str, float] = {}
        self.current = 0

    @property
    def names(self) -> list[str]:
        """Those that are there."""
        return [name for name in self.candidates if name in self.hours]

    @property
    def asked(self) -> str:
        """The one that was asked last."""
        return (self.names or self.candidates)[self.current]

    def wake(self) -> None:
        """Asks for an instance unless one is asked for already. Raises StageError when there is no such group."""
        groups = self._describe()
        for index, name in enumerate(self.names):
            if groups[name]["DesiredCapacity"] > 0:
                self.current = index
                return
        self._start(self.asked)

    def failures(self, since: float) -> list[str]:
        """What AWS said of its failed attempts to start an instance since then, the latest first."""
        answer = self.client.describe_scaling_activities(AutoScalingGroupName=self.asked, MaxRecords=20)
        return [
            activity.get("StatusMessage", activity["StatusCode"])
            for activity in answer["Activities"]
            if activity["StatusCode"] in ("Failed", "Cancelled") and activity["StartTime"].timestamp() >= since
        ]

    def go_on_demand(self) -> bool:
        """Gives spot up and asks the next group. Returns False when there is none."""
        if self.current + 1 >= len(self.names):
            return False
        self._set(self.asked, 0)
        self.current += 1
        self._start(self.asked)
        return True

    def give_up(self) -> None:
        """Asks for no instance any more."""
        self._set(self.asked, 0)

    def _describe(self) -> dict[str, dict[str, Any]]:
        answer = self.client.describe_auto_scaling_groups(AutoScalingGroupNames=self.candidates)
        groups = {group["AutoScalingGroupName"]: group for group in answer["AutoScalingGroups"]}
        self.hours = {
            name: next((float(tag["Value"]) for tag in group.get("Tags", []) if tag["Key"] == TTL_TAG), USUAL_HOURS)
            for name, group in groups.items()
        }
        if not groups:
            raise StageError(
                f"there is no Auto Scaling group {self.candidates[0]}", "run `up` again: it declares the instance"
            )
        return groups

    def _start(self, name: str) -> None:
        # Before the instance: AWS itself takes it down, should its watchdog not.
        end = datetime.now(UTC) + timedelta(hours=self.hours[name])
        self.client.put_scheduled_update_group_action(
            AutoScalingGroupName=name, ScheduledActionName="end", StartTime=end, MinSize=0, DesiredCapacity=0
        )
        self._set(name, 1)

    def _set(self, name: str, capacity: int) -> None:
        self.client.set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=capacity, HonorCooldown=False)


def explain_launch(message: str, queue: str) -> StageError:
    """Why AWS starts no instance, and what to do."""
    short = " ".join(message.split())[:200]
    if QUOTA.search(message):
        kind = "G and VT instances" if queue.endswith("gpu") else "Standard instances"
        return StageError(
            f"AWS lets this account start no such instance: {short}",
            f"ask for a higher quota of vCPUs for spot and on-demand {kind} (Service Quotas, Amazon EC2), or name "
            "other types in builder.aws; then run `up` again",
        )
    if FORBIDDEN.search(message):
        remedy = "see docs/aws/operator-policy.json for what is needed"
        return StageError(f"AWS may not start the instance: {short}", remedy)
    if NO_CAPACITY.search(message):
        return StageError(
            f"AWS has no such instance free in any zone: {short}",
            "name more types in builder.aws, set its onDemand: true, or run `up` again later; the job waits",
        )
    return StageError(f"AWS could not start the instance: {short}", "see the group's activity in the EC2 console")
