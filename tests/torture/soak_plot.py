"""The plot of the soak: panels of lines over one axis of time, as one SVG."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from contexta.rendering.chart_scale import axis

WIDTH, HEIGHT = 860, 190
LEFT, RIGHT, TOP, BOTTOM = 70, 690, 34, 160
COLOURS = ("#3366cc", "#dc7b1a", "#2e8b57", "#a23b8f", "#777777", "#b8860b")
POINTS = 620


@dataclass
class Panel:
    """One picture below the other: lines by their names."""

    title: str
    lines: dict[str, list[float]]


def drawing(title: str, seconds: list[float], panels: list[Panel]) -> str:
    """Return the whole SVG; seconds are those of every line's points."""
    height = 30 + HEIGHT * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        f'font-size="11"><rect width="{WIDTH}" height="{height}" fill="white"/>'
        f'<text x="12" y="20" font-size="14">{escape(title)}</text>'
    ]
    for place, panel in enumerate(panels):
        parts.append(f'<g transform="translate(0 {30 + HEIGHT * place})">{"".join(_panel(seconds, panel))}</g>')
    return "\n".join(parts) + "\n</svg>\n"


def _panel(seconds: list[float], panel: Panel) -> Iterator[str]:
    x_axis = axis(seconds, ticks=6)
    y_axis = axis((y for line in panel.lines.values() for y in line), ticks=4, with_zero=True, round_ends=True)
    yield f'<text x="12" y="18" font-weight="bold">{escape(panel.title)}</text>'
    for tick in y_axis.ticks:
        y = _y(y_axis.share(tick))
        yield f'<line x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{y_axis.label(tick)}</text>'
    for tick in x_axis.ticks:
        x = LEFT + x_axis.share(tick) * (RIGHT - LEFT)
        yield f'<text x="{x:.1f}" y="{BOTTOM + 16}" text-anchor="middle">{x_axis.label(tick)} s</text>'
    for place, (name, line) in enumerate(panel.lines.items()):
        colour = COLOURS[place % len(COLOURS)]
        every = max(1, len(line) // POINTS)
        points = " ".join(
            f"{LEFT + x_axis.share(x) * (RIGHT - LEFT):.1f},{_y(y_axis.share(y)):.1f}"
            for x, y in list(zip(seconds, line, strict=True))[::every]
        )
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4"/>'
        yield f'<text x="{RIGHT + 10}" y="{TOP + 10 + 15 * place}" fill="{colour}">{escape(name)}</text>'


def _y(share: float) -> float:
    return BOTTOM - share * (BOTTOM - TOP)
