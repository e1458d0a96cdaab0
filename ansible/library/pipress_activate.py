#!/usr/bin/python
"""Makes a staged release the one that serves, and reports what its health check found."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pipress_activate
short_description: Activate a staged release with a health check
description:
  - Does nothing where the release serves and passed its health check with the files that lie there now.
  - Otherwise starts /usr/local/lib/pipress/activate as a transient systemd unit and waits for its verdict. That unit
    goes on to a good end, the new release or the one before, when this module's connection breaks.
options:
  root: {type: path, required: true, description: Folder of releases and store.}
  keys: {type: path, required: true, description: File of the API keys.}
  unit: {type: str, required: true, description: Name of the service.}
  release: {type: str, required: true, description: "Release to activate, by the name of its folder."}
  staged_changes: {type: list, elements: str, default: [], description: What staging would change (check mode).}
  timeout: {type: int, required: true, description: Seconds after which the verdict is no longer waited for.}
author: [pipress]
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pipress_host.activation import Activation
from ansible.module_utils.pipress_host.detached import start_detached, wait_for_outcome, what_serves
from ansible.module_utils.pipress_host.service import SystemdService


def explain(verdict: dict[str, Any]) -> str:
    """One sentence for the user about a release that did not pass."""
    return (
        f"release {verdict['release'][:12]} failed its health check: {verdict['reason']}; {what_serves(verdict)} — fix the model or "
        "the smoke test and run `pulumi up` again; `journalctl -u pipress-llama` on the host has the details"
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "required": True},
            "keys": {"type": "path", "required": True, "no_log": False},
            "unit": {"type": "str", "required": True},
            "release": {"type": "str", "required": True},
            "staged_changes": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    release, root = given["release"], Path(given["root"])
    service = SystemdService(given["unit"])
    activation = Activation(root, Path(given["keys"]), service)

    # Taking the lock waits for an activation that an earlier, broken connection left running.
    with activation.locked():
        before = activation.current()
        reason = activation.reason_to_activate(release)
    if reason is None and given["staged_changes"]:
        reason = f"{', '.join(given['staged_changes'])} changed"
    outcome: dict[str, Any] = {"changed": reason is not None, "reason": reason}
    if reason:
        outcome["msg"] = reason
        outcome["diff"] = {
            "before_header": os.fspath(root / "current"),
            "after_header": os.fspath(root / "current"),
            "before": f"{before or 'no release'} ({reason})\n",
            "after": f"{release} (serving)\n",
        }
    if reason is None or module.check_mode:
        module.exit_json(verdict=activation.verdict(release), overrides=service.overrides(), **outcome)

    verdict = wait_for_outcome(root, start_detached(release[:12], [release]), given["timeout"])
    if verdict is None:
        module.fail_json(
            msg=f"the activation of release {release[:12]} gave no verdict within {given['timeout']} seconds — it ends "
            "or rolls back by itself; look at `journalctl -u 'pipress-activate-*'` on the host and run "
            "`pulumi up` again"
        )
    if not verdict["ok"]:
        module.fail_json(msg=explain(verdict), verdict=verdict)
    module.exit_json(verdict=verdict, overrides=service.overrides(), **outcome)


if __name__ == "__main__":
    main()
