"""Facts for Prometheus."""

from __future__ import annotations

import json

import pytest

from pipress_host import facts
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


def test_every_figure_is_announced_and_every_condition_has_its_own(tmp_path):
    assert render(tmp_path, 0x80004, -1.5) == (
        "# HELP pipress_temperature_celsius Temperature of the board\n"
        "# TYPE pipress_temperature_celsius gauge\n"
        "pipress_temperature_celsius -1.5\n"
        "# HELP pipress_throttled Whether the firmware sees the condition now\n"
        "# TYPE pipress_throttled gauge\n"
        'pipress_throttled{condition="under_voltage"} 0\n'
        'pipress_throttled{condition="frequency_capped"} 0\n'
        'pipress_throttled{condition="throttled"} 1\n'
        'pipress_throttled{condition="soft_temperature_limit"} 0\n'
        "# HELP pipress_throttled_since_boot Whether the firmware has seen it since boot\n"
        "# TYPE pipress_throttled_since_boot gauge\n"
        'pipress_throttled_since_boot{condition="under_voltage"} 0\n'
        'pipress_throttled_since_boot{condition="frequency_capped"} 0\n'
        'pipress_throttled_since_boot{condition="throttled"} 0\n'
        'pipress_throttled_since_boot{condition="soft_temperature_limit"} 1\n'
    )


def test_a_board_that_is_not_throttled_says_so(tmp_path):
    lines = render(tmp_path, 0, None).splitlines()
    assert len([line for line in lines if line.endswith(" 0")]) == 8


@pytest.mark.parametrize(
    ("verdict", "count"), [({"ok": True}, 3), ({"ok": True, "tokensPerSecond": 0}, 6), (None, 0)]
)
def test_what_the_health_check_did_not_measure_is_left_out(tmp_path, verdict, count):
    folder = tmp_path / "releases/one"
    folder.mkdir(parents=True)
    (tmp_path / "current").symlink_to("releases/one")
    if verdict:
        (folder / "verdict.json").write_text(json.dumps(verdict))
    assert len(render(tmp_path, None, None).splitlines()) == count


def test_the_figures_of_this_host_are_published(tmp_path, monkeypatch):
    for name in ("ROOT", "FIGURES", "TEXTFILE"):
        monkeypatch.setattr(facts, name, tmp_path / name.lower())
    monkeypatch.setattr(facts, "throttled", lambda: None)
    monkeypatch.setattr(facts, "celsius", lambda: 50.0)
    facts.main()
    assert "pipress_temperature_celsius 50.0\n" in (tmp_path / "textfile").read_text()
    assert (tmp_path / "figures").stat().st_mode & 0o777 == 0o644
