"""Puts a set of small files and links in place in one go, telling what differs before it touches anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .files import point_link, read_link, write_atomically


def place(
    files: list[dict[str, Any]], links: list[dict[str, Any]], secrets: dict[str, str], check: bool
) -> dict[str, Any]:
    """Makes every file and link what it shall be; with `check`, only tells.

    `files` are `{path, content, mode?}` (mode as octal text, 0644 where left out), `links` are `{path, target}`,
    `secrets` maps paths to contents that no diff may show (mode 0600). Returns `{changed, paths, diff}`.
    """
    diff: list[dict[str, str]] = []
    for file in files:
        _place_file(
            Path(file["path"]), file["content"], int(file.get("mode") or "0644", 8), False, check, diff
        )
    for path, content in secrets.items():
        _place_file(Path(path), content, 0o600, True, check, diff)
    for link in links:
        _place_link(Path(link["path"]), link["target"], check, diff)
    return {"changed": bool(diff), "paths": [each["after_header"] for each in diff], "diff": diff}


def _place_file(
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


def _place_link(path: Path, target: str, check: bool, diff: list[dict[str, str]]) -> None:
    found = read_link(path)
    if found == target:
        return
    was = f"-> {found}\n" if found else ("a file of its own\n" if path.exists() else "")
    diff.append(
        {"before_header": str(path), "after_header": str(path), "before": was, "after": f"-> {target}\n"}
    )
    if not check:
        point_link(path, target)
