"""Units of ours on the oldest systemd that they meet: Debian bookworm's 252, which ignores what it does not know.

The list stands for systemd 252 wherever the tests run; where systemd-analyze is installed, its own parser reads the units too.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import jinja2
import pytest

ANSIBLE = Path(__file__).resolve().parent
REPOSITORY = ANSIBLE.parent

#: Directives that came after systemd 252, by the version that brought them (systemd's NEWS).
NEWER = {
    253: "LogFilterPatterns MemoryZSwapMax OpenFile ReloadLimitBurst ReloadLimitIntervalSec",
    254: "DelegateSubgroup ExtensionImagePolicy FileDescriptorStorePreserve ImportCredential MemoryKSM "
    "MemoryPressureThresholdSec MemoryPressureWatch MountImagePolicy RestartMaxDelaySec RestartMode RestartSteps "
    "RootEphemeral RootImagePolicy UpheldBy",
    255: "CoredumpReceive NFTSet PollLimitBurst PollLimitIntervalSec SetLoginEnvironment SurviveFinalKillSignal",
    256: "MemoryZSwapWriteback PassFileDescriptorsToExec WantsMountsFor",
    257: "BindLogSockets DebugInvocation DeferReactivation ManagedOOMMemoryPressureDurationSec PrivatePIDs",
    258: "CacheDirectoryQuota ConcurrencyHardMax ConcurrencySoftMax ConditionVersion DelegateNamespaces LogsDirectoryQuota "
    "RandomizedOffsetSec StateDirectoryQuota UserNamespacePath",
}
#: Values of older directives that came after it.
NEWER_VALUES = re.compile(
    r"^(Type=notify-reload|PrivateTmp=disconnected|PrivateUsers=(identity|full|managed)|ProtectHostname=private"
    r"|ProtectControlGroups=(private|strict)|ProtectSystem=.*:ex)$"
)

UNITS = sorted(
    file
    for folder in ("templates", "files")
    for file in (ANSIBLE / "roles").glob(f"*/{folder}/*")
    if re.search(r"\.(service|timer|socket|path|mount|slice)(\.j2)?$", file.name)
)
#: What starts transient units, or writes a unit by itself.
SOURCES = [
    *(ANSIBLE / "library").glob("*.py"),
    *(ANSIBLE / "module_utils").rglob("*.py"),
    *(ANSIBLE / "roles").rglob("*.yml"),
    *(REPOSITORY / "models" / "pipress").rglob("*.py"),
    *(REPOSITORY / "models" / "pipress").rglob("*.sh"),
]


def too_new(text: str) -> list[str]:
    """Directives in the text of a unit, or given to systemd-run, that systemd 252 does not know."""
    newer = {name for names in NEWER.values() for name in names.split()}
    lines = re.findall(r"^(?:.*(?:--property=|-p ))?([A-Z][A-Za-z0-9]+=.*)$", text, re.MULTILINE)
    return [
        line for line in lines if line.partition("=")[0] in newer or NEWER_VALUES.match(line.strip("\"', "))
    ]


def test_the_look_itself_sees_what_is_too_new():
    assert too_new("[Service]\nRestart=always\nRestartSteps=6\n") == ["RestartSteps=6"]
    assert too_new('    command = ["systemd-run", "--property=RestartMode=direct"]') == [
        'RestartMode=direct"]'
    ]
    assert too_new("Type=notify-reload\nType=exec\n") == ["Type=notify-reload"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_depends_on_nothing_that_bookworm_lacks(unit):
    assert too_new(unit.read_text()) == []


def test_nor_does_a_transient_unit_or_one_that_a_script_writes():
    found = {file.name: too_new(file.read_text()) for file in SOURCES if "test_" not in file.name}
    assert {name: lines for name, lines in found.items() if lines} == {}
    # systemd-run's own options: of 253 and later.
    options = r"--(expand-environment|ignore-failure|background|pty-late|job-mode|lightweight)\b"
    assert [file.name for file in SOURCES if re.search(options, file.read_text())] == []


class Anything(jinja2.Undefined):
    """Stands for every variable of a template."""

    def __getattr__(self, _name):
        return self

    def __str__(self):
        return "8080"

    def __int__(self):
        return 8080


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_reads_every_line_of_a_unit(unit, tmp_path):
    environment = jinja2.Environment(undefined=Anything)
    folders = {"pipress_root": "/var/lib/pipress", "pipress_tools": "/usr/local/lib/pipress"}
    text = environment.from_string(unit.read_text()).render(folders)
    file = tmp_path / unit.name.removesuffix(".j2")
    # The programs are not on this machine; a path is where a variable stands first.
    file.write_text(re.sub(r"=8080/\S*", "=/bin/true", text))
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", str(file)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    about = [line for line in said.splitlines() if file.name in line]
    assert [line for line in about if re.search(r"Unknown|Failed to parse|ignoring", line)] == []
