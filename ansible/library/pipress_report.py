#!/usr/bin/python
"""Reads what a host is and has, and judges it before anything is changed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pipress_report
short_description: Judge a host before a release reaches it
description:
  - Reads kernel, CPU, memory, disk, clock, port and power in one go and names everything that stands in the way.
  - Changes nothing, so it does the same in check mode.
options:
  root: {type: path, required: true, description: Folder of releases and store.}
  unit: {type: str, required: true, description: Name of the service, which tells its listener from a stranger's.}
  files: {type: list, elements: dict, required: true, description: "Files of the release: C(sha256), C(bytes)."}
  wants: {type: dict, required: true, description: "Thresholds, see module_utils/pipress_host/preflight.py."}
  owner_file: {type: path, required: true, description: Where the host keeps whose it is.}
  owner: {type: dict, default: {}, description: "The stack that asks, see module_utils/pipress_host/owner.py."}
  take_over: {type: bool, default: false, description: Whether it may take over a host of another stack.}
author: [pipress]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pipress_host.files import read_json
from ansible.module_utils.pipress_host.owner import judge_owner
from ansible.module_utils.pipress_host.preflight import judge
from ansible.module_utils.pipress_host.report import read_report
from ansible.module_utils.pipress_host.store import Wanted


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "unit": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "dict", "required": True},
            "wants": {"type": "dict", "required": True},
            "owner_file": {"type": "path", "required": True},
            "owner": {"type": "dict", "default": {}},
            "take_over": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    wants = module.params["wants"]
    files = [Wanted(file["sha256"], int(file["bytes"]), "file") for file in module.params["files"]]
    facts = read_report(Path(module.params["root"]), files, wants["port"], module.params["unit"])
    there = read_json(Path(module.params["owner_file"]))
    findings = [
        *judge_owner(there, module.params["owner"], module.params["take_over"]),
        *judge(facts, wants),
    ]
    module.exit_json(
        changed=False,
        facts=facts,
        problems=[str(finding) for finding in findings if finding.error],
        remarks=[str(finding) for finding in findings if not finding.error],
    )


if __name__ == "__main__":
    main()
