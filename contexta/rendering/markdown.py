"""Reports as Markdown (GitHub's, for its tables). Charts become tables with a line of block characters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from .._plain_text import plain_lines
from ..interpretation.findings import Chart, ChartLine, EvidenceLink, ReportDocument, ReportSection, Table
from ..interpretation.report_text import escaped, number_text
from .wellformed import shortened, well_formed

MAX_LINES = 24
MAX_EVIDENCE = 50
SPARK_WIDTH = 32

_BLOCKS = "▁▂▃▄▅▆▇█"
_INFINITY = float("inf")


def to_markdown(document: ReportDocument) -> str:
    """Return a report as Markdown; user text in titles and tables is escaped."""
    blocks = [f"# {escaped(document.title)}"]
    for section in document.sections:
        blocks.extend(_section_blocks(section))
    return well_formed(plain_lines("\n\n".join(blocks) + "\n"))  # it is read in terminals too


def _section_blocks(section: ReportSection) -> Iterator[str]:
    yield f"## {escaped(section.title)}"
    if section.body:
        yield section.body
    for table in section.tables:
        if table.title:
            yield f"### {escaped(table.title)}"
        yield _table(table)
    for chart in section.charts:
        yield f"### {escaped(chart.title)}"
        yield _chart(chart)
    if section.evidence_links:
        yield "Evidence:"
        yield "\n".join(_evidence(section.evidence_links))


def _table(table: Table) -> str:
    numeric = [_is_numeric(row[place] for row in table.rows) for place in range(len(table.columns))]
    head = _row(escaped(column) for column in table.columns)
    rule = _row("---:" if right else "---" for right in numeric)
    return "\n".join([head, rule, *(_row(_cell(cell) for cell in row) for row in table.rows)])


def _is_numeric(cells: Iterable[object]) -> bool:
    there = [cell for cell in cells if cell is not None]
    return bool(there) and all(isinstance(cell, int | float) for cell in there)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(value: str | float | int | None) -> str:
    if value is None:
        return ""
    return escaped(shortened(value)) if isinstance(value, str) else number_text(value)


def _chart(chart: Chart) -> str:
    rows = [_row(("line", "points", "first", "last", "min", "max", "shape"))]
    rows.append(_row(("---", "---:", "---:", "---:", "---:", "---:", "---")))
    rows.extend(_chart_row(line) for line in chart.lines[:MAX_LINES])
    text = "\n".join(rows)
    more = len(chart.lines) - MAX_LINES
    return f"{text}\n\n{more} more lines are not shown." if more > 0 else text


def _chart_row(line: ChartLine) -> str:
    there = [value for value in line.y if value is not None]
    finite = [value for value in there if -_INFINITY < value < _INFINITY]
    ends = [number_text(there[0]), number_text(there[-1])] if there else ["", ""]
    bounds = [number_text(min(finite)), number_text(max(finite))] if finite else ["", ""]
    return _row((escaped(shortened(line.name)), str(len(line.y)), *ends, *bounds, _sparkline(line.y)))


def _sparkline(values: Sequence[float | None]) -> str:
    """Return at most SPARK_WIDTH block characters, each the newest value of its part; a space for a gap."""
    width = min(SPARK_WIDTH, len(values))
    shown = [values[(place + 1) * len(values) // width - 1] for place in range(width)]
    finite = [value for value in shown if value is not None and -_INFINITY < value < _INFINITY]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    span = high / 2 - low / 2  # halves: the whole of it may be larger than any float
    text = ""
    for value in shown:
        if value is None or not -_INFINITY < value < _INFINITY:
            text += " "
        else:
            text += _BLOCKS[round((value / 2 - low / 2) / span * (len(_BLOCKS) - 1)) if span else 0]
    return text


def _evidence(links: Sequence[EvidenceLink]) -> Iterator[str]:
    for link in links[:MAX_EVIDENCE]:
        label = f" ({escaped(shortened(link.label))})" if link.label else ""
        yield f"- {escaped(link.kind)}: {escaped(shortened(link.ref))}{label}"
    if len(links) > MAX_EVIDENCE:
        yield f"- and {len(links) - MAX_EVIDENCE} more"
