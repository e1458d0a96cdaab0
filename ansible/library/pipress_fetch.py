#!/usr/bin/python
"""Puts a file into the host's content-addressed store."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pipress_fetch
short_description: Fetch a file by its SHA-256 into the host's store
description:
  - Resumes by range, verifies while it streams, and puts the file in place by one rename.
  - A file that lies there as it was verified is not read again; one that was altered is fetched anew.
options:
  store: {type: path, required: true, description: Folder of the store.}
  sha256: {type: str, required: true, description: Digest of the file in hex.}
  bytes: {type: int, required: true, description: Size of the file.}
  label: {type: str, required: true, description: "What messages call the file."}
  socket: {type: path, required: true, description: Unix socket on the host behind which it is served.}
  peers: {type: list, elements: str, default: [], description: "Hosts that may have it, as C(address:port)."}
  executable: {type: bool, default: false, description: Whether the file is a program.}
  remedy:
    type: str
    default: delete it on the controller and run `./pipress up`
    description: What makes the file anew on the controller.
author: [pipress]
"""

import os
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pipress_host.errors import HostError
from ansible.module_utils.pipress_host.store import Wanted, fetch, has_mode, state_of

STATES = {"missing": "is missing", "altered": "was altered", "present": "is not read-only"}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "store": {"type": "path", "required": True},
            "sha256": {"type": "str", "required": True},
            "bytes": {"type": "int", "required": True},
            "label": {"type": "str", "required": True},
            "socket": {"type": "path", "required": True},
            "peers": {"type": "list", "elements": "str", "default": []},
            "executable": {"type": "bool", "default": False},
            "remedy": {"type": "str", "default": "delete it on the controller and run `./pipress up`"},
        },
        supports_check_mode=True,
    )
    given = module.params
    store = Path(given["store"])
    wanted = Wanted(given["sha256"], given["bytes"], given["label"], given["executable"], given["remedy"])
    if module.check_mode:
        state = state_of(store, wanted)
        fine = state == "present" and has_mode(store / wanted.sha256, wanted.mode)
        outcome = {"changed": not fine, "state": state}
    else:
        try:
            outcome = fetch(store, wanted, given["socket"], given["peers"])
        except HostError as problem:
            module.fail_json(msg=str(problem))
    path = store / wanted.sha256
    if outcome["changed"]:
        header = os.fspath(path)
        outcome["msg"] = f"the {given['label']} on the host {STATES[outcome['state']]}"
        outcome["diff"] = {
            "before_header": header,
            "after_header": header,
            "before": f"{outcome['state']}\n",
            "after": f"{given['label']}, {given['bytes']} bytes, verified\n",
        }
    module.exit_json(**outcome)


if __name__ == "__main__":
    main()
