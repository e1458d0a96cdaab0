#!/usr/bin/python
"""Reads, writes and removes the record of whose a host is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pipress_owner
short_description: Keep on a host whose it is
description:
  - C(present) leaves the owner on the host, and fails where that is another stack. C(query) tells a removal whether what
    runs there is its own. C(absent) removes the record.
options:
  path: {type: path, required: true, description: File of the record.}
  owner: {type: dict, default: {}, description: "The stack and the host's name in it: C(project), C(stack), C(id), C(name)."}
  claim: {type: str, default: "", description: "Random id of the resource that this run is for; empty in an old state."}
  take_over: {type: bool, default: false, description: Whether a host of another stack may be taken over.}
  state: {type: str, choices: [present, absent, query], default: present, description: What to do.}
author: [pipress]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pipress_host.files import read_json, write_json
from ansible.module_utils.pipress_host.owner import judge_owner, may_remove, why_left_alone


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "owner": {"type": "dict", "default": {}},
            "claim": {"type": "str", "default": ""},
            "take_over": {"type": "bool", "default": False},
            "state": {"type": "str", "choices": ["present", "absent", "query"], "default": "present"},
        },
        supports_check_mode=True,
    )
    given = module.params
    path, owner, claim = Path(given["path"]), given["owner"], given["claim"]
    there = read_json(path)
    if given["state"] == "query":
        ours = may_remove(there, claim)
        module.exit_json(changed=False, ours=ours, why_not="" if ours else why_left_alone(there, owner))
    if given["state"] == "absent":
        was_there = path.exists()
        if not module.check_mode:
            path.unlink(missing_ok=True)
        module.exit_json(changed=was_there)
    findings = judge_owner(there, owner, given["take_over"])
    if any(finding.error for finding in findings):
        module.fail_json(msg="; ".join(str(finding) for finding in findings))
    wanted = {**owner, "claim": claim}
    if there != wanted and not module.check_mode:
        write_json(path, wanted)
    module.exit_json(changed=there != wanted, remarks=[str(finding) for finding in findings])


if __name__ == "__main__":
    main()
