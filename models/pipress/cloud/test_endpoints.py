"""Where an instance finds AWS: in China the names of endpoints end differently."""

import urllib.request
from typing import Any

import pytest

from pipress.cloud.objects import Objects
from pipress.cloud.services import Services
from pipress.cloud.signing import Credentials
from pipress.store.s3_address import parse_s3_url


def credentials() -> Credentials:
    return Credentials("key", "secret")


@pytest.mark.parametrize("suffix", ["amazonaws.com", "amazonaws.com.cn"])
def test_endpoints_end_as_the_partition_has_it(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ENDPOINT_URL_AUTO_SCALING", "AWS_ENDPOINT_URL_SSM"):
        monkeypatch.delenv(variable, raising=False)
    asked: list[str] = []

    def answer(request: urllib.request.Request, **_: Any) -> None:
        asked.append(request.full_url)
        raise OSError("nothing is asked here")

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    for call in (lambda s: s.leave_group("i-1", relaunch=False), lambda s: s.parameter("/x")):
        with pytest.raises(OSError, match="nothing is asked"):
            call(Services("cn-north-1", suffix, credentials))
    assert asked == [f"https://{service}.cn-north-1.{suffix}/" for service in ("autoscaling", "ssm")]
    objects = Objects(parse_s3_url("s3://models/p"), "cn-north-1", suffix, credentials)
    assert objects.endpoint == f"https://s3.cn-north-1.{suffix}"
