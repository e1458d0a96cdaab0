#!/usr/bin/python
"""Switches the kernel's memory accounting on, as far as that goes without the reboot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pipress_memory_cgroup
short_description: Switch the kernel's memory accounting on in cmdline.txt
description:
  - Writes C(cgroup_enable=memory) once, with a copy of the file beside it, and says with C(reboot) whether the host has to
    start anew. Where it did and came up without, the file is put back.
  - C(remark) is what is worth knowing, empty where nothing is.
options:
  root: {type: path, required: true, description: Folder of releases and store.}
author: [pipress]
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.pipress_host.errors import HostError
from ansible.module_utils.pipress_host.memory_cgroup import COMMAND_LINES, next_step, put_back, write
from ansible.module_utils.pipress_host.report import counts_memory


def main() -> None:
    module = AnsibleModule(
        argument_spec={"root": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    root = Path(module.params["root"])
    file = next((path for path in COMMAND_LINES if path.is_file()), None)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    step = next_step(root, file, counts=counts_memory(), boot=boot)
    try:
        if file is not None and not module.check_mode:
            if step.do == "write":
                write(root, file, boot)
            elif step.do == "put back":
                put_back(file)
    except HostError as problem:
        module.fail_json(msg=str(problem))
    told = {
        "write": f"cgroup_enable=memory in {file}, then a reboot",
        "put back": f"{file} as it was before",
    }
    module.exit_json(
        changed=step.do in told,
        reboot=step.do in ("write", "reboot"),
        remark=step.remark,
        **({"msg": told[step.do]} if step.do in told else {}),
    )


if __name__ == "__main__":
    main()
