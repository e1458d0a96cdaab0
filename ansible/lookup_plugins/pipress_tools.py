"""What runs on a host without Ansible, as one folder by its digest behind one link."""

from __future__ import annotations

DOCUMENTATION = r"""
name: pipress_tools
short_description: Files and links of what runs on a host without Ansible
description:
  - The commands of C(tools/) and the package that they are made of, C(module_utils/pipress_host), in a folder that is named
    by their digest. The link C(current) leads to it and switches all of them at once. The commands' own names are links
    through C(current), so that a unit never has to know the digest.
  - Returns one map of C(digest), and of C(files) and C(links) as pipress_files takes them.
options:
  _terms:
    description: Folder of tools on the host, and the folder in which C(tools/) and C(module_utils/) are.
    required: true
author: [pipress]
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from ansible.plugins.lookup import LookupBase


def tools_of(folder: str, source: Path) -> dict[str, Any]:
    """Digest, files and links of the tools in `source`, as they lie in `folder` on a host."""
    commands = sorted(path for path in (source / "tools").iterdir() if path.is_file())
    package = sorted((source / "module_utils/pipress_host").glob("*.py"))
    modules = [path for path in package if not path.name.startswith("test_") and path.name != "conftest.py"]
    contents = [(path.name, "0755", path.read_text()) for path in commands]
    contents += [(f"pipress_host/{path.name}", "0644", path.read_text()) for path in modules]
    digest = hashlib.sha256(json.dumps(contents).encode()).hexdigest()
    files = [
        {"path": f"{folder}/{digest}/{name}", "mode": mode, "content": content}
        for name, mode, content in contents
    ]
    links = [{"path": f"{folder}/current", "target": digest}]
    links += [{"path": f"{folder}/{path.name}", "target": f"current/{path.name}"} for path in commands]
    return {"digest": digest, "files": files, "links": links}


class LookupModule(LookupBase):
    """The plugin as Ansible finds it."""

    def run(self, terms: list[str], variables: Any = None, **options: Any) -> list[dict[str, Any]]:
        """One map for the two folders in `terms`."""
        folder, source = terms
        return [tools_of(folder, Path(source))]
