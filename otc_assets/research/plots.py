"""Weekly charts as SVG: stacked volumes and lines over weeks, for the page and the explorer.

Written directly, and not by matplotlib: a picture takes two milliseconds instead of two hundred, so
that the explorer draws each day's knowledge anew. Shapes stretch with the page, text does not, so
that a phone reads the same sizes. Colours are classes (``s1``, ``l1``), which `look.css` defines
for light, dark and print. Nothing in a picture is a style or a script: a strict CSP shows it.

Belongs here: how numbers over weeks look. Does not belong here: which numbers (`facts`, `market`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from itertools import pairwise

from markupsafe import Markup

SLOT, HEIGHT = 10.0, 100.0
"""Units of a week and of the plot's height in the stretched part of a picture."""
COLOURS = 6
"""Series that have a colour of their own; the last one takes all others together."""
PLOT, HEAD, FOOT = 190, 16, 20
"""Pixels: of the plot, and of what stands above and below it."""
GAP = 0.12
"""Part of a week that is left between two bars."""
MARGIN = 0.1
"""Part of the width that is left for numbers."""

Number = Callable[[float], str]


@dataclass(frozen=True)
class Series:
    """Some numbers by week, None where there is none, and the colour (0: of the others)."""

    name: str
    values: Sequence[float | None]
    colour: int


@dataclass(frozen=True)
class Mark:
    """A number that stood in a week's place before: what was published first."""

    week: date
    value: float
    text: str


def short(number: float) -> str:
    """Return a quantity in three digits: 1.23 M."""
    for limit, unit in ((1e9, " bn"), (1e6, " M"), (1e3, " k")):
        if abs(number) >= limit:
            return f"{number / limit:.3g}{unit}"
    return f"{number:.3g}"


def percent(number: float) -> str:
    """Return a percentage."""
    return f"{number:.3g} %"


def stacked(
    weeks: Sequence[date],
    series: Sequence[Series],
    label: str,
    *,
    number: Number = short,
    over: Sequence[Series] = (),
    marks: Sequence[Mark] = (),
    height: int = PLOT,
) -> Markup:
    """Draw a bar for each week, in it the series one upon the other, the first at the bottom.

    ``over`` are drawn as lines across the bars.
    """
    axis = _Weeks(weeks)
    totals = [sum(s.values[at] or 0 for s in series) for at in range(len(weeks))]
    above = [value for each in over for value in each.values if value is not None]
    scale = _Scale([0, *totals, *above, *(mark.value for mark in marks)])
    base, paths = [0.0] * len(weeks), []
    for each in series:
        bars = []
        for at, value in enumerate(each.values):
            if value:
                y, top = scale.y(base[at]), scale.y(base[at] + value)
                base[at] += value
                bars.append(_box(axis.x(weeks[at]), top, y - top))
        if bars:
            paths.append(f'<path class="s{each.colour}" d="{"".join(bars)}"/>')
    drawn, dots = _drawn(axis, scale, over)
    diamonds = "".join(_diamond(axis, scale, mark) for mark in marks)
    tips = [_told([*series, *over], at, number) for at in range(len(weeks))]
    return _picture(
        axis, scale, "".join(paths) + drawn, dots + diamonds, tips, label, number, height
    )


def lines(
    weeks: Sequence[date],
    series: Sequence[Series],
    label: str,
    *,
    number: Number = short,
    top: float | None = None,
    is_rank: bool = False,
    height: int = 110,
) -> Markup:
    """Draw a line for each series; a week that lacks breaks it. Ranks have the first on top."""
    axis = _Weeks(weeks)
    there = [value for each in series for value in each.values if value is not None]
    scale = _Ranks(there) if is_rank else _Scale([0, *there], top)
    drawn, dots = _drawn(axis, scale, series)
    tips = [_told(series, at, number) for at in range(len(weeks))]
    return _picture(axis, scale, drawn, dots, tips, label, number, height)


def _drawn(axis: "_Weeks", scale: "_Scale | _Ranks", series: Sequence[Series]) -> tuple[str, str]:
    """Return the lines of some series, and the dots of weeks without a neighbour."""
    drawn, dots = [], []
    for each in series:
        for part in _unbroken(axis.weeks, each.values):
            points = [(axis.x(week) + SLOT / 2, scale.y(value)) for week, value in part]
            if len(points) == 1:
                dots.append(_dot(axis, points[0], each.colour))
            else:
                path = "L".join(f"{x:.6g} {y:.4g}" for x, y in points)
                drawn.append(f'<path class="l{each.colour}" d="M{path}"/>')
    return "".join(drawn), "".join(dots)


