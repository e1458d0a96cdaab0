"""A build on the device: the real script with cmake, ninja and the cross compiler on a small project.

systemd is a stand-in that runs the unit as a process of this machine; compiler, strip and objdump stand under the names
that they have on a Pi.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import tarfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

ANSIBLE = Path(__file__).resolve().parent
FILES = {file.name: file.read_text() for file in (ANSIBLE / "roles/llama_cpp/files/build").iterdir()}
CROSS = "aarch64-linux-gnu-"
# What `build-less.cmake` expects of llama.cpp.
CMAKE = """
cmake_minimum_required(VERSION 3.19)
project("llama.cpp" C CXX)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
add_library(llama STATIC src/llama.cpp)
add_library(llama-common STATIC common/arg.cpp)
add_library(ggml-base STATIC src/gguf.cpp)
add_executable(llama-server server.cpp)
target_link_libraries(llama-server llama llama-common ggml-base)
option(GGML_CPU_REPACK "as upstream" ON)
message(STATUS "for ${GGML_CPU_ARM_ARCH}, repack ${GGML_CPU_REPACK}")
message(STATUS "build ${LLAMA_BUILD_NUMBER} of ${LLAMA_BUILD_COMMIT}, repack ${GGML_CPU_REPACK}, web UI ${LLAMA_BUILD_UI}")
"""
# The program is not linked before a file is there.
WAITS = """
set(gate ${CMAKE_BINARY_DIR}/gate)
add_custom_command(OUTPUT ${gate} COMMAND sh ${CMAKE_SOURCE_DIR}/wait.sh COMMAND touch ${gate} DEPENDS llama)
add_custom_target(wait DEPENDS ${gate})
add_dependencies(llama-server wait)
"""
SOURCES = {
    "CMakeLists.txt": CMAKE,
    "src/llama.cpp": "int llama() { return 1; }",
    "src/gguf.cpp": "int gguf() { return 2; }",
    "common/arg.cpp": "int arg() { return 3; }",
    "server.cpp": "int llama(); int arg(); int gguf(); int main() { return llama() + arg() + gguf() - 6; }",
}
DOT_PRODUCT = """
#include <arm_neon.h>
__attribute__((target("arch=armv8.2-a+dotprod"))) int32x4_t dot(int32x4_t s, int8x16_t a, int8x16_t b) {
  return vdotq_s32(s, a, b);
}
int main() { return vaddvq_s32(dot(vdupq_n_s32(0), vdupq_n_s8(1), vdupq_n_s8(1))); }
"""
SYSTEMD_RUN = """#!/bin/sh
for argument; do
  shift
  case $argument in
    --property=StandardOutput=append:*) log=${argument##*append:} ;;
    --*) ;;
    *) set -- "$@" "$argument" ;;
  esac
