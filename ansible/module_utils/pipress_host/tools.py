"""The folders of what runs on a host without Ansible; see lookup_plugins/pipress_tools.py for what is in them.

<folder>/<digest>/   commands and this package, as one version of the controller placed them
<folder>/current     link to the one that is in use: one rename switches all files at once
<folder>/activate    and the other commands: links through `current`
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from .files import read_link

#: Seconds for which nothing that was just placed is removed: another run may be about to switch to it.
PRUNE_AGE = 3600


def prune_tools(folder: Path) -> None:
    """Removes what earlier versions left: a process that still runs from there has read its files when it started."""
    in_use = read_link(folder / "current")
    if in_use is None or not (folder / in_use).is_dir():
        return
    youngest = time.time() - PRUNE_AGE
    for entry in folder.iterdir():
        if (
            entry.is_dir()
            and not entry.is_symlink()
            and entry.name != in_use
            and entry.stat().st_mtime < youngest
        ):
            shutil.rmtree(entry)
