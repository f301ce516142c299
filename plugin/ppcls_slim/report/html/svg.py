"""A little SVG: axes with round ticks, lines and points. Colours are classes of the page's style sheet.

Plots are drawn for the width of a telephone (:data:`WIDTH`) and stand side by side on wider screens, so that their
text keeps its size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Optional

WIDTH, HEIGHT = 360, 240
LEFT, RIGHT, TOP, BOTTOM = 42, 12, 26, 34
MOST_POINTS = 4 * WIDTH
"""Of a line; more are not seen."""


def element(name: str, content: str = "", **attributes: object) -> str:
    """Return ``<name a="b">content</name>``; an underscore in a name is a hyphen, and ``class_`` is ``class``."""
    shown = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_text(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{shown}>{content}</{name}>"


def titled(shape: str, title: str, **attributes: object) -> str:
    """Return a group with a tooltip, which screen readers read as well."""
    return element("g", element("title", escape(title)) + shape, **attributes)


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers from below ``low`` to above ``high``.

    >>> ticks(0.0, 0.9), ticks(96.2, 99.5)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [96.0, 97.0, 98.0, 99.0, 100.0])
    """
    span = high - low or abs(high) or 1.0
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, max(last, first + 1) + 1)]


def whole_ticks(low: int, high: int, count: int = 6) -> list[float]:
    """Whole numbers from ``low`` to ``high``, for epochs."""
    step = max(1, math.ceil((high - low) / count))
    return [float(number) for number in range(low, high + 1, step)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2 and 5 times powers of ten around a range of positive numbers."""
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    known = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    first = max(n for n, value in enumerate(known) if value <= low * 1.0001)
    last = min(n for n, value in enumerate(known) if value >= high * 0.9999)
    return known[first : max(last, first + 1) + 1]


Box = tuple[float, float, float, float]
"""Left, top, right and bottom."""


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@dataclass
class Plot:
    """One pair of axes.

    Attributes:
        title: for screen readers; the heading of the figure says the same.
        x_ticks, y_ticks: ascending; the first and the last are the ends of the axis.
        x_label, y_label: with the unit.
        log_x: logarithmic x axis.
        x_names: texts of the x ticks, where they are not their numbers.
    """

    title: str
    x_ticks: Sequence[float]
    y_ticks: Sequence[float]
    x_label: str = ""
    y_label: str = ""
    log_x: bool = False
    x_names: Mapping[float, str] = field(default_factory=dict)
    _shapes: list[str] = field(default_factory=list)
    _taken: list[Box] = field(default_factory=list)

    def x(self, value: float) -> float:
        """Position of a value."""
        scale: Callable[[float], float] = math.log10 if self.log_x else float
        low, high = scale(self.x_ticks[0]), scale(self.x_ticks[-1])
        return LEFT + (WIDTH - LEFT - RIGHT) * (scale(value) - low) / ((high - low) or 1.0)

    def y(self, value: float) -> float:
        """Position of a value."""
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (value - low) / ((high - low) or 1.0))

    def line(self, points: Sequence[tuple[float, float]], kind: str, title: str) -> None:
        """Draw a line through points."""
        every = max(1, -(-len(points) // MOST_POINTS))
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points[::-1][::every][::-1])
        if len(points) == 1:
            self._shapes.append(titled(self._dot(*points[0], 3.0), title, class_=kind))
        elif points:
            self._shapes.append(titled(element("polyline", points=path, class_="line"), title, class_=kind))

    def point(self, x: float, y: float, kind: str, title: str, label: str = "", hollow: bool = False) -> None:
        """Draw a point, with a short text beside it."""
        shape = self._dot(x, y, 4.5, "hollow" if hollow else None)
        self._shapes.append(titled(shape + self._label(self.x(x), self.y(y), label), title, class_=kind))

    def _label(self, x: float, y: float, text: str) -> str:
        """Write a text beside a point, where no other is; nothing where there is no room (the tooltip says it)."""
        width = 6.2 * len(text)
        for left, base in ((x + 8, y + 4), (x - width / 2, y - 9), (x - width / 2, y + 18), (x - width - 8, y + 4)):
            box = (left, base - 10, left + width, base + 2)
            inside = left >= LEFT and left + width <= WIDTH and base < HEIGHT - BOTTOM
            if text and inside and not any(_overlap(box, other) for other in self._taken):
                self._taken.append(box)
                return element("text", escape(text), x=left, y=base)
        return ""

    def reserve(self, x: float, y: float) -> None:
        """Keep texts away from a point that is drawn later."""
        self._taken.append((self.x(x) - 5, self.y(y) - 5, self.x(x) + 5, self.y(y) + 5))

    def mark_x(self, value: float, text: str) -> None:
        """Draw a dashed line from bottom to top, with a text."""
        x = self.x(value)
        self._shapes.append(element("line", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM, class_="mark"))
        self._shapes.append(element("text", escape(text), x=x + 4, y=TOP - 3, class_="quiet"))

    def mark_y(self, value: float, text: str) -> None:
        """Draw a dashed line from left to right, with a text."""
        y = self.y(value)
        self._shapes.append(element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="mark"))
        self._shapes.append(
            element("text", escape(text), x=WIDTH - RIGHT, y=y - 4, text_anchor="end", class_="quiet")
        )

    def _dot(self, x: float, y: float, radius: float, kind: Optional[str] = None) -> str:
        return element("circle", cx=self.x(x), cy=self.y(y), r=radius, class_=kind)

    def svg(self) -> str:
        """Return the plot."""
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        parts = [element("title", escape(self.title))]
        for value in self.y_ticks:
            y = self.y(value)
            parts.append(element("line", x1=LEFT, x2=right, y1=y, y2=y, class_="grid"))
            parts.append(element("text", f"{value:g}", x=LEFT - 6, y=y + 4, text_anchor="end", class_="quiet"))
        for value in self.x_ticks:
            name = self.x_names.get(value, f"{value:g}")
            parts.append(element("text", escape(name), x=self.x(value), y=bottom + 15, **_CENTRED))
        parts.append(element("text", escape(self.x_label), x=(LEFT + right) / 2, y=HEIGHT - 3, **_CENTRED))
        parts.append(element("text", escape(self.y_label), x=0, y=11.0, class_="quiet"))
        size = f"0 0 {WIDTH} {HEIGHT}"
        return element("svg", "".join([*parts, *self._shapes]), viewBox=size, role="img", class_="plot")


_CENTRED = {"text_anchor": "middle", "class_": "quiet"}


def strip(cells: Sequence[str], title: str, count: int) -> str:
    """Return a picture without text that fills its place: shapes in a box that is ``count`` wide and 1 high."""
    head = element("title", escape(title))
    return element(
        "svg", head + "".join(cells), viewBox=f"0 0 {count} 1", preserveAspectRatio="none", role="img", class_="strip"
    )
