"""The page that the demo leaves: loss curves by run and worker as inline SVG, and a table; no other files needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

COLOURS = ("#2f6fed", "#e4572e", "#17a673", "#a347ba")  # one a rank
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 460, 240, 44, 28, 12
WINDOW = 8  # steps averaged, so that SGD's noise does not hide the course

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #6b7686; --line: #dfe4ea; --card: #fff; --page: #f5f7fa }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8ecf2; --dim: #94a0b0; --line: #313a47; --card: #1b222c; --page: #12171e } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  margin: 0 auto; max-width: 1080px; padding: 40px 24px }
h1 { font-size: 26px; margin: 0 } h2 { font-size: 17px; margin: 0 0 8px } p { color: var(--dim); margin: 4px 0 24px }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(440px, 1fr)); gap: 18px }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 18px }
svg { width: 100%; height: auto } text { fill: var(--dim); font-size: 11px }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 3px; margin: 0 5px 0 14px }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { text-align: right; padding: 6px 12px; border-bottom: 1px solid var(--line) }
th { color: var(--dim); font-weight: 600 } th:first-child, td:first-child { text-align: left }
.best { font-weight: 700; color: #17a673 }
"""


@dataclass(frozen=True, slots=True)
class Curve:
    """The values of one worker in one run, by step."""

    run: str
    rank: int
    steps: list[int]
    values: list[float]

    def smooth(self) -> list[float]:
        """Each value averaged with up to WINDOW - 1 before it."""
        parts = (self.values[max(0, at - WINDOW + 1) : at + 1] for at in range(len(self.values)))
        return [sum(part) / len(part) for part in parts]

    def last(self) -> float:
        """Mean of the last 20 values."""
        tail = self.values[-20:]
        return sum(tail) / len(tail)


def chart(curves: Sequence[Curve], *, top: float) -> str:
    """Return an SVG of the curves of one run; `top` is the value at the upper end of the axis."""
    last_step = max((curve.steps[-1] for curve in curves), default=1) or 1
    across, up = WIDTH - LEFT - 8, HEIGHT - BOTTOM - TOP
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="loss by step">']
    for tick in range(5):
        y = TOP + up * tick / 4
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - 8}" y1="{y:.1f}" y2="{y:.1f}" stroke="var(--line)"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top * (4 - tick) / 4:.2f}</text>')
        x = LEFT + across * tick / 4
        label = f"{last_step * tick // 4}"
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{label}</text>')
    for curve in curves:
        points = " ".join(
            f"{LEFT + across * step / last_step:.1f},{TOP + up * (1 - min(value, top) / top):.1f}"
            for step, value in zip(curve.steps, curve.smooth(), strict=True)
        )
        colour = COLOURS[curve.rank % len(COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
    return "".join([*parts, "</svg>"])


def write_report(
    path: Path, project: str, curves: Sequence[Curve], rows: Sequence[tuple[str, int, float, float, float]]
) -> None:
    """Write the page. rows: (run, rank, loss, accuracy, test accuracy)."""
    top = max((max(curve.smooth()) for curve in curves), default=1.0) or 1.0
    names = list(dict.fromkeys(curve.run for curve in curves))
    ranks = sorted({curve.rank for curve in curves})
    keys = "".join(f'<span class="key" style="background:{COLOURS[r % len(COLOURS)]}"></span>rank {r}' for r in ranks)
    cards = "".join(
        f'<div class="card"><h2>{escape(name)}</h2>{chart([c for c in curves if c.run == name], top=top)}</div>'
        for name in names
    )
    best = max((row[4] for row in rows), default=0.0)
    lines = "".join(
        f"<tr><td>{escape(name)}</td><td>{rank}</td><td>{loss:.4f}</td><td>{accuracy:.3f}</td>"
        f"<td{' class=best' if tested == best else ''}>{tested:.3f}</td></tr>"
        for name, rank, loss, accuracy, tested in rows
    )
    points = sum(len(curve.steps) for curve in curves)
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(project)}</title><style>{STYLE}</style></head><body>
<h1>{escape(project)}</h1>
<p>{len(names)} runs, {len(ranks)} workers each, {points:,} loss values. Loss by step, mean of {WINDOW} steps.{keys}</p>
<div class="grid">{cards}
<div class="card"><h2>At the end</h2><table><tr><th>run</th><th>rank</th><th>loss</th><th>accuracy</th>
<th>test accuracy</th></tr>{lines}</table></div></div></body></html>
"""
    path.write_text(page, encoding="utf-8")
