"""The real playbook on a host that is a mount namespace of this machine: what is there after a kill, and that it heals.

Stand-ins (`stand_ins/`): systemd, which starts units as processes of this machine, and a llama-server that answers as
its model file tells.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ANSIBLE = HERE.parents[1] / "ansible"
UNSHARE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")

slow = pytest.mark.skipif(os.environ.get("PIPRESS_IT") != "1", reason="takes a while: only with PIPRESS_IT=1")
pytestmark = slow


class Host:
    """Namespaces of this machine: /etc, /var/lib, /usr/local/lib and all processes are its own; and the playbook on it.

    What is killed on it can be nothing else of this machine, and whatever runs on it ends with it.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.state = folder / "state"
        self.bin = folder / "bin"
        for path in (self.state, self.bin, folder / "layers"):
            path.mkdir()
        for name in ("systemctl", "systemd-run", "journalctl"):
            shutil.copy(HERE / "stand_ins/systemd.py", self.bin / name)
            (self.bin / name).chmod(0o755)
        layers = folder / "layers"
        mounts = "".join(
            f"mkdir {layers}/{name} {layers}/{name}.work; mount -t overlay overlay -o "
            f"lowerdir={path},upperdir={layers}/{name},workdir={layers}/{name}.work {path}; "
            for name, path in {"etc": "/etc", "lib": "/var/lib", "local": "/usr/local/lib"}.items()
        )
        script = (
            f"mount -t tmpfs tmpfs {layers}; {mounts} mkdir -p /etc/systemd/system; "
            f"touch {folder}/up; exec sleep infinity"
        )
        self.namespace = subprocess.Popen([*UNSHARE, "sh", "-ec", script])
        while not (folder / "up").exists():
            assert self.namespace.poll() is None, "the namespaces were not made"
            time.sleep(0.05)
        pid = self.namespace.pid
        self.init = int(Path(f"/proc/{pid}/task/{pid}/children").read_text())
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.release = {
            "name": "tiny",
            "model": self._store(json.dumps({"answer": "Paris"}), 0o444),
            "server": self._store((HERE / "stand_ins/llama_server.py").read_text(), 0o555),
            "settings": {"port": self.port, "threads": 4, "parallel": 1, "contextLength": 512, "cacheType": "f16"},
            "memoryMax": 2**30,
            "smokeTest": {"prompt": "Capital of France?", "expect": "Paris", "maxTokens": 8},
            "unit": "0",
        }
        self.release["settings"].update(flags={}, minTokensPerSecond=1.0)

    def _store(self, content: str, mode: int) -> dict[str, object]:
        """Puts a file into the host's store, as if it had been fetched."""
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        file = self.folder / sha256
        file.write_text(content)
        self.sh(f"mkdir -p /var/lib/pipress/store; install -m {mode:o} {file} /var/lib/pipress/store/{sha256}")
        return {"sha256": sha256, "bytes": len(content.encode())}

    def _inside(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", "--mount", "--pid", "--target", str(self.init), "--"]
        environment = {
            **os.environ,
            "PATH": f"{self.bin}:{os.environ['PATH']}",
            "STATE": str(self.state),
            "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
        }
        return subprocess.run([*enter, *command], env=environment, capture_output=True, text=True, check=False)

    def sh(self, script: str) -> str:
        done = self._inside(["sh", "-ec", script])
        assert done.returncode == 0, f"{script}\n{done.stderr}"
        return done.stdout.strip()

    def play(self, *arguments: str, playbook: str = "site.yml", **changes: object) -> tuple[bool, list[str], str]:
        """Runs a playbook; returns whether it came to its end, the tasks that changed something, and why it failed."""
        release = {**self.release, **changes}
        digest = hashlib.sha256(json.dumps(release, sort_keys=True).encode()).hexdigest()
        variables = {
            "pipress_release": {"digest": digest, **release},
            "pipress_socket": "/nowhere",
            "pipress_api_keys": ["key"],
            "pipress_source": {"sha256": "0" * 64},
            "pipress_llama_cpp_version": "b11434",
            "ansible_become": False,
            "ansible_python_interpreter": "/usr/bin/python3",
        }
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "pi-0,", "-c", "local"]
        if playbook == "site.yml":
            # This machine is no Raspberry Pi: what preflight would refuse is passed over.
            command += ["--tags", "stage,server"]
        done = self._inside([*command, "-e", json.dumps(variables), *arguments, str(ANSIBLE / playbook)])
        self.log = done.stdout + done.stderr
        events = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        changed = [event["task"] for event in events if event.get("event") == "changed"]
        failed = [str(event.get("msg")) for event in events if event.get("event") in ("failed", "unreachable")]
        return done.returncode == 0, changed, "; ".join(failed) or done.stderr

    def serving(self) -> str:
        return self.sh("basename $(readlink /var/lib/pipress/current)")

    def snapshot(self, release: str) -> str:
        """All that is in a release's folder but the host's own verdict."""
        return self.sh(
            f"cd /var/lib/pipress/releases/{release}; ls -l --time-style=+ | grep -v verdict; "
            "cat *.service release.json"
        )

    def process(self, unit: str) -> tuple[str, str | None]:
        """Command line and stamp of a unit's process."""
        pid = json.loads((self.state / "pids").read_text())[unit]
        command = self.sh(f"tr '\\0' ' ' < /proc/{pid}/cmdline")
        environment = self.sh(f"tr '\\0' '\\n' < /proc/{pid}/environ").splitlines()
        stamps = [entry.partition("=")[2] for entry in environment if entry.startswith("PIPRESS_STAMP=")]
        return command, stamps[0] if stamps else None

    def end(self) -> None:
        os.kill(self.init, signal.SIGKILL)
        self.namespace.wait()


