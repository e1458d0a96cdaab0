"""The instance metadata service, version 2: this instance's identity, its role's keys, and the notice of its end."""

import json
import os
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any

from pipress.cloud.signing import Credentials

SERVICE = "http://169.254.169.254"
TOKEN_SECONDS = 21600
ANSWER_SECONDS = 5.0


@dataclass(frozen=True)
class Instance:
    """This instance. `lifecycle` is `spot` or `on-demand`."""

    id: str
    type: str
    lifecycle: str
    zone: str


class Metadata:
    """Answers are asked for anew each time, but for the token and the role's keys."""

    def __init__(self) -> None:
        # The same variable as the AWS SDKs read.
        self.service = os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", SERVICE).rstrip("/")
        self._token, self._token_until = "", 0.0
        self._credentials: Credentials | None = None
        self._renew_at = 0.0

    def instance(self) -> Instance:
        """What does not change while the instance lives."""
        paths = ("instance-id", "instance-type", "instance-life-cycle", "placement/availability-zone")
        return Instance(*(self.get(f"meta-data/{path}") or "unknown" for path in paths))

    def credentials(self) -> Credentials:
        """Keys of the instance's role, renewed a few minutes before they expire. Raises OSError when it has none."""
        if self._credentials is None or time.time() > self._renew_at:
            role = self.get("meta-data/iam/security-credentials/")
            document = role and self.get(f"meta-data/iam/security-credentials/{role.splitlines()[0]}")
            if not document:
                raise OSError("the instance has no role: the metadata service names none")
            keys = json.loads(document)
            self._credentials = Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys.get("Token") or None)
            self._renew_at = time.time() + 300
        return self._credentials

    def interruption(self) -> dict[str, Any] | None:
        """`{"action": "terminate", "time": …}` once EC2 wants the instance back, about two minutes ahead; None before.

        docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
        """
        notice = self.get("meta-data/spot/instance-action")
        return json.loads(notice) if notice else None

    def get(self, path: str) -> str | None:
        """The text at `latest/<path>`; None where there is nothing. Raises OSError when the service does not answer."""
        if time.time() > self._token_until:
            self._token = self._ask("PUT", "api/token", {"x-aws-ec2-metadata-token-ttl-seconds": str(TOKEN_SECONDS)})
            self._token_until = time.time() + TOKEN_SECONDS - 60
        try:
            return self._ask("GET", path, {"x-aws-ec2-metadata-token": self._token})
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            if error.code == 401:
                self._token_until = 0.0  # the next question asks for a token first
            raise

    def _ask(self, method: str, path: str, headers: dict[str, str]) -> str:
        request = urllib.request.Request(f"{self.service}/latest/{path}", method=method, headers=headers)
        # The service is on this machine: a proxy that the environment names must not be asked.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=ANSWER_SECONDS) as answer:
            return answer.read().decode()
