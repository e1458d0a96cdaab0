"""Plots as SVG inside the page: no script, no file beside it. Colours and fonts come from the page's style sheet."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 20, 44
# Of the print on a phone, where a plot is as wide as the screen: height of a line, and about how wide a character is.
LABEL_HEIGHT = 16
CHARACTER = 7.0
DOT = 4.5


class Point(NamedTuple):
    """A model in a plot. kind: its class in the style sheet, `recipe`, `baseline` or `step`. error: standard, of y."""

    x: float
    y: float
    label: str
    kind: str
    error: float = 0.0


class Axis(NamedTuple):
    """One axis: its title, and the numbers that it runs between."""

    title: str
    low: float
    high: float

    def ticks(self) -> list[float]:
        """Round numbers along it, about four."""
        step = nice_step((self.high - self.low) / 4)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def format(self, value: float) -> str:
        """A tick's number with as many decimals as the steps need."""
        step = nice_step((self.high - self.low) / 4)
        return f"{value:.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def frontier(points: Sequence[Point], larger_is_better: bool) -> list[Point]:
    """Those that no other point is better than in both x and y, by x. Of y less is better, of x as said."""
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (-p.x if larger_is_better else p.x, p.y)):
        if not best or point.y < best[-1].y:
            best.append(point)
    return sorted(best, key=lambda point: point.x)


def scatter(
    points: Sequence[Point], x_title: str, y_title: str, description: str, larger_is_better: bool = False
) -> str:
    """Models as labelled points with two standard errors of y up and down, both axes in plain numbers.

    A line joins the frontier. larger_is_better: of x; of y less is better.
    """
    x_axis = padded(x_title, [point.x for point in points])
    y_axis = padded(y_title, [y for point in points for y in (point.y - 2 * point.error, point.y + 2 * point.error)])
    best = frontier(points, larger_is_better)
    path = " ".join(f"{_x(x_axis, point.x):.1f},{_y(y_axis, point.y):.1f}" for point in best)
    marks = [f'<polyline class="frontier" points="{path}"/>'] if len(best) > 1 else []
    for point in points:
        x, low, high = _x(x_axis, point.x), max(0, point.y - 2 * point.error), point.y + 2 * point.error
        if point.error > 0:
            ends = f'y1="{_y(y_axis, low):.1f}" y2="{_y(y_axis, high):.1f}"'
            marks.append(f'<line class="error" x1="{x:.1f}" x2="{x:.1f}" {ends}/>')
    dots = [(_x(x_axis, point.x), _y(y_axis, point.y)) for point in points]
    for point, (x, y) in zip(points, dots, strict=True):
        marks.append(f'<circle class="{escape(point.kind)}" cx="{x:.1f}" cy="{y:.1f}" r="{DOT}"/>')
    boxes = _label_boxes(dots, [point.label for point in points])
    for point, (x, _), box in zip(points, dots, boxes, strict=True):
        at, anchor = (box.right, "end") if box.right <= x else (box.left, "start")
        marks.append(_text(at, box.bottom - 4, point.label, anchor))
    return _svg(x_axis, y_axis, "".join(marks), description)


def curves(lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], x_title: str, y_title: str, about: str) -> str:
    """Lines by class name, each a sequence of (x, y); the y axis begins at zero."""
    xs = [x for _, line in lines for x, _ in line]
    ys = [y for _, line in lines for _, y in line]
    x_axis = Axis(x_title, min(xs), max(max(xs), min(xs) + 1))
    y_axis = Axis(y_title, 0, 1.05 * max(ys) or 1)
    marks = []
    for kind, line in lines:
        points = [(_x(x_axis, x), _y(y_axis, y)) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        marks.append(f'<polyline class="{escape(kind)}" points="{path}"/>')
        if len(points) <= 20:
            marks += [f'<circle class="{escape(kind)}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in points]
    return _svg(x_axis, y_axis, "".join(marks), about)


def thinned(line: Sequence[tuple[float, float]], most: int = 300) -> list[tuple[float, float]]:
    """A line of `most` points or fewer: each the mean of as many neighbours."""
    size = math.ceil(len(line) / most)
    groups = [line[start : start + size] for start in range(0, len(line), max(1, size))]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]


def padded(title: str, values: Sequence[float]) -> Axis:
    """An axis with room around what it shows."""
    low, high = min(values), max(values)
    room = 0.12 * (high - low) or 0.1 * abs(high) or 1
    return Axis(title, max(0, low - room), high + room)


def nice_step(step: float) -> float:
    """The next larger of 1, 2 and 5 times a power of ten."""
    power = 10 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= step * (1 - 1e-9))


class Box(NamedTuple):
    """A rectangle of a plot."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Whether they share a point."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def _label_boxes(dots: Sequence[tuple[float, float]], labels: Sequence[str]) -> list[Box]:
    """Where each dot's label goes: beside it at the nearest height where it lies on no dot and on no other label."""
    taken = [Box(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in dots]
    placed = []
    for (x, y), label in zip(dots, labels, strict=True):
        width, plot = CHARACTER * len(label), Box(0, TOP, WIDTH, HEIGHT - BOTTOM)
        offsets = sorted(range(-HEIGHT, HEIGHT, 4), key=abs)
        middles = [y + offset for offset in offsets if plot.top <= y + offset - LABEL_HEIGHT / 2]
        heights = [middle for middle in middles if middle + LABEL_HEIGHT / 2 <= plot.bottom]
        places = [
            Box(left, middle - LABEL_HEIGHT / 2, left + width, middle + LABEL_HEIGHT / 2)
            for middle in heights
            for left in (x + 8, x - 8 - width)
            if plot.left <= left and left + width <= plot.right
        ]
        # A label wider than the plot begins at its left edge.
        fallback = Box(0, y - LABEL_HEIGHT / 2, width, y + LABEL_HEIGHT / 2)
        box = next((place for place in places if not any(map(place.meets, taken))), fallback)
        taken.append(box)
        placed.append(box)
    return placed


def _x(axis: Axis, value: float) -> float:
    return LEFT + (value - axis.low) / (axis.high - axis.low) * (WIDTH - LEFT - RIGHT)


def _y(axis: Axis, value: float) -> float:
    return HEIGHT - BOTTOM - (value - axis.low) / (axis.high - axis.low) * (HEIGHT - TOP - BOTTOM)


def _svg(x_axis: Axis, y_axis: Axis, marks: str, description: str) -> str:
    grid = []
    for value in y_axis.ticks():
        y = _y(y_axis, value)
        grid.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        grid.append(_text(LEFT - 5, y + 4, y_axis.format(value), "end", "tick"))
    for value in x_axis.ticks():
        x, end = _x(x_axis, value), HEIGHT - BOTTOM
        grid.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{end}"/>')
        grid.append(_text(x, end + 16, x_axis.format(value), "middle", "tick"))
    titles = _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, x_axis.title, "middle", "axis")
    titles += _text(0, 13, y_axis.title, "start", "axis")
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(description)}">'
        f"{''.join(grid)}{titles}{marks}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
