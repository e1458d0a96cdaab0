"""Units as their files say, with a double in the place of systemd."""

from __future__ import annotations

import pytest

from pipress_host.service import ServiceState
from pipress_host.unit import STAMP, Unit, run_unit

CONTENT = "[Service]\nExecStart=/usr/local/lib/pipress/activate --watch\n"


def wanted(content: str = CONTENT, runs: str = "tools-1") -> Unit:
    return Unit("pipress-watch.service", content, runs, "multi-user.target")


def test_a_unit_is_placed_started_and_started_at_boot_and_then_there_is_nothing_to_do(systemd):
    outcome = run_unit(wanted(), systemd, False, systemd.folder)
    assert (outcome["changed"], outcome["reason"]) == (True, "it is inactive")
    assert (systemd.folder / systemd.unit).read_text().startswith(CONTENT)
    assert (systemd.folder / "multi-user.target.wants" / systemd.unit).samefile(systemd.folder / systemd.unit)
    again = run_unit(wanted(), systemd, False, systemd.folder)
    assert (again["changed"], again["reason"], systemd.starts) == (False, None, 1)


@pytest.mark.parametrize(
    "newer", [wanted(runs="tools-2"), wanted(CONTENT + "Nice=5\n")], ids=["tools", "unit"]
)
@pytest.mark.parametrize("placed_by", ["this run", "a run before"])
def test_a_process_that_runs_older_files_is_restarted_whoever_placed_the_newer(systemd, newer, placed_by):
    run_unit(wanted(), systemd, False, systemd.folder)
    if placed_by == "a run before":
        (systemd.folder / systemd.unit).write_text(newer.file(systemd.folder)["content"])
        systemd.reload_units()
    outcome = run_unit(newer, systemd, False, systemd.folder)
    assert outcome["reason"] == "it runs older files than those that are there"
    assert systemd.process == {STAMP: newer.stamp}
    assert run_unit(newer, systemd, False, systemd.folder)["changed"] is False


def test_a_process_of_the_version_before_which_had_no_stamp_is_restarted(systemd):
    systemd.folder.mkdir()
    (systemd.folder / systemd.unit).write_text(CONTENT)
    systemd.reload_units()
    systemd.start_anew()
    assert systemd.process == {}
    run_unit(wanted(), systemd, False, systemd.folder)
    assert (systemd.process, systemd.starts) == ({STAMP: wanted().stamp}, 2)


def test_check_tells_the_same_and_touches_nothing(systemd):
    run_unit(wanted(), systemd, False, systemd.folder)
    newer = wanted(runs="tools-2")
    outcome = run_unit(newer, systemd, True, systemd.folder)
    assert (outcome["changed"], outcome["reason"]) == (True, "it runs older files than those that are there")
    assert (systemd.process, systemd.needs_reload(), systemd.starts) == ({STAMP: wanted().stamp}, False, 1)


def test_a_unit_of_the_system_only_gets_the_stamp(systemd):
    systemd.unit = "systemd-journald.service"
    unit = Unit(systemd.unit, content="", runs="journald.conf-1")
    run_unit(unit, systemd, False, systemd.folder)
    assert [
        str(path.relative_to(systemd.folder)) for path in systemd.folder.rglob("*.*") if path.is_file()
    ] == ["systemd-journald.service.d/60-pipress.conf"]
    assert systemd.process == {STAMP: unit.stamp}


def test_a_timer_has_no_process_to_carry_a_stamp(systemd):
    systemd.unit = "pipress-facts.timer"
    timer = Unit(systemd.unit, "[Timer]\nOnBootSec=1min\n", "tools-1", "timers.target")
    run_unit(timer, systemd, False, systemd.folder)
    assert (systemd.folder / systemd.unit).read_text() == timer.content
    assert run_unit(timer._replace(runs="tools-2"), systemd, False, systemd.folder)["changed"] is False


@pytest.mark.parametrize("before", [None, wanted()], ids=["first", "update"])
def test_a_kill_between_any_two_steps_heals_at_the_next_run(systemd, killed_at_every_step, before):
    newer = wanted(CONTENT + "Nice=5\n", "tools-2")

    def begin():
        for file in systemd.folder.rglob("*.*"):
            if not file.is_dir():
                file.unlink()
        systemd.loaded, systemd.process = "", None
        if before:
            run_unit(before, systemd, False, systemd.folder)
        return lambda: run_unit(newer, systemd, False, systemd.folder)

    cases = 0
    for _ in killed_at_every_step(begin, [(systemd, "reload_units"), (systemd, "start_anew")]):
        cases += 1
        run_unit(newer, systemd, False, systemd.folder)
        assert systemd.process == {STAMP: newer.stamp}
        assert not systemd.needs_reload()
        assert (systemd.folder / "multi-user.target.wants" / systemd.unit).exists()
    assert cases == (3 if before else 4)


@pytest.mark.parametrize("state", ["inactive", "failed", "deactivating", "unknown"])
def test_a_unit_that_does_not_run_is_started(systemd, monkeypatch, state):
    run_unit(wanted(), systemd, False, systemd.folder)
    monkeypatch.setattr(systemd, "state", lambda: ServiceState(state, 0))
    assert run_unit(wanted(), systemd, False, systemd.folder)["reason"] == f"it is {state}"
    assert systemd.starts == 2


@pytest.mark.parametrize("state", ["active", "activating", "reloading"])
def test_a_unit_that_runs_or_is_about_to_is_left_alone(systemd, monkeypatch, state):
    run_unit(wanted(), systemd, False, systemd.folder)
    monkeypatch.setattr(systemd, "state", lambda: ServiceState(state, 0))
    outcome = run_unit(wanted(), systemd, False, systemd.folder)
    assert (outcome["changed"], systemd.starts) == (False, 1)


@pytest.mark.parametrize("check", [True, False])
def test_a_unit_file_that_systemd_has_not_read_is_a_change_of_its_own(systemd, monkeypatch, check):
    """A run before was killed after it placed a unit that starts nothing by itself."""
    timer = Unit("pipress-facts.timer", "[Timer]\nOnBootSec=1min\n", "", "timers.target")
    systemd.unit = timer.name
    run_unit(timer, systemd, False, systemd.folder)
    systemd.loaded = "older"
    outcome = run_unit(timer, systemd, check, systemd.folder)
    assert (outcome["changed"], outcome["reason"]) == (True, "systemd has an older unit file")
    assert systemd.starts == 1 and systemd.needs_reload() is check


def test_nothing_to_do_is_nothing_done(systemd, monkeypatch):
    run_unit(wanted(), systemd, False, systemd.folder)
    monkeypatch.setattr(systemd, "reload_units", lambda: pytest.fail("read anew"))
    outcome = run_unit(wanted(), systemd, False, systemd.folder)
    assert (outcome["changed"], outcome["reason"], outcome["diff"]) == (False, None, [])


def test_a_unit_nobody_starts_at_boot_has_no_link(systemd):
    unit = wanted()._replace(wanted_by="", content=CONTENT.rstrip("\n"))
    run_unit(unit, systemd, False, systemd.folder)
    assert [path.name for path in systemd.folder.iterdir()] == [systemd.unit]
    assert (systemd.folder / systemd.unit).read_text() == (
        f"{CONTENT}\n[Service]\nEnvironment={STAMP}={unit.stamp}\n"
    )


def test_a_stamp_is_of_the_unit_and_of_what_it_runs():
    stamps = {wanted().stamp, wanted(runs="tools-2").stamp, wanted(CONTENT + "Nice=5\n").stamp}
    assert len(stamps) == 3 and all(len(stamp) == 64 for stamp in stamps)
