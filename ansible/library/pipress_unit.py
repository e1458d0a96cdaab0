#!/usr/bin/python
"""Puts a unit in place and keeps it running as it lies there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pipress_unit
short_description: Run a unit as its files say
description:
  - Writes the unit, links it for the boot, and starts it. Restarts it where its process was started from another unit
    file, or with other files that it runs, than are there now - whichever run put them there.
options:
  name: {type: str, required: true, description: "Name of the unit, e.g. C(pipress-watch.service)."}
  content: {type: str, default: "", description: "The unit; empty for one of the system's own, which is only restarted."}
  runs: {type: str, default: "", description: "Digest of the files that it runs or reads when it starts."}
  wanted_by: {type: str, default: "", description: "Target that starts it at boot."}
author: [pipress]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pipress_host.errors import HostError
from ansible.module_utils.pipress_host.service import SystemdService
from ansible.module_utils.pipress_host.unit import Unit, run_unit


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "content": {"type": "str", "default": ""},
            "runs": {"type": "str", "default": ""},
            "wanted_by": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    given = module.params
    unit = Unit(given["name"], given["content"], given["runs"], given["wanted_by"])
    try:
        outcome = run_unit(unit, SystemdService(unit.name), module.check_mode)
    except HostError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(
            msg=f"{problem.filename or unit.name} cannot be written: {problem.strerror} — see that the disk is neither "
            "full nor read-only, and run `./pipress up` again"
        )
    module.exit_json(msg=f"{unit.name}: {outcome['reason'] or 'as it should be'}", **outcome)


if __name__ == "__main__":
    main()
