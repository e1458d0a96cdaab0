"""Facts for Prometheus."""

from __future__ import annotations

import json

from pipress_host.facts import render


def test_what_the_board_tells_is_given_in_prometheus_text_format(tmp_path):
    folder = tmp_path / "releases/0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "verdict.json").write_text(json.dumps({"ok": True, "tokensPerSecond": 2.25}))
    (tmp_path / "current").symlink_to("releases/0123456789abcdef")
    lines = render(tmp_path, 0x50001, 61.3).splitlines()
    assert "pipress_temperature_celsius 61.3" in lines
    assert 'pipress_throttled{condition="under_voltage"} 1' in lines
    assert 'pipress_throttled{condition="throttled"} 0' in lines
    assert 'pipress_throttled_since_boot{condition="throttled"} 1' in lines
    assert 'pipress_release_info{release="0123456789ab"} 1' in lines
    assert "pipress_health_check_tokens_per_second 2.25" in lines
    assert lines.count("# TYPE pipress_throttled gauge") == 1


def test_what_it_does_not_tell_is_left_out(tmp_path):
    assert render(tmp_path, None, None) == ""
