"""Puts a set of small files and links in place in one go, telling what differs before it touches anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .files import point_link, read_link, write_atomically


def write_file_set(
    files: list[dict[str, Any]], links: list[dict[str, Any]], secrets: dict[str, str], check: bool
) -> dict[str, Any]:
    """Makes every file and link what it shall be; with `check`, only tells.

    `files` are `{path, content, mode?}` (mode as octal text, 0644 where left out), `links` are `{path, target}`,
    `secrets` maps paths to contents that no diff may show (mode 0600). Returns `{changed, paths, diff}`.
    """
    diff: list[dict[str, str]] = []
    for file in files:
        _write_file(
            Path(file["path"]), file["content"], int(file.get("mode") or "0644", 8), False, check, diff
        )
    for path, content in secrets.items():
        _write_file(Path(path), content, 0o600, True, check, diff)
    for link in links:
        _write_link(Path(link["path"]), link["target"], check, diff)
    return {"changed": bool(diff), "paths": [change["after_header"] for change in diff], "diff": diff}


def _write_file(
    path: Path, content: str, mode: int, secret: bool, check: bool, diff: list[dict[str, str]]
) -> None:
    regular = path.is_file() and not path.is_symlink()
    before = path.read_text(errors="replace") if regular else ""
    old_mode = path.stat().st_mode & 0o7777 if regular else None
    if regular and before == content and old_mode == mode:
        return
    shown = {"before": before, "after": content}
    if secret:
        shown = {"before": "(secret)\n" if regular else "", "after": "(another secret)\n"}
    elif regular and before == content:
        shown = {"before": f"mode {old_mode:04o}\n", "after": f"mode {mode:04o}\n"}
    diff.append({"before_header": str(path), "after_header": str(path), **shown})
    if not check:
        write_atomically(path, content.encode(), mode)


def _write_link(path: Path, target: str, check: bool, diff: list[dict[str, str]]) -> None:
    current_target = read_link(path)
    if current_target == target:
        return
    was = f"-> {current_target}\n" if current_target else ("a file of its own\n" if path.exists() else "")
    diff.append(
        {"before_header": str(path), "after_header": str(path), "before": was, "after": f"-> {target}\n"}
    )
    if not check:
        point_link(path, target)
