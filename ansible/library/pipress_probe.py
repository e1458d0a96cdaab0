#!/usr/bin/python
"""Sees whether a host still serves the release it was given."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pipress_probe
short_description: Look at a release some time after its activation
description:
  - Fails where another release serves, the service is not active or was restarted by systemd since its activation,
    /health is not 200, or the firmware throttles the board now. Changes nothing.
options:
  root: {type: path, required: true, description: Folder of releases and store.}
  keys: {type: path, required: true, description: File of the API keys.}
  unit: {type: str, required: true, description: Name of the service.}
  digest: {type: str, required: true, description: Release that is to serve.}
  port: {type: int, required: true, description: Port on which it listens.}
author: [pipress]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pipress_host.activation import Activation
from ansible.module_utils.pipress_host.probe import what_is_wrong
from ansible.module_utils.pipress_host.service import SystemdService


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "keys": {"type": "path", "required": True, "no_log": False},
            "unit": {"type": "str", "required": True},
            "digest": {"type": "str", "required": True},
            "port": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    service = SystemdService(given["unit"])
    activation = Activation(Path(given["root"]), Path(given["keys"]), service)
    problems = what_is_wrong(activation, given["digest"], given["port"])
    if problems:
        module.fail_json(msg="; ".join(problems))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
