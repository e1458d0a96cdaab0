#!/usr/bin/python
"""Puts units in place and keeps them running as they lie there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pipress_unit
short_description: Run units as their files say
description:
  - Writes each unit, links it for the boot, and starts it. Restarts it where its process was started from another unit
    file, or with other files that it runs, than are there now - whichever run put them there.
options:
  units:
    type: list
    elements: dict
    required: true
    description: >-
      C(name), e.g. C(pipress-watch.service); C(content) of its file (empty for one of the system's own, which is only
      restarted); C(runs), a digest of the files that it runs or reads when it starts; C(wanted_by), the target that starts
      it at boot.
author: [pipress]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pipress_host.errors import HostError
from ansible.module_utils.pipress_host.service import SystemdService
from ansible.module_utils.pipress_host.unit import Unit, run_unit


def main() -> None:
    text = {"type": "str", "default": ""}
    module = AnsibleModule(
        argument_spec={
            "units": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "content": text,
                    "runs": text,
                    "wanted_by": text,
                },
            }
        },
        supports_check_mode=True,
    )
    units = [Unit(**given) for given in module.params["units"]]
    try:
        outcomes = [run_unit(unit, SystemdService(unit.name), module.check_mode) for unit in units]
    except HostError as problem:
        module.fail_json(msg=str(problem))
    except OSError as problem:
        module.fail_json(
            msg=f"{problem.filename or 'a unit'} cannot be written: {problem.strerror} — see that the disk is neither full "
            "nor read-only, and run `./pipress up` again"
        )
    reasons = [
        f"{unit.name}: {outcome['reason']}" for unit, outcome in zip(units, outcomes) if outcome["reason"]
    ]
    module.exit_json(
        changed=any(outcome["changed"] for outcome in outcomes),
        msg="; ".join(reasons),
        diff=[change for outcome in outcomes for change in outcome["diff"]],
    )


if __name__ == "__main__":
    main()
