#!/usr/bin/python
"""Puts a set of small files and links in place in one round trip."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pipress_files
short_description: Write a set of small files and links
description:
  - What ansible.builtin.copy and file would do in two round trips per file, done in one for all of them. Every round
    trip costs a Raspberry Pi a second or more.
options:
  files: {type: list, elements: dict, default: [], description: "C(path), C(content) and C(mode) (default 0644)."}
  links: {type: list, elements: dict, default: [], description: "C(path) and C(target)."}
  secrets: {type: dict, default: {}, description: Path to content; never shown, mode 0600.}
author: [pipress]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pipress_host.file_set import write_file_set

#: Paths that a message names.
NAMED = 3


def summary(paths: list[str]) -> str:
    """The first few of `paths`, and how many there are more."""
    return ", ".join(paths[:NAMED]) + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "files": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "content": {"type": "str", "required": True},
                    "mode": {"type": "str"},
                },
            },
            "links": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "path": {"type": "path", "required": True},
                    "target": {"type": "str", "required": True},
                },
            },
            "secrets": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        outcome = write_file_set(given["files"], given["links"], given["secrets"], module.check_mode)
    except OSError as problem:
        module.fail_json(
            msg=f"{problem.filename or 'a file of the release'} cannot be written: {problem.strerror} — see that the disk is "
            "neither full nor read-only, and run the same command again"
        )
    module.exit_json(msg=summary(outcome["paths"]), **outcome)


if __name__ == "__main__":
    main()