class _Weeks:
    """Where a week is: a slot for each, also for those that lack."""

    def __init__(self, weeks: Sequence[date]) -> None:
        self.weeks = weeks
        self.first, last = (min(weeks), max(weeks)) if weeks else (date.min, date.min)
        self.slots = (last - self.first).days // 7 + 1

    @property
    def width(self) -> float:
        return self.slots * SLOT / (1 - MARGIN)

    def x(self, week: date) -> float:
        return (week - self.first).days // 7 * SLOT + self.width * MARGIN

    def part(self, week: date) -> float:
        """Return where the middle of a week is, in percent of the width."""
        return 100 * (self.x(week) + SLOT / 2) / self.width

    def ticks(self) -> list[tuple[date, str]]:
        """Return up to six weeks that are named, and how: few enough for a phone."""
        weeks = [self.first + timedelta(weeks=n) for n in range(self.slots)]
        if self.slots <= 18:
            return [(w, f"{w.day} {w:%b}") for w in weeks[:: -(-self.slots // 6)]]
        starts = [b for a, b in pairwise(weeks) if a.month != b.month]
        years = self.slots > 160
        if years:
            starts = [week for week in starts if week.month == 1]
        shown = starts[:: -(-len(starts) // 5)]
        if years:
            return [(week, str(week.year)) for week in shown]
        is_new = [True, *(a.year != b.year for a, b in pairwise(shown))]
        return [
            (week, f"{week:%b} {week.year}" if new else f"{week:%b}")
            for week, new in zip(shown, is_new, strict=False)
        ]


class _Scale:
    """Where a number is: 0 at the bottom; round numbers are named."""

    def __init__(self, values: Sequence[float], top: float | None = None) -> None:
        most = top or max(values) or 1.0
        step = _round_step(most / 3)
        self.top = top or most * 1.04
        self.ticks = [n * step for n in range(math.floor(self.top / step + 1e-9) + 1)]

    def y(self, value: float) -> float:
        return HEIGHT * (1 - min(value, self.top) / self.top)


class _Ranks:
    """Where a rank is: the first on top."""

    def __init__(self, ranks: Sequence[float]) -> None:
        self.last = max([*ranks, 2])
        step = max(1, math.ceil((self.last - 1) / 3))
        self.ticks = [float(n) for n in range(1, int(self.last) + 1, step)]

    def y(self, rank: float) -> float:
        return 6 + (HEIGHT - 12) * (rank - 1) / (self.last - 1)


def _round_step(size: float) -> float:
    """Return the round number at or above a size: 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(size))
    return next(n * power for n in (1, 2, 2.5, 5, 10) if n * power >= size * (1 - 1e-9))


def _picture(
    axis: _Weeks,
    scale: "_Scale | _Ranks",
    shapes: str,
    marks: str,
    tips: Sequence[str],
    label: str,
    number: Number,
    height: int,
) -> Markup:
    heights = [scale.y(tick) for tick in scale.ticks]
    grid = "".join(f'<path class="grid" d="M0 {y:.4g}H{axis.width:g}"/>' for y in heights)
    hits = "".join(
        f'<path class="hit" d="{_box(axis.x(week), 0, HEIGHT, gap=0)}">'
        f"<title>{week}: {escape(tip)}</title></path>"
        for week, tip in zip(axis.weeks, tips, strict=True)
        if tip
    )
    named = "".join(
        f'<text class="y" x="2" y="{HEAD + scale.y(t) / HEIGHT * height - 3:.4g}">'
        f"{escape(number(t))}</text>"
        for t in scale.ticks
        if t or isinstance(scale, _Ranks)
    )
    days = "".join(_day(axis, week, text, HEAD + height + 15) for week, text in axis.ticks())
    return Markup(
        f'<svg class="plot" role="img" aria-label="{escape(label)}" width="100%" '
        f'height="{HEAD + height + FOOT}">'
        f'<svg x="0" y="{HEAD}" width="100%" height="{height}" preserveAspectRatio="none" '
        f'viewBox="0 0 {axis.width:g} {HEIGHT:g}">{grid}{shapes}{hits}</svg>'
        f'<svg x="0" y="{HEAD}" width="100%" height="{height}" class="marks">{marks}</svg>'
        f"{named}{days}</svg>"
    )


def _day(axis: _Weeks, week: date, text: str, y: float) -> str:
    at = axis.part(week)
    anchor = "end" if at > 96 else "middle"
    at = min(at, 100) if anchor == "middle" else 100
    return f'<text class="x" x="{at:.4g}%" y="{y:g}" text-anchor="{anchor}">{text}</text>'


def _box(x: float, y: float, height: float, gap: float = GAP) -> str:
    side = SLOT * gap / 2
    return f"M{x + side:.6g} {y:.5g}h{SLOT - 2 * side:.4g}v{height:.5g}h-{SLOT - 2 * side:.4g}z"


def _diamond(axis: _Weeks, scale: _Scale, mark: Mark) -> str:
    return (
        f'<svg class="mark" x="{axis.part(mark.week):.4g}%" y="{scale.y(mark.value):.4g}%">'
        f'<path d="M0-6 6 0 0 6-6 0z"><title>{escape(mark.text)}</title></path></svg>'
    )


def _dot(axis: _Weeks, point: tuple[float, float], colour: int) -> str:
    x, y = 100 * point[0] / axis.width, point[1]
    return f'<circle class="d{colour}" cx="{x:.4g}%" cy="{y:.4g}%" r="3"/>'


def _told(series: Sequence[Series], at: int, number: Number) -> str:
    """Return the numbers of a week as a text."""
    told = [(each.name, each.values[at]) for each in series]
    return "; ".join(f"{name} {number(value)}" for name, value in told if value is not None)


def _unbroken(
    weeks: Sequence[date], values: Sequence[float | None]
) -> list[list[tuple[date, float]]]:
    """Part a series where a week lacks: a line across it would claim a value."""
    parts: list[list[tuple[date, float]]] = []
    before: date | None = None
    for week, value in zip(weeks, values, strict=True):
        if value is None:
            continue
        if before is None or (week - before).days > 7:
            parts.append([])
        parts[-1].append((week, value))
        before = week
    return parts
