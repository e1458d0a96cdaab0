#!/usr/bin/python
"""Measures how fast a host is with the model that it serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pipress_measure
short_description: Run llama-bench in the place of llama-server
description:
  - Runs C(command) as a transient systemd unit, or attaches to the one that runs, and waits for its outcome. That unit
    stops the server, measures, and starts the server again, also when this module's connection breaks; where its process is
    killed, systemd starts the server, and the watch settles the rest.
  - In check mode it tells what would be measured, and fails where nothing could be.
options:
  root: {type: path, required: true, description: Folder of releases and store.}
  keys: {type: path, required: true, description: File of the API keys.}
  unit: {type: str, required: true, description: Name of the service.}
  command: {type: path, required: true, description: "C(measure) of the tools, as the controller has placed it."}
  bench: {type: path, required: true, description: llama-bench.}
  prompt: {type: int, required: true, description: Tokens of the prompt.}
  generate: {type: int, required: true, description: Tokens of the answer.}
  repetitions: {type: int, required: true, description: How many times each is measured.}
  stock: {type: bool, default: false, description: Whether the kernels of llama.cpp itself are measured too.}
  threads: {type: int, description: "A number of threads that is measured too, beside the release's own."}
  limit: {type: int, required: true, description: Seconds that llama-bench may take.}
author: [pipress]
"""

import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pipress_host.activation import Activation
from ansible.module_utils.pipress_host.errors import HostError
from ansible.module_utils.pipress_host.measurement import UNIT, look, outcome_path, wait_for_outcome
from ansible.module_utils.pipress_host.service import SystemdService

#: Seconds that the server may take to be drained, to end and to load its model again.
AROUND = 1200


def is_running() -> bool:
    """Whether a measurement is at work; one that was told to stop is until the server serves again."""
    return SystemdService(UNIT).state().active in ("active", "activating", "deactivating")


def start(given: dict) -> None:
    """Starts the unit."""
    properties = [
        # It asks the server on this host, and nobody else.
        "IPAddressDeny=any",
        "IPAddressAllow=localhost",
        # A card that is swapped to would be measured, and worn out.
        "MemorySwapMax=0",
        # Without memory llama-bench ends, not what waits for it.
        "OOMPolicy=continue",
        f"TimeoutStopSec={AROUND}",
        f"ExecStopPost=/usr/bin/systemctl start --no-block {given['unit']}",
    ]
    command = ["systemd-run", "--quiet", "--collect", f"--unit={UNIT}"]
    command += [f"--property={one}" for one in properties]
    command += [given["command"], given["bench"], "--limit", str(given["limit"])]
    for size in ("prompt", "generate", "repetitions"):
        command += [f"--{size}", str(given[size])]
    command += ["--stock"] if given["stock"] else []
    command += ["--threads", str(given["threads"])] if given["threads"] else []
    outcome_path(Path(given["root"])).unlink(missing_ok=True)
    subprocess.run(command, check=True, capture_output=True, text=True)


def main() -> None:
    numbers = {"type": "int", "required": True}
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "keys": {"type": "path", "required": True, "no_log": False},
            "unit": {"type": "str", "required": True},
            "command": {"type": "path", "required": True},
            "bench": {"type": "path", "required": True},
            "prompt": numbers,
            "generate": numbers,
            "repetitions": numbers,
            "stock": {"type": "bool", "default": False},
            "threads": {"type": "int"},
            "limit": numbers,
        },
        supports_check_mode=True,
    )
    given = module.params
    root = Path(given["root"])
    running = is_running()
    if not running:
        activation = Activation(root, Path(given["keys"]), SystemdService(given["unit"]))
        try:
            subject = look(activation)
        except HostError as problem:
            module.fail_json(msg=str(problem))
    if module.check_mode:
        module.exit_json(changed=True, subject={"running": running, **({} if running else subject)})
    if not running:
        start(given)
    outcome = wait_for_outcome(root, is_running, given["limit"] + AROUND)
    if outcome is None:
        module.fail_json(
            msg="the measurement ended without a result; llama-server is started by systemd — look at "
            f"`journalctl -u {UNIT}` on the host, and run the same command again"
        )
    if not outcome["ok"]:
        module.fail_json(msg=outcome["reason"])
    module.exit_json(changed=True, outcome=outcome)


if __name__ == "__main__":
    main()