@pytest.fixture
def host(tmp_path):
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may make no namespaces (unshare); root may")
    made = Host(tmp_path)
    yield made
    made.end()


def expect_converged(host: Host, *looks: str, **changes: object) -> None:
    """What was rolled out serves under a watch of these tools, and another run, or a look, finds nothing to do."""
    for arguments in ([*looks], []) if looks else ([],):
        ok, changed, problem = host.play(*arguments, **changes)
        assert (ok, changed) == (True, []), problem
    stamp = host.process("pipress-watch.service")[1]
    assert stamp and stamp in host.sh("cat /etc/systemd/system/pipress-watch.service")
    assert host.sh("find /var/lib/pipress -name pending.json") == ""


def other(host: Host, **settings: object) -> dict[str, object]:
    """Settings of another release."""
    return {"settings": {**host.release["settings"], **settings}}


def make_older(host: Host) -> str:
    """Makes of a host that serves one as the version before has left it; returns its release."""
    release = host.serving()
    digest = release.partition("-")[0]
    tools = "/usr/local/lib/pipress"
    host.sh(
        f"cd /var/lib/pipress; mv releases/{release} releases/{digest}; ln -sfn releases/{digest} current; "
        f"sed -i s/{release}/{digest}/ current/verdict.json; "
        f"cp -rL {tools}/current {tools}.flat; rm -r {tools}; mv {tools}.flat {tools}; "
        "sed -i '/PIPRESS_STAMP/d' /etc/systemd/system/pipress-watch.service; rm -r /etc/systemd/system/systemd-*.d; "
        "systemctl daemon-reload; systemctl restart pipress-watch.service; systemctl restart systemd-journald.service"
    )
    assert host.process("pipress-watch.service")[1] is None
    return digest


def test_what_serves_is_never_written_to_and_a_rollback_finds_exactly_what_ran(host):
    assert host.play()[0], host.log
    first = host.serving()
    expect_converged(host, "--check")
    before, command = host.snapshot(first), host.process("pipress-llama.service")[0]

    # The release is the same, but something else is rendered for the host.
    assert host.play("-e", json.dumps({"server_start_seconds": 200}))[0], host.log
    second = host.serving()
    assert second != first and second.partition("-")[0] == first.partition("-")[0]
    assert host.snapshot(first) == before

    assert host.play(playbook="rollback.yml")[0], host.log
    assert (host.serving(), host.snapshot(first)) == (first, before)
    assert host.process("pipress-llama.service")[0] == command


