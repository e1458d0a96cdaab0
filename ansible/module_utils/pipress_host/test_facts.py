"""Facts for Prometheus."""

from __future__ import annotations

import json

from pipress_host.facts import publish, render


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


def test_figures_of_every_minute_are_written_beside_the_card(tmp_path):
    card, memory = tmp_path / "card" / "pipress.prom", tmp_path / "run" / "pipress.prom"
    card.parent.mkdir()
    card.write_text("left by an earlier version\n")
    publish("first\n", memory, card)
    before = card.lstat().st_ino
    publish("second\n", memory, card)
    assert card.read_text() == "second\n"
    assert card.lstat().st_ino == before, "nothing on the card has changed"
    assert list(card.parent.iterdir()) == [card]
