"""Facts of a Raspberry Pi that the node exporter does not know, in Prometheus's text format.

The temperature is the node exporter's own (`node_thermal_zone_temp`), and given here again under a name that does not
depend on how a kernel numbers its zones.
"""

from __future__ import annotations

import re
from pathlib import Path

from .files import point_link, read_json, read_link, write_atomically
from .report import celsius, throttled
from .throttling import CONDITIONS, flags_now, flags_since_boot

ROOT = Path("/var/lib/pipress")
#: In memory: a card that is written to every minute wears out.
FIGURES = Path("/run/pipress-facts/pipress.prom")
#: Where Debian's node exporter looks for further figures: a link to them, written once.
TEXTFILE = Path("/var/lib/prometheus/node-exporter/pipress.prom")


def render(root: Path, flags: int | None, temperature: float | None) -> str:
    """All figures as Prometheus reads them; what this board does not tell is left out."""
    lines = []
    if temperature is not None:
        lines += _gauge("pipress_temperature_celsius", "Temperature of the board", [("", temperature)])
    if flags is not None:
        lines += _gauge(
            "pipress_throttled", "Whether the firmware sees the condition now", _conditions(flags_now(flags))
        )
        boot = _conditions(flags_since_boot(flags))
        lines += _gauge("pipress_throttled_since_boot", "Whether the firmware has seen it since boot", boot)
    digest = Path(read_link(root / "current") or "").name
    verdict = read_json(root / "releases" / digest / "verdict.json") if digest else None
    if verdict:
        lines += _gauge(
            "pipress_release_info", "The release that serves", [(f'{{release="{digest[:12]}"}}', 1)]
        )
        speed = verdict.get("tokensPerSecond")
        if speed is not None:
            lines += _gauge(
                "pipress_health_check_tokens_per_second",
                "Speed at the health check of the release",
                [("", speed)],
            )
    return "".join(f"{line}\n" for line in lines)


def _conditions(flags: int) -> list[tuple[str, float]]:
    names = {bit: re.sub(r"\W", "_", name) for bit, name in CONDITIONS.items()}
    return [(f'{{condition="{name}"}}', int(bool(flags & bit))) for bit, name in names.items()]


def _gauge(name: str, text: str, values: list[tuple[str, float]]) -> list[str]:
    return [
        f"# HELP {name} {text}",
        f"# TYPE {name} gauge",
        *[f"{name}{labels} {value}" for labels, value in values],
    ]


def publish(text: str, figures: Path, textfile: Path) -> None:
    """Writes `text` to `figures`, to which `textfile` is a link."""
    write_atomically(figures, text.encode())
    if read_link(textfile) != str(figures):
        point_link(textfile, str(figures))


def main() -> None:
    """Writes the figures of this host."""
    publish(render(ROOT, throttled(), celsius()), FIGURES, TEXTFILE)
