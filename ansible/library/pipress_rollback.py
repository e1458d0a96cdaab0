#!/usr/bin/python
"""Takes a host back to the release before the one that it serves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pipress_rollback
short_description: Go back to the release before
description:
  - Activates the release before as any other, with a health check, as a unit of the host that outlives this connection.
    The release that is left is marked bad on the host; one that is marked bad is not gone back to.
options:
  root: {type: path, required: true, description: Folder of releases and store.}
  keys: {type: path, required: true, description: File of the API keys.}
  unit: {type: str, required: true, description: Name of the service.}
  timeout: {type: int, required: true, description: Seconds after which the verdict is no longer waited for.}
author: [pipress]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pipress_host.activation import Activation
from ansible.module_utils.pipress_host.detached import start_detached, wait_for_outcome, what_serves
from ansible.module_utils.pipress_host.errors import HostError
from ansible.module_utils.pipress_host.service import SystemdService


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "keys": {"type": "path", "required": True, "no_log": False},
            "unit": {"type": "str", "required": True},
            "timeout": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    root = Path(given["root"])
    activation = Activation(root, Path(given["keys"]), SystemdService(given["unit"]))
    try:
        with activation.locked():
            left, before = activation.current(), activation.release_before()
    except HostError as problem:
        module.fail_json(msg=str(problem))
    outcome = {"changed": True, "left": left, "release": before}
    if module.check_mode:
        module.exit_json(**outcome)
    verdict = wait_for_outcome(root, start_detached("back", ["--back"]), given["timeout"])
    if verdict is None:
        module.fail_json(
            msg=f"going back gave no verdict within {given['timeout']} seconds — it ends by itself; "
            "look at `journalctl -u 'pipress-activate-*'` on the host"
        )
    if not verdict["ok"]:
        module.fail_json(
            msg=f"release {verdict['release'][:12]} no longer passes its health check: {verdict['reason']}; "
            f"{what_serves(verdict)}",
            verdict=verdict,
        )
    module.exit_json(verdict=verdict, **outcome)


if __name__ == "__main__":
    main()
