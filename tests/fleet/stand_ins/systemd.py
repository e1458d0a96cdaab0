#!/usr/bin/python3 -I
"""Stands for `systemctl`, `systemd-run` and `journalctl`, as far as a host's own code uses them.

Units run as processes of this machine. What it knows is in the folder that STATE names. A number in the file `kill-at`
there is of the call that also kills its caller, counted from 0.
"""

import itertools
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

STATE, UNITS = Path(os.environ["STATE"]), Path("/etc/systemd/system")


def read(name: str) -> dict:
    file = STATE / name
    return json.loads(file.read_text()) if file.exists() else {}


def note(name: str, changes: dict) -> None:
    (STATE / name).write_text(json.dumps({**read(name), **changes}))


def on_disk(unit: str) -> str:
    files = [UNITS / unit, *sorted(UNITS.glob(f"{unit}.d/*.conf"))]
    return "".join(file.read_text() for file in files if file.is_file())


def pid_of(unit: str) -> int:
    """0 where it does not run."""
    pid = read("pids").get(unit, 0)
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return 0
    return 0 if state == "Z" else pid


def start(unit: str, command: list[str], environment: dict[str, str]) -> None:
    with open(STATE / f"{unit}.log", "a") as log:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    note("pids", {unit: process.pid})


def stop(unit: str) -> None:
    pid = pid_of(unit)
    if pid:
        os.kill(pid, signal.SIGKILL)
    while pid_of(unit):
        time.sleep(0.01)


def restart(unit: str) -> None:
    if unit not in read("loaded"):
        note("loaded", {unit: on_disk(unit)})
    lines = [line.partition("=")[::2] for line in read("loaded")[unit].splitlines()]
    command = dict(lines).get("ExecStart", "/bin/sleep 10000").replace("%d", "/etc/pipress")
    variables = [value.partition("=")[::2] for key, value in lines if key == "Environment" and " " not in value]
    stop(unit)
    start(unit, shlex.split(command), dict(variables))


def show(units: list[str], properties: list[str], values_only: bool) -> None:
    for unit in units:
        pid, text = pid_of(unit), on_disk(unit)
        shown = {
            "ActiveState": "active" if pid else "inactive",
            "MainPID": pid,
            "NRestarts": 0,
            "NeedDaemonReload": "yes" if read("loaded").get(unit, text) != text else "no",
            "DropInPaths": "",
        }
        for name in properties:
            print(shown[name] if values_only else f"{name}={shown[name]}")


def die_with_caller() -> None:
    """Takes the caller down when it is its turn, as a power cut would between this step and the one before."""
    left = STATE / "kill-at"
    if not left.exists():
        return
    calls = int(left.read_text())
    left.write_text(str(calls - 1))
    if calls == 0:
        left.unlink()
        os.kill(os.getppid(), signal.SIGKILL)
        sys.exit(1)


def main(called: str, arguments: list[str]) -> None:
    if called == "systemd-run":
        command = list(itertools.dropwhile(lambda argument: argument.startswith("--"), arguments))
        unit = next(argument.removeprefix("--unit=") for argument in arguments if argument.startswith("--unit="))
        start(f"{unit}.service", command, {})
    if called != "systemctl":
        return
    verb, *rest = arguments
    if verb in ("daemon-reload", "restart", "stop"):
        die_with_caller()
    if verb == "daemon-reload":
        names = {path.name.removesuffix(".d") for path in UNITS.iterdir() if not path.name.endswith(".wants")}
        note("loaded", {name: on_disk(name) for name in names})
    elif verb == "restart":
        restart(rest[0])
    elif verb == "stop":
        stop(rest[0])
    elif verb == "show":
        at = rest.index("--property")
        show(rest[:at], rest[at + 1].split(","), "--value" in rest)


main(Path(sys.argv[0]).name, sys.argv[1:])
