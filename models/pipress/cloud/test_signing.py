"""Signatures beside those of botocore, which is what every AWS service was tried with."""

from datetime import UTC, datetime
from unittest import mock

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from pipress.cloud.signing import EMPTY_SHA256, Credentials, sign

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize("token", [None, "session/token=="])
@pytest.mark.parametrize(
    ("service", "method", "url"),
    [
        ("s3", "GET", "https://s3.eu-central-1.amazonaws.com/bucket/p/boxes/a%20b/x~1.json"),
        ("s3", "GET", "http://127.0.0.1:9000/bucket?list-type=2&prefix=p%2Fboxes%2F&continuation-token=a%2Bb%3D"),
        ("autoscaling", "POST", "https://autoscaling.eu-central-1.amazonaws.com/"),
    ],
)
def test_a_signature_is_the_one_that_botocore_makes(service: str, method: str, url: str, token: str | None) -> None:
    request = AWSRequest(method, url, headers={"Content-Type": "application/x-amz-json-1.1"})
    request.context["payload_signing_enabled"] = True
    kind = S3SigV4Auth if service == "s3" else SigV4Auth
    with mock.patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        kind(BotocoreCredentials("AK", "SK", token), service, "eu-central-1").add_auth(request)
    headers = {"content-type": "application/x-amz-json-1.1"}
    ours = sign(method, url, headers, EMPTY_SHA256, Credentials("AK", "SK", token), "eu-central-1", service, NOW)
    assert ours["authorization"] == request.headers["Authorization"]
