"""The two AWS APIs that an instance calls besides S3. Endpoints are moved with the variables that the AWS SDKs read."""

import hashlib
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from urllib.parse import urlencode

from pipress.cloud.signing import Credentials, sign

ANSWER_SECONDS = 20.0


class Services:
    """Signed requests in one region, with the role's keys."""

    def __init__(self, region: str, dns_suffix: str, credentials: Callable[[], Credentials]) -> None:
        self.region, self.dns_suffix, self.credentials = region, dns_suffix, credentials

    def leave_group(self, instance: str, relaunch: bool) -> None:
        """Ends this instance by way of its Auto Scaling group. Raises OSError when that is refused.

        relaunch: whether the group starts another in its place.
        """
        query = {
            "Action": "TerminateInstanceInAutoScalingGroup",
            "InstanceId": instance,
            "ShouldDecrementDesiredCapacity": "false" if relaunch else "true",
            "Version": "2011-01-01",
        }
        headers = {"content-type": "application/x-www-form-urlencoded"}
        self._post("autoscaling", "AUTO_SCALING", urlencode(query).encode(), headers)

    def parameter(self, name: str) -> str:
        """A secret of the Parameter Store, decrypted. Raises OSError when there is none or the role may not read it."""
        body = json.dumps({"Name": name, "WithDecryption": True}).encode()
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonSSM.GetParameter"}
        return json.loads(self._post("ssm", "SSM", body, headers))["Parameter"]["Value"]

    def _post(self, service: str, variable: str, body: bytes, headers: dict[str, str]) -> bytes:
        usual = f"https://{service}.{self.region}.{self.dns_suffix}"
        url = os.environ.get(f"AWS_ENDPOINT_URL_{variable}", usual).rstrip("/")
        digest = hashlib.sha256(body).hexdigest()
        signed = sign("POST", f"{url}/", headers, digest, self.credentials(), self.region, service)
        request = urllib.request.Request(f"{url}/", data=body, headers=signed, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                return answer.read()
        except urllib.error.HTTPError as error:
            message = " ".join(error.read().decode(errors="replace").split())[:300]
            raise OSError(f"{service} answered {error.code}: {message}") from None
