#!/usr/bin/python
"""Sees that a llama-server in the store is the build it should be, and knows the flags it will be given."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pipress_server_check
short_description: Check a llama-server before it is used
description:
  - Runs it with C(--version) and C(--help) and keeps the answer beside it, so that the next check runs nothing.
options:
  path: {type: path, required: true, description: The program.}
  build: {type: str, default: "", description: "Build it should be, e.g. C(b11434); empty for any."}
  minimum_build: {type: int, required: true, description: Build below which known security holes are open.}
  flags: {type: list, elements: str, required: true, description: Flags that it has to know.}
  remedy: {type: str, default: "`npm start`", description: What builds it anew on the controller.}
author: [pipress]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pipress_host.errors import HostError
from ansible.module_utils.pipress_host.server import check_server


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "build": {"type": "str", "default": ""},
            "minimum_build": {"type": "int", "required": True},
            "flags": {"type": "list", "elements": "str", "required": True},
            "remedy": {"type": "str", "default": "`npm start`"},
        },
        supports_check_mode=True,
    )
    given = module.params
    path = Path(given["path"])
    if module.check_mode and not path.is_file():
        module.exit_json(changed=False, skipped_because="it is not fetched yet")
    try:
        check_server(
            path,
            given["build"],
            given["minimum_build"],
            given["flags"],
            given["remedy"],
            keep=not module.check_mode,
        )
    except HostError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
