"""A double of what an instance sees of AWS besides S3: metadata service, Auto Scaling, Parameter Store."""

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from pipress.store.testing.s3_server import ROOT

TOKEN = "imds-token"
ROLE = "pipress-test-gpu"


class AwsDouble:
    """`calls` lists what Auto Scaling was asked, each a dict of its parameters."""

    def __init__(self, instance: str = "i-0123456789abcdef0", lifecycle: str = "spot") -> None:
        self.instance = instance
        self.metadata = {
            "meta-data/instance-id": instance,
            "meta-data/instance-type": "g6e.2xlarge",
            "meta-data/instance-life-cycle": lifecycle,
            "meta-data/placement/availability-zone": "us-east-1a",
            "meta-data/iam/security-credentials/": ROLE,
            f"meta-data/iam/security-credentials/{ROLE}": json.dumps(
                {
                    "Code": "Success",
                    "Type": "AWS-HMAC",
                    "AccessKeyId": ROOT["AWS_ACCESS_KEY_ID"],
                    "SecretAccessKey": ROOT["AWS_SECRET_ACCESS_KEY"],
                    "Token": "",  # the S3 server of the tests knows no sessions
                    "LastUpdated": "2026-01-01T00:00:00Z",
                    "Expiration": "2099-01-01T00:00:00Z",
                }
            ),
        }
        self.parameters: dict[str, str] = {}
        self.calls: list[dict[str, str]] = []
        # Desired capacity by group; what a group says of its attempts to start an instance.
        self.capacity: dict[str, int] = {}
        self.activities: dict[str, list[str]] = {}
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                self.answer(200, TOKEN if self.headers.get("x-aws-ec2-metadata-token-ttl-seconds") else "")

            def do_GET(self) -> None:
                if self.headers.get("x-aws-ec2-metadata-token") != TOKEN:
                    return self.answer(401, "version 1 is off")
                document = double.metadata.get(self.path.removeprefix("/latest/"))
                return self.answer(404, "") if document is None else self.answer(200, document)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                if "AWS4-HMAC-SHA256 Credential=" not in self.headers.get("Authorization", ""):
                    return self.answer(403, "<Error><Code>MissingAuthenticationToken</Code></Error>")
                if self.headers.get("X-Amz-Target") == "AmazonSSM.GetParameter":
                    value = double.parameters.get(json.loads(body)["Name"])
                    if value is None:
                        return self.answer(400, '{"__type": "ParameterNotFound"}')
                    return self.answer(200, json.dumps({"Parameter": {"Value": value}}))
                return self.answer(200, double.autoscaling({key: one for key, [one] in parse_qs(body).items()}))

            def answer(self, status: int, text: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "text/xml" if text.startswith("<") else "text/plain")
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """What leads the AWS tools, ours included, here."""
        names = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_ENDPOINT_URL_AUTO_SCALING", "AWS_ENDPOINT_URL_SSM")
        return dict.fromkeys(names, self.endpoint)

    def interrupt(self) -> None:
        """EC2 says that it takes the instance back in two minutes."""
        self.metadata["meta-data/spot/instance-action"] = json.dumps(
            {"action": "terminate", "time": "2026-01-01T00:02:00Z"}
        )

    def autoscaling(self, call: dict[str, str]) -> str:
        """Does what is asked, and answers as Auto Scaling does."""
        self.calls.append(call)
        action, inner = call["Action"], ""
        if action == "SetDesiredCapacity":
            self.capacity[call["AutoScalingGroupName"]] = int(call["DesiredCapacity"])
        elif action == "DescribeAutoScalingGroups":
            names = [value for key, value in call.items() if key.startswith("AutoScalingGroupNames.member")]
            groups = "".join(
                f"<member><AutoScalingGroupName>{name}</AutoScalingGroupName>"
                f"<DesiredCapacity>{self.capacity[name]}</DesiredCapacity><Tags><member>"
                "<Key>pipress:ttl-hours</Key><Value>12</Value></member></Tags></member>"
                for name in names
                if name in self.capacity
            )
            inner = f"<AutoScalingGroups>{groups}</AutoScalingGroups>"
        elif action == "DescribeScalingActivities":
            now = datetime.now(UTC).isoformat()
            activities = "".join(
                f"<member><StatusCode>Failed</StatusCode><StartTime>{now}</StartTime>"
                f"<StatusMessage>{message}</StatusMessage></member>"
                for message in self.activities.get(call["AutoScalingGroupName"], [])
            )
            inner = f"<Activities>{activities}</Activities>"
        return f"<{action}Response><{action}Result>{inner}</{action}Result></{action}Response>"

    def ended(self) -> list[dict[str, str]]:
        """Which instances were ended, and whether another takes their place."""
        return [call for call in self.calls if call["Action"] == "TerminateInstanceInAutoScalingGroup"]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
