"""Tables of reports in HTML: numbers aligned, statuses as badges, times readable, properties as tiles."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..interpretation.findings import Table
from ..interpretation.report_parts import PROPERTIES
from ..interpretation.report_text import duration_text, number_text
from .html_text import text
from .wellformed import shortened

Cell = str | float | int | None

MAX_UNBROKEN = 24  # characters that stay on one line

_INFINITY = float("inf")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?Z", re.ASCII)

_TONES = {
    "completed": "good", "ended": "good", "unchanged": "quiet", "yes": "good",
    "open": "live", "info": "live", "added": "live", "pending": "live",
    "warning": "warn", "cancelled": "warn", "changed": "warn", "missing": "warn", "ambiguous": "warn",
    "failed": "bad", "error": "bad", "lost": "bad", "removed": "bad", "unreadable": "bad", "empty": "warn",
}  # fmt: skip
_BADGE_COLUMNS = ("status", "left status", "right status", "severity", "change", "problem")
_CODE_COLUMNS = ("run", "left", "right", "artifact", "hash", "location", "code", "subject", "source", "target",
                 "reason", "command", "dataset", "code revision", "git", "details", "metadata")  # fmt: skip


def table_html(table: Table) -> str:
    """Return a table, in a frame that scrolls where it is wider than the page."""
    title = f"<h3>{text(table.title)}</h3>" if table.title else ""
    if table.columns == PROPERTIES:
        return title + _tiles(table)
    columns = [_is_numeric([row[place] for row in table.rows]) for place in range(len(table.columns))]
    head = "".join(
        f'<th scope="col"{_class("num" if numeric else "")}>{text(name)}</th>'
        for name, numeric in zip(table.columns, columns, strict=True)
    )
    rows = "".join(f"<tr>{_cells(row, table.columns, columns)}</tr>" for row in table.rows)
    label = text(table.title or "Table")
    return (
        f'{title}<div class="frame" role="region" aria-label="{label}" tabindex="0">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _cells(row: Sequence[Cell], columns: Sequence[str], numeric: Sequence[bool]) -> str:
    return "".join(
        f"<td{_class('num' if right else _cell_class(cell, name))}>{_content(cell, name)}</td>"
        for cell, name, right in zip(row, columns, numeric, strict=True)
    )


def _tiles(table: Table) -> str:
    tiles = "".join(
        f"<div><dt>{text(name)}</dt><dd{_class(_text_class(str(name)))}>{_content(value, str(name))}</dd></div>"
        for name, value in table.rows
    )
    return f'<dl class="tiles">{tiles}</dl>'


def _content(value: Cell, column: str) -> str:
    if value is None or value == "":
        return '<span class="none">–</span>'
    if not isinstance(value, str):
        return _number(value) + _in_words(value, column)
    if column in _BADGE_COLUMNS and value in _TONES:
        return f'<span class="badge {_TONES[value]}">{text(value)}</span>'
    time = _TIME.fullmatch(value)
    if time:
        return f'<time datetime="{text(value)}" title="{text(value)}">{time[1]} {time[2]}<small> UTC</small></time>'
    return text(shortened(value))


def _number(value: float) -> str:
    """Return a number to 6 digits, the exact one on hovering; one that is not finite stands out."""
    shown = text(number_text(value))
    if isinstance(value, float):
        if not -_INFINITY < value < _INFINITY:
            return f'<span class="badge bad">{shown}</span>'
        if float(shown) != value:
            return f'<span title="{float(value)!r}">{shown}</span>'
    return shown


def _in_words(value: float, column: str) -> str:
    """Return a size or a duration once more, as people say it."""
    if column.endswith("(bytes)") and 1000 <= value < 1e18:
        digits, _, power = f"{value:.2e}".partition("e")  # rounded to three digits before the unit is chosen
        thousands, rest = divmod(int(power), 3)
        return f"<small>{float(digits) * 10**rest:.3g} {'kMGTPE'[thousands - 1]}B</small>"
    if column == "duration (s)" and 60 <= value < 1e12:
        return f"<small>{duration_text(value)}</small>"
    return ""


def _is_numeric(cells: Sequence[Cell]) -> bool:
    there = [cell for cell in cells if cell is not None]
    return bool(there) and all(isinstance(cell, int | float) for cell in there)


def _cell_class(cell: Cell, column: str) -> str:
    short = not isinstance(cell, str) or len(cell) <= MAX_UNBROKEN
    if column == "hash":
        return "code hash"
    return _text_class(column) or ("short" if short else "")


def _text_class(column: str) -> str:
    return "code" if column in _CODE_COLUMNS else ""


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
