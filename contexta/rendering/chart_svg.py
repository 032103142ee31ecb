"""Charts as SVG: lines and bars with axes, drawn without any library. Colours come from the page's style."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ..interpretation.findings import Chart, ChartLine
from ..interpretation.report_text import number_text
from .chart_scale import Axis, axis
from .html_text import text
from .wellformed import shortened

WIDTH, HEIGHT = 480, 256
LEFT, RIGHT, TOP, BOTTOM = 56.0, WIDTH - 14.0, 30.0, HEIGHT - 48.0
MAX_LINES = 24
COLOURS = 8
MAX_NAMED_BARS = 16
MAX_NAMES = 8  # below an axis

Point = tuple[float, float]


def chart_html(chart: Chart) -> str:
    """Return a chart as a figure: its title, its legend where it has several lines, and the picture."""
    lines = chart.lines[:MAX_LINES]
    drawing = "".join(_bars(chart, lines) if chart.kind == "bar" else _lines(chart, lines))
    title = text(shortened(chart.title, 200))
    return (
        f'<figure class="chart"><figcaption>{title}</figcaption>{_legend(chart)}'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}">{drawing}</svg></figure>'
    )


def _legend(chart: Chart) -> str:
    if len(chart.lines) < 2:
        return ""
    names = "".join(
        f'<li><svg viewBox="0 0 18 8" aria-hidden="true"><line x1="0" y1="4" x2="18" y2="4" '
        f'class="{_line_class(place)}"/></svg>{text(shortened(line.name, 80))}</li>'
        for place, line in enumerate(chart.lines[:MAX_LINES])
    )
    more = len(chart.lines) - MAX_LINES
    rest = f"<li>and {more} more that are not drawn</li>" if more > 0 else ""
    return f'<ul class="legend">{names}{rest}</ul>'


def _line_class(place: int) -> str:
    return f"line c{place % COLOURS}" + (f" dash{place // COLOURS}" if place >= COLOURS else "")


# --- axes


def _frame(chart: Chart, y_axis: Axis) -> Iterator[str]:
    for tick in y_axis.ticks:
        y = _y(y_axis, tick)
        yield f'<line class="grid{" zero" if tick == 0 else ""}" x1="{LEFT}" y1="{y:.1f}" x2="{RIGHT}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{text(y_axis.label(tick))}</text>'
    yield f'<line class="axis" x1="{LEFT}" y1="{BOTTOM}" x2="{RIGHT}" y2="{BOTTOM}"/>'
    if chart.y_title:
        yield f'<text class="name" x="4" y="13">{text(shortened(chart.y_title, 60))}</text>'
    if chart.x_title:
        middle = (LEFT + RIGHT) / 2
        title = text(shortened(chart.x_title, 60))
        yield f'<text class="name" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{title}</text>'


def _y(y_axis: Axis, value: float) -> float:
    return BOTTOM - y_axis.share(value) * (BOTTOM - TOP)


def _number_ticks(x_axis: Axis) -> Iterator[str]:
    for tick in x_axis.ticks:
        x = LEFT + x_axis.share(tick) * (RIGHT - LEFT)
        yield f'<line class="axis" x1="{x:.1f}" y1="{BOTTOM}" x2="{x:.1f}" y2="{BOTTOM + 4}"/>'
        label = text(x_axis.label(tick))
        yield f'<text class="tick" x="{x:.1f}" y="{BOTTOM + 18}" text-anchor="middle">{label}</text>'


def _name_ticks(places: Sequence[tuple[float, str]], y: float = BOTTOM + 18) -> Iterator[str]:
    """Yield names below the axis: as many as have room, cut to the room they have; whole ones on hovering."""
    every = math.ceil(len(places) / MAX_NAMES)
    room = (RIGHT - LEFT) / max(1, math.ceil(len(places) / every))
    for number, (x, name) in enumerate(places[::every]):
        # The outermost names would leave the picture if they were wider than the gap beside them.
        width = min(room, 2 * min(x, WIDTH - x)) if len(places) > 1 else room
        shown = text(_squeezed(name, max(3, int(width / 7))))
        other = " other" if number % 2 else ""
        yield (
            f'<text class="tick{other}" x="{x:.1f}" y="{y}" text-anchor="middle">'
            f"<title>{text(shortened(name))}</title>{shown}</text>"
        )


def _squeezed(name: str, room: int) -> str:
    """Return a name cut in its middle: names of runs often differ only at their ends."""
    if len(name) <= room:
        return name
    end = (room - 1) * 2 // 3
    return f"{name[: room - 1 - end]}…{name[-end:]}"


# --- lines


def _lines(chart: Chart, lines: Sequence[ChartLine]) -> Iterator[str]:
    x_axis = axis(
        (x for line in lines for x in line.x if math.isfinite(x)),
        ticks=6,
        whole=all(float(x).is_integer() for line in lines for x in line.x if math.isfinite(x)),
    )
    y_axis = axis((y for line in lines for y in line.y if y is not None and math.isfinite(y)), ticks=4, round_ends=True)
    yield from _frame(chart, y_axis)
    if chart.x_labels:
        places = [
            (LEFT + x_axis.share(place) * (RIGHT - LEFT), name)
            for place, name in enumerate(chart.x_labels)
            if x_axis.low <= place <= x_axis.high
        ]
        yield from _name_ticks(places)
    else:
        yield from _number_ticks(x_axis)
    for place, line in enumerate(lines):
        yield from _one_line(line, _line_class(place), x_axis, y_axis)
    if any(_not_finite(y) for line in lines for y in line.y):
        yield f'<text class="lost" x="{RIGHT}" y="13" text-anchor="end">× not a finite number</text>'


def _one_line(line: ChartLine, names: str, x_axis: Axis, y_axis: Axis) -> Iterator[str]:
    path: list[str] = []
    lost: set[int] = set()
    several = [run for run in _unbroken(line, x_axis, y_axis, lost) if run]
    title = f"<title>{text(shortened(line.name))}</title>"
    for run in several:
        if len(run) == 1:
            yield f'<circle class="{names}" cx="{run[0][0]:.1f}" cy="{run[0][1]:.1f}" r="2.5">{title}</circle>'
        else:
            path.append("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in _thinned(run)))
    if path:
        yield f'<path class="{names}" d="{"".join(path)}">{title}</path>'
    for x in sorted(lost):
        yield f'<path class="cross" d="M{x - 3} {BOTTOM - 9}l6 6m0 -6l-6 6"/>'


def _unbroken(line: ChartLine, x_axis: Axis, y_axis: Axis, lost: set[int]) -> Iterator[list[Point]]:
    """Yield the pieces of a line between its gaps, as places; whole x of values that are not finite go to `lost`."""
    piece: list[Point] = []
    for x, y in zip(line.x, line.y, strict=True):
        if not math.isfinite(x):
            continue
        place = LEFT + x_axis.share(x) * (RIGHT - LEFT)
        if y is not None and math.isfinite(y):
            piece.append((place, _y(y_axis, y)))
            continue
        if y is not None:
            lost.add(round(place / 4) * 4)
        yield piece
        piece = []
    yield piece


def _thinned(points: Sequence[Point]) -> Sequence[Point]:
    """Return the points that can be seen: of each column of the picture the first, lowest, highest and last."""
    if len(points) <= 4 * WIDTH:
        return points
    columns: dict[int, list[Point]] = {}
    for point in points:
        columns.setdefault(int(point[0]), []).append(point)
    kept: list[Point] = []
    for column in columns.values():
        seen = {0, len(column) - 1}
        heights = [y for _, y in column]
        seen |= {heights.index(min(heights)), heights.index(max(heights))}
        kept.extend(column[place] for place in sorted(seen))
    return kept


def _not_finite(value: float | None) -> bool:
    return value is not None and not math.isfinite(value)


# --- bars


def _bars(chart: Chart, lines: Sequence[ChartLine]) -> Iterator[str]:
    """Yield groups of bars, one for each place of x, a bar in each for every line."""
    y_axis = axis(
        (y for line in lines for y in line.y if y is not None and math.isfinite(y)),
        ticks=4,
        round_ends=True,
        with_zero=True,
    )
    yield from _frame(chart, y_axis)
    groups = max(len(chart.x_labels), *(int(x) + 1 for line in lines for x in line.x), 1)
    room = (RIGHT - LEFT) / groups
    bar = min(room * 0.72, 64.0) / max(1, len(lines))
    named = groups * len(lines) <= MAX_NAMED_BARS
    for place, line in enumerate(lines):
        for x, y in zip(line.x, line.y, strict=True):
            middle = LEFT + (int(x) + 0.5) * room
            left = middle - bar * len(lines) / 2 + bar * place
            yield from _bar(line, y, y_axis, left, bar, f"bar c{place % COLOURS}", named)
    labels = chart.x_labels or tuple(str(number) for number in range(groups))
    places = [(LEFT + (number + 0.5) * room, name) for number, name in enumerate(labels)]
    below = BOTTOM + (28 if y_axis.low < 0 else 18)  # the values of bars that hang down stand there too
    yield from _name_ticks(places, below)


def _bar(
    line: ChartLine, value: float | None, y_axis: Axis, left: float, width: float, names: str, named: bool
) -> Iterator[str]:
    zero = _y(y_axis, 0.0)
    if value is None:
        return
    if not math.isfinite(value):
        said = text(number_text(value))
        yield f'<text class="lost" x="{left + width / 2:.1f}" y="{zero - 6:.1f}" text-anchor="middle">{said}</text>'
        return
    end = _y(y_axis, value)
    title = f"<title>{text(shortened(line.name))}: {text(number_text(value))}</title>"
    inner = max(width - 2, 0.5)
    yield (
        f'<rect class="{names}" x="{left + 1:.1f}" y="{min(zero, end):.1f}" width="{inner:.1f}" '
        f'height="{max(abs(zero - end), 0.5):.1f}" rx="{min(2.5, inner / 4):.1f}">{title}</rect>'
    )
    if named:
        y = end - 5 if value >= 0 else end + 14
        said = text(f"{value:.3g}")
        yield f'<text class="value" x="{left + width / 2:.1f}" y="{y:.1f}" text-anchor="middle">{said}</text>'
