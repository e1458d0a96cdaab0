#!/usr/bin/python
"""Compiles llama-server on the host, as a unit that outlives the connection, and tells how far it is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pipress_build
short_description: Compile llama-server on the host
description:
  - Starts the build as a transient systemd unit, or attaches to the one that runs, and returns at once. It compiles as a
    user of its own; what comes of it is copied into the store, under its digest, by this. C(state) is C(missing), C(building) (with C(msg) saying how far), or C(built) (with C(sha256) of the program in the store).
options:
  root: {type: path, required: true, description: Folder of releases and store.}
  scratch:
    type: path
    default: /var/lib/pipress-build
    description: Folder of the user that compiles; nothing else is written by it.
  source_sha256: {type: str, required: true, description: Source archive in the store.}
  version: {type: str, required: true, description: "Build of that source, e.g. C(b11434)."}
  cpu: {type: str, required: true, choices: [cortex-a72, cortex-a76], description: What it is compiled for.}
  files: {type: dict, required: true, description: "Texts by name: C(build-llama-server.sh) and what it reads."}
  start: {type: bool, required: true, description: Whether to start a build that is missing.}
author: [pipress]
"""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pipress_host.files import make_folder, read_json, write_atomically, write_json
from ansible.module_utils.pipress_host.service import SystemdService
from ansible.module_utils.pipress_host.store import Wanted, state_of, take_program

SCRIPT = "build-llama-server.sh"

#: What the compiler may do: read the system, write its own folder, and nothing over the network.
SANDBOX = [
    "DynamicUser=yes",
    "CapabilityBoundingSet=",
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "PrivateNetwork=yes",
    "PrivateIPC=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "InaccessiblePaths=-/etc/pipress",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "SystemCallArchitectures=native",
]


def progress_of(log: Path) -> str:
    """How far the build is, e.g. `compiling, 120 of 310 files`."""
    counts = (
        re.findall(r"^\[(\d+)/(\d+)\]", log.read_text(errors="replace"), re.MULTILINE)
        if log.is_file()
        else []
    )
    return f"compiling, {counts[-1][0]} of {counts[-1][1]} files" if counts else "configuring"


def start(module: AnsibleModule, unit: str, log: Path, key: str) -> None:
    """Starts the build as a user of its own; its output goes to `log`, and what it is made by beside that."""
    given = module.params
    script_folder = log.with_suffix("")
    for name, text in given["files"].items():
        write_atomically(script_folder / name, text.encode(), 0o644)
    # Earlier versions compiled here, as root.
    for old in log.parent.glob("work-*"):
        shutil.rmtree(old)
    log.unlink(missing_ok=True)
    scratch = Path(given["scratch"])
    properties = [*SANDBOX, f"StateDirectory={scratch.name}"]
    properties += [f"StandardOutput=append:{log}", f"StandardError=append:{log}"]
    source = Path(given["root"]) / "store" / given["source_sha256"]
    arguments = [str(scratch / f"work-{key}"), str(source), given["version"].lstrip("b"), given["cpu"]]
    command = ["systemd-run", "--quiet", "--nice=10", f"--unit={unit}"]
    command += [f"--property={one}" for one in properties]
    subprocess.run(["systemctl", "reset-failed", unit], check=False, capture_output=True)
    subprocess.run(
        [*command, "/bin/sh", str(script_folder / SCRIPT), *arguments], check=True, capture_output=True
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "scratch": {"type": "path", "default": "/var/lib/pipress-build"},
            "source_sha256": {"type": "str", "required": True},
            "version": {"type": "str", "required": True},
            "cpu": {"type": "str", "required": True, "choices": ["cortex-a72", "cortex-a76"]},
            "files": {"type": "dict", "required": True},
            "start": {"type": "bool", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    root = Path(given["root"])
    recipe = json.dumps(
        [given[name] for name in ("source_sha256", "version", "cpu", "files")], sort_keys=True
    )
    key = hashlib.sha256(recipe.encode()).hexdigest()[:16]
    folder = root / "builds"
    result, log, unit = folder / f"{key}.json", folder / f"{key}.log", f"pipress-build-{key}.service"

    built = read_json(result)
    if built:
        program = Wanted(built["sha256"], built["bytes"], "llama-server", executable=True)
        if state_of(root / "store", program) == "present":
            module.exit_json(changed=False, state="built", **built)
    state = SystemdService(unit).state().active
    if state in ("active", "activating"):
        module.exit_json(changed=True, state="building", msg=progress_of(log))
    work = Path(given["scratch"]) / f"work-{key}"
    taken = None if module.check_mode else take_program(work, root / "store")
    if taken:
        write_json(result, taken)
        shutil.rmtree(work)
        module.exit_json(changed=True, state="built", **taken)
    if not given["start"] or module.check_mode:
        module.exit_json(changed=given["start"], state="missing")
    # A unit that failed is only ever seen by the poll after its start: a later run clears it and tries again.
    if state == "failed" and not (folder / f"{key}.told").exists():
        write_atomically(folder / f"{key}.told", b"")
        last = (
            " | ".join(log.read_text(errors="replace").splitlines()[-3:])
            if log.is_file()
            else "it wrote no log"
        )
        module.fail_json(
            state="failed",
            msg=f"llama-server does not compile on this host: {last} — the whole log is {log}; "
            "or set `build: prebuilt` for the host",
        )
    (folder / f"{key}.told").unlink(missing_ok=True)
    make_folder(folder)
    make_folder(root / "store")
    start(module, unit, log, key)
    module.exit_json(changed=True, state="building", msg="configuring")


if __name__ == "__main__":
    main()
