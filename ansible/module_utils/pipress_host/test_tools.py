"""What runs on a host without Ansible: complete, switched as a whole, and whole again after a kill at any step."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipress_host.file_set import write_file_set
from pipress_host.tools import prune_tools

ANSIBLE = Path(__file__).resolve().parents[2]


def load_lookup():
    spec = importlib.util.spec_from_file_location(
        "pipress_tools", ANSIBLE / "lookup_plugins/pipress_tools.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tools_of = load_lookup().tools_of


@pytest.fixture
def versions(tmp_path):
    """Two versions of the tools, as small as can be, and the folder of a host that they go to."""
    sources = []
    for version in ("one", "two"):
        source = tmp_path / version
        (source / "tools").mkdir(parents=True)
        (source / "module_utils/pipress_host").mkdir(parents=True)
        for name in ("tools/activate", "tools/share", "module_utils/pipress_host/main.py"):
            (source / name).write_text(version)
        sources.append(tools_of(str(tmp_path / "host"), source))
    return tmp_path / "host", *sources


def place(tools):
    return write_file_set(tools["files"], tools["links"], {}, check=False)


def contents(folder: Path) -> set[str]:
    """What is in all files of the version that is in use."""
    return {path.read_text() for path in (folder / "current").resolve().rglob("*") if path.is_file()}


def test_every_module_is_there_and_imports_without_ansible(tmp_path):
    place(tools_of(str(tmp_path), ANSIBLE))
    package = tmp_path / "current/pipress_host"
    assert not list(package.glob("test_*")) and not list(package.glob("conftest.py"))
    names = [f"pipress_host.{path.stem}" for path in package.glob("*.py")]
    script = f"import sys; sys.path = [{str(tmp_path / 'current')!r}, *sys.path]; import {', '.join(names)}"
    subprocess.run([sys.executable, "-I", "-S", "-c", script], check=True)


def test_a_command_runs_by_its_own_name_from_the_folder_of_its_version(tmp_path):
    place(tools_of(str(tmp_path), ANSIBLE))
    shown = subprocess.run([tmp_path / "activate", "--help"], check=True, capture_output=True, text=True)
    assert "Switch this host to a staged release" in shown.stdout
    assert (tmp_path / "current/pipress_host/__pycache__").exists()


def test_a_change_of_any_file_is_another_folder(versions):
    folder, one, two = versions
    assert one["digest"] != two["digest"]
    place(one)
    assert place(one)["changed"] is False
    assert os.readlink(folder / "current") == one["digest"]
    assert (folder / "activate").read_text() == "one"


@pytest.mark.parametrize("before", ["nothing", "the version before", "files without a folder of their own"])
def test_half_written_tools_are_never_in_use_and_the_next_run_completes_them(
    versions, killed_at_every_step, before
):
    folder, one, two = versions

    def begin():
        shutil.rmtree(folder, ignore_errors=True)
        if before == "the version before":
            place(one)
        elif before != "nothing":
            (folder / "pipress_host").mkdir(parents=True)
            (folder / "pipress_host/main.py").write_text("legacy")
            (folder / "activate").write_text("legacy")
        return lambda: place(two)

    cases = 0
    for _ in killed_at_every_step(begin, []):
        cases += 1
        if (folder / "current").exists():
            assert len(contents(folder)) == 1
        if before == "the version before":
            assert (folder / "activate").exists()
        place(two)
        assert (contents(folder), (folder / "activate").read_text()) == ({"two"}, "two")
        assert place(two)["changed"] is False
    # Files, the link, and the names of the commands, which are there already when there is a version before.
    assert cases == (4 if before == "the version before" else 6)


def test_what_earlier_versions_left_is_removed_but_nothing_that_was_just_placed(versions):
    folder, one, two = versions
    place(one)
    (folder / "pipress_host").mkdir()
    for old in (folder / one["digest"], folder / "pipress_host"):
        os.utime(old, (0, time.time() - 2 * 3600))
    place(two)
    (folder / "being-placed").mkdir()
    prune_tools(folder)
    assert sorted(path.name for path in folder.iterdir() if not path.is_symlink()) == sorted(
        ["being-placed", two["digest"]]
    )
    assert (folder / "activate").read_text() == "two"


def test_nothing_is_removed_where_no_version_is_in_use(tmp_path):
    (tmp_path / "pipress_host").mkdir()
    os.utime(tmp_path / "pipress_host", (0, 0))
    prune_tools(tmp_path)
    assert (tmp_path / "pipress_host").exists()


def test_a_version_is_made_of_commands_and_modules_with_their_modes(tmp_path):
    source = tmp_path / "source"
    package = source / "module_utils/pipress_host"
    for folder in (source / "tools/__pycache__", package):
        folder.mkdir(parents=True)
    (source / "tools/activate").write_text("command")
    for name in ("main.py", "test_main.py", "conftest.py", "py.typed"):
        (package / name).write_text(name)
    tools = tools_of("/tools", source)
    folder = f"/tools/{tools['digest']}"
    assert tools["files"] == [
        {"path": f"{folder}/activate", "mode": "0755", "content": "command"},
        {"path": f"{folder}/pipress_host/main.py", "mode": "0644", "content": "main.py"},
    ]
    assert tools["links"] == [
        {"path": "/tools/current", "target": tools["digest"]},
        {"path": "/tools/activate", "target": "current/activate"},
    ]
    assert re.fullmatch("[0-9a-f]{64}", tools["digest"])


def test_the_lookup_takes_both_folders_and_gives_one_map(tmp_path):
    (tmp_path / "tools").mkdir()
    lookup = load_lookup().LookupModule()
    assert lookup.run(["/tools", str(tmp_path)]) == [tools_of("/tools", tmp_path)]


def test_only_folders_that_are_old_and_not_in_use_are_removed(tmp_path):
    old = time.time() - 2 * 3600
    for name in ("in-use", "older", "young"):
        (tmp_path / name).mkdir()
    (tmp_path / "current").symlink_to("in-use")
    (tmp_path / "link").symlink_to("older")
    (tmp_path / "file").write_text("a command of a version without folders")
    for name in ("in-use", "older", "file"):
        os.utime(tmp_path / name, (old, old))
    os.utime(tmp_path / "young", (time.time() - 3000,) * 2)
    prune_tools(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"in-use", "young", "current", "link", "file"}


def test_nothing_is_removed_where_the_version_in_use_is_not_there(tmp_path):
    (tmp_path / "older").mkdir()
    os.utime(tmp_path / "older", (0, 0))
    (tmp_path / "current").symlink_to("gone")
    prune_tools(tmp_path)
    assert (tmp_path / "older").exists()
