"""Reports for programs: strict JSON, and CSV that a spreadsheet cannot be tricked with. Numbers are exact."""

from __future__ import annotations

import csv
import io

from ..contract.json_text import dumps, float_text, jsonable
from ..interpretation.findings import ReportDocument
from .wellformed import well_formed

_INFINITY = float("inf")
# What spreadsheets take for the start of a formula; they skip blanks before it, and tabs and line ends are cut away.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


def to_json(document: ReportDocument) -> str:
    """Return a report as one line of JSON; numbers that are not finite are the texts NaN, Infinity, -Infinity."""
    return dumps(document.to_dict()) + "\n"


def to_csv(document: ReportDocument) -> str:
    """Return the tables of a report as CSV (RFC 4180), one after another with an empty line between them.

    Each has a line of names, the first two of them `section` and `table`. A report without tables is that line
    alone. A text that a spreadsheet would take for a formula has an apostrophe put before it.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    first = True
    for section in document.sections:
        for table in section.tables:
            if not first:
                out.write("\r\n")
            first = False
            writer.writerow(["section", "table", *map(csv_cell, table.columns)])
            place = (csv_cell(section.title), csv_cell(table.title))
            writer.writerows([*place, *map(csv_cell, row)] for row in table.rows)
    if first:
        writer.writerow(["section", "table"])
    return well_formed(out.getvalue())


def csv_cell(value: str | float | int | None) -> str:
    """Return a cell of a CSV file: numbers exactly, None empty, and no text that a spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, float):
        return repr(float(value)) if -_INFINITY < value < _INFINITY else float_text(value)
    if isinstance(value, int):
        return str(jsonable(value))
    text = value.replace("\0", "\ufffd")  # some readers take it for the end of the file
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA_STARTS) else text