done
setsid "$@" > "$log" 2>&1 < /dev/null &
echo $! > "$UNIT.pid"
"""
SYSTEMCTL = """#!/bin/sh
case $1 in
  reset-failed) rm -f "$UNIT".* ;;
  show)
    if [ -e "$UNIT.pid" ] && kill -0 "$(cat "$UNIT.pid")" 2> /dev/null; then echo ActiveState=active
    elif [ -e "$UNIT.pid" ] && ! ls "$ROOT"/scratch/work-*/llama-server "$ROOT"/builds/*.json > /dev/null 2>&1; then echo ActiveState=failed
    else echo ActiveState=inactive; fi ;;
esac
"""

PLAY = """
- name: A build
  hosts: all
  gather_facts: false
  tasks:
    - name: Compile llama-server
      pipress_build:
        root: "{{ root }}"
        scratch: "{{ root }}/scratch"
        source_sha256: "{{ source }}"
        version: b1234
        cpu: "{{ cpu }}"
        files: "{{ files }}"
        start: true
      register: built
      until: built.state != 'building'
      changed_when: built is changed or built.attempts | default(1) > 1
      retries: 100
      delay: 0.3
"""


class Device:
    """A folder that is a host's, and the module on it."""

    def __init__(self, folder: Path, play: Callable[..., tuple[int, list[dict]]]):
        self._play = play
        self.root = folder / "root"
        self.tools = folder / "tools"
        for name in ("store", "scratch"):
            (self.root / name).mkdir(parents=True)
        self.tools.mkdir()
        for name in ("strip", "objdump"):
            (self.tools / name).symlink_to(shutil.which(CROSS + name) or CROSS + name)
        for name, text in (("systemd-run", SYSTEMD_RUN), ("systemctl", SYSTEMCTL)):
            (self.tools / name).write_text(text)
            (self.tools / name).chmod(0o755)
        self.environment = {
            "PATH": f"{self.tools}:{os.environ['PATH']}",
            "CC": f"{CROSS}gcc",
            "CXX": f"{CROSS}g++",
            "UNIT": str(folder / "unit"),
            "ROOT": str(self.root),
        }
        self.source = ""

    def store(self, **changed: str) -> None:
        """Puts the project into the store as an archive, as the sdist has it: in a folder below its top."""
        archive = self.root / "store" / "archive"
        with tarfile.open(archive, "w:gz") as tar:
            for name, text in {**SOURCES, **changed}.items():
                file = self.root / "file"
                file.write_text(text + "\n")
                tar.add(file, f"package-1/vendor/llama.cpp/{name}")
                file.unlink()
        self.source = hashlib.sha256(archive.read_bytes()).hexdigest()
        archive.rename(archive.with_name(self.source))

    def build(self, *arguments: str, cpu: str = "cortex-a72") -> dict:
        """What the task of a play says that waits for a build, as the role does."""
        variables = {"root": str(self.root), "source": self.source, "files": FILES, "cpu": cpu}
        _, events = self._play(PLAY, variables, *arguments, environment=self.environment)
        return [event for event in events if event["event"] in ("ok", "changed", "failed")][-1]

    def log(self) -> str:
        return "".join(log.read_text() for log in (self.root / "builds").glob("*.log"))


@pytest.fixture
def device(tmp_path, play):
    if shutil.which(f"{CROSS}gcc") is None:
        pytest.skip(f"{CROSS}gcc is not there: `npm start` says how to install it")
    return Device(tmp_path, play)


def test_build_is_checked_and_stored_under_its_digest(device):
    device.store()
    event = device.build()
    assert event["event"] == "changed", event
    sha256 = event["result"]["sha256"]
    program = device.root / "store" / sha256
    content = program.read_bytes()
    assert hashlib.sha256(content).hexdigest() == sha256
    assert len(content) == event["result"]["bytes"]
    assert content[18:20] == b"\xb7\x00"  # EM_AARCH64
    assert stat.S_IMODE(program.stat().st_mode) == 0o555
    assert f"build 1234 of sdist.{device.source[:9]}, repack OFF, web UI OFF" in device.log()
    assert program.with_name(f"{sha256}.ok").exists()
    assert not list((device.root / "scratch").glob("work-*"))
    # It is there now.
    assert device.build()["event"] == "ok"


def test_check_mode_compiles_nothing(device):
    device.store()
    assert device.build("--check")["result"]["state"] == "missing"
    assert not (device.root / "builds").exists()


def test_program_that_a_pi_would_die_of_is_refused(device):
    device.store(**{"server.cpp": DOT_PRODUCT})
    event = device.build()
    assert event["event"] == "failed"
    assert "the build contains dot product instructions, which a Cortex-A72 does not have" in event["msg"]
    assert not list(device.root.glob("builds/*.json"))


def test_a_raspberry_pi_5_has_a_build_of_its_own_with_them(device):
    device.store(**{"server.cpp": DOT_PRODUCT})
    event = device.build(cpu="cortex-a76")
    assert event["event"] == "changed", event
    assert "armv8.2-a+fp16+dotprod, repack ON" in device.log()
    # The same card in a Raspberry Pi 4 does not start it.
    assert device.build("--check")["result"]["state"] == "missing"


def test_compile_error_is_told_with_its_log_and_tried_again_by_the_next_run(device):
    device.store(**{"server.cpp": "int main() { return nothing; }"})
    event = device.build()
    assert event["event"] == "failed"
    assert "llama-server does not compile on this host" in event["msg"]
    assert "builds/" in event["msg"] and ".log" in event["msg"]
    assert device.build()["event"] == "failed"


def test_build_that_lost_power_goes_on_where_it_was(device):
    wait = "until test -e $ROOT/gate; do sleep 0.1; done"
    device.store(**{"CMakeLists.txt": CMAKE + WAITS, "wait.sh": wait})
    old = [device.root / folder / "work-of-another-version" for folder in ("builds", "scratch")]
    for folder in old:
        folder.mkdir(parents=True)
    with ThreadPoolExecutor() as pool:
        building = pool.submit(device.build)
        until(lambda: "libllama.a" in device.log())
        unit = Path(device.environment["UNIT"] + ".pid")
        group = int(unit.read_text())
        unit.unlink()
        os.killpg(group, signal.SIGKILL)
        (device.root / "gate").touch()
        event = building.result()
        assert event["event"] == "changed", event["msg"]
    assert "llama-server" in device.log()
    assert "libllama.a" not in device.log()
    assert not any(folder.exists() for folder in old)


def until(condition: Callable[[], bool]) -> None:
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to that in 30 s")