def test_a_changed_unit_that_fails_the_health_check_leaves_the_one_that_serves_as_it_was(host):
    assert host.play()[0], host.log
    first = host.serving()
    before = host.snapshot(first)
    ok, _, problem = host.play(**other(host, threads=64))
    assert not ok
    assert "answered with 'nonsense', which does not match /Paris/; the host serves" in problem
    assert (host.serving(), host.snapshot(first)) == (first, before)
    assert "--threads 4" in host.process("pipress-llama.service")[0]
    expect_converged(host)


def test_a_host_of_the_version_before_moves_over_keeps_its_rollback_and_gets_a_new_watch(host):
    assert host.play()[0], host.log
    older = make_older(host)
    assert host.play()[0], host.log
    assert host.serving().startswith(f"{older}-")
    expect_converged(host)
    assert host.play(playbook="rollback.yml")[0], host.log
    assert host.serving() == older


def test_an_old_watch_is_restarted_by_a_run_that_changes_no_file(host):
    assert host.play()[0], host.log
    stamp = host.process("pipress-watch.service")[1]
    # As after a run that was killed between placing the files and the restart.
    pid = json.loads((host.state / "pids").read_text())["pipress-watch.service"]
    unit = "/etc/systemd/system/pipress-watch.service"
    host.sh(f"sed -i s/STAMP=/STAMP=older-/ {unit}; systemctl daemon-reload; systemctl restart pipress-watch.service")
    host.sh(f"sed -i s/STAMP=older-/STAMP=/ {unit}; systemctl daemon-reload")
    ok, changed, problem = host.play("--check")
    assert (ok, changed) == (True, ["Run the watch, and let the journal know its limits"]), problem
    assert host.play()[0], host.log
    assert host.process("pipress-watch.service")[1] == stamp
    assert json.loads((host.state / "pids").read_text())["pipress-watch.service"] != pid


@pytest.mark.parametrize("broken", ["cut off", "gone"])
def test_half_written_tools_are_completed(host, broken):
    assert host.play()[0], host.log
    file = "/usr/local/lib/pipress/current/pipress_host/activation.py"
    host.sh(f"truncate -s 100 {file}" if broken == "cut off" else f"rm {file}")
    assert host.play(**other(host, contextLength=1024))[0], host.log
    expect_converged(host, **other(host, contextLength=1024))


def test_a_run_that_ends_between_staging_and_activation_is_taken_up(host):
    assert host.play()[0], host.log
    first = host.serving()
    changes = other(host, contextLength=1024)
    assert host.play("--tags", "stage", "--skip-tags", "server", **changes)[0], host.log
    assert host.serving() == first
    assert host.play(**changes)[0], host.log
    expect_converged(host, **changes)


def test_an_activation_that_is_killed_is_settled_by_the_watch_alone(host):
    assert host.play()[0], host.log
    first = host.serving()
    # The second call of systemctl is the restart behind the switch.
    (host.state / "kill-at").write_text("1")
    assert not host.play(**other(host, threads=64))[0]
    until = time.monotonic() + 120
    while host.sh("find /var/lib/pipress -name pending.json"):
        assert time.monotonic() < until
        time.sleep(1)
    assert (host.serving(), "--threads 4" in host.process("pipress-llama.service")[0]) == (first, True)


def test_a_kill_at_any_call_of_systemd_heals_at_the_next_run(host):
    """From a host of the version before to another release: new tools, new watch, new unit, journal."""
    assert host.play()[0], host.log
    cases = 0
    for call in range(20):
        changes = other(host, contextLength=1024 + 32 * call)
        older = make_older(host)
        (host.state / "kill-at").write_text(str(call))
        ok, _, problem = host.play(**changes)
        if (host.state / "kill-at").exists():
            assert ok, problem
            (host.state / "kill-at").unlink()
            break
        cases += 1
        assert not ok
        assert host.play(**changes)[0], host.log
        expect_converged(host, **changes)
        assert host.sh("basename $(readlink /var/lib/pipress/previous)") == older
    print(f"{cases} kills")
    assert cases >= 5
