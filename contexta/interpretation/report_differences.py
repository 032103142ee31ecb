"""What differs between two reports: sections, rows of tables, sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .findings import ReportDocument, ReportSection, Table
from .report_parts import PROPERTIES, Cell, Row, SectionParts
from .report_text import counted, value_text

_EMPTY = ReportSection(title="", body="")


def compare_documents(left: ReportDocument, right: ReportDocument) -> ReportDocument:
    """Return what differs: a summary of all sections, then a section for each one that is not the same."""
    pairs = _paired(left.sections, right.sections)
    overview: list[Row] = []
    details: list[ReportSection] = []
    for title, before, after in pairs:
        differences = [
            _table_difference(one, other) for one, other in _paired_tables(before or _EMPTY, after or _EMPTY)
        ]
        only_left = sum(difference.only_left for difference in differences)
        only_right = sum(difference.only_right for difference in differences)
        sentences = _sentences(before, after)
        change = _change(before, after, bool(sentences or only_left or only_right))
        overview.append((title, change, only_left, only_right))
        if change != "unchanged":
            details.append(_detail(title, change, sentences, differences))
    summary = _summary(left, right, overview)
    title = f"Report Comparison: {left.title} vs {right.title}"
    return ReportDocument(title=title, sections=(summary, *details))


@dataclass(frozen=True, slots=True)
class _Difference:
    """Rows of one table that are not on both sides."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    only_left: int
    only_right: int


def _summary(left: ReportDocument, right: ReportDocument, overview: Sequence[Row]) -> ReportSection:
    differing = sum(1 for row in overview if row[1] != "unchanged")
    said = f"**{counted(differing, 'section')}** of {len(overview)} differ." if differing else "The reports agree."
    parts = SectionParts("Summary", said)
    parts.properties((("left", left.title), ("right", right.title)))
    parts.table(("section", "change", "rows only left", "rows only right"), overview, title="Sections")
    return parts.section()


def _detail(title: str, change: str, sentences: Sequence[str], differences: Sequence[_Difference]) -> ReportSection:
    where = {"added": "Only the right report has this section.", "removed": "Only the left report has this section."}
    parts = SectionParts(title, where.get(change, ""), "\n".join(f"- {sentence}" for sentence in sentences))
    for difference in differences:
        parts.table(difference.columns, difference.rows, title=difference.title)
    return parts.section()


def _change(before: ReportSection | None, after: ReportSection | None, differs: bool) -> str:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    return "changed" if differs else "unchanged"


def _paired(
    left: Sequence[ReportSection], right: Sequence[ReportSection]
) -> list[tuple[str, ReportSection | None, ReportSection | None]]:
    """Return the sections by title, the left's in their order, then those that only the right has."""
    before, after = dict(_numbered(left)), dict(_numbered(right))
    keys = [*before, *(key for key in after if key not in before)]
    return [(key[0], before.get(key), after.get(key)) for key in keys]


def _numbered(sections: Sequence[ReportSection]) -> Iterator[tuple[tuple[str, int], ReportSection]]:
    seen: Counter[str] = Counter()
    for section in sections:
        yield (section.title, seen[section.title]), section
        seen[section.title] += 1


def _paired_tables(left: ReportSection, right: ReportSection) -> list[tuple[Table, Table]]:
    """Return the tables of the same title and columns side by side; an empty one where a side has none."""

    def keyed(section: ReportSection) -> dict[tuple[str, tuple[str, ...], int], Table]:
        seen: Counter[tuple[str, tuple[str, ...]]] = Counter()
        tables = {}
        for table in section.tables:
            kind = (table.title, table.columns)
            tables[*kind, seen[kind]] = table
            seen[kind] += 1
        return tables

    before, after = keyed(left), keyed(right)
    keys = [*before, *(key for key in after if key not in before)]
    return [(before.get(key, Table(key[1], (), key[0])), after.get(key, Table(key[1], (), key[0]))) for key in keys]


def _table_difference(left: Table, right: Table) -> _Difference:
    only_left, only_right = _missing(left.rows, right.rows), _missing(right.rows, left.rows)
    rows: list[Row]
    if left.columns == PROPERTIES:
        columns: tuple[str, ...] = ("property", "left", "right")
        before, after = dict(map(_pair, only_left)), dict(map(_pair, only_right))
        rows = [(name, before.get(name), after.get(name)) for name in dict.fromkeys((*before, *after))]
    else:
        columns = ("side", *left.columns)
        rows = [("left", *row) for row in only_left] + [("right", *row) for row in only_right]
    return _Difference(left.title, columns, tuple(rows), len(only_left), len(only_right))


def _missing(rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    """Return the rows that the others lack, each as often as it is lacking; NaN is the same as NaN."""
    there = Counter(map(_key, others))
    missing = []
    for row in rows:
        key = _key(row)
        if there[key]:
            there[key] -= 1
        else:
            missing.append(row)
    return missing


def _key(row: Row) -> tuple[tuple[bool, str], ...]:
    return tuple((isinstance(cell, str), repr(cell) if isinstance(cell, float) else value_text(cell)) for cell in row)


def _pair(row: Row) -> tuple[Cell, Cell]:
    return row[0], row[1]


def _sentences(left: ReportSection | None, right: ReportSection | None) -> list[str]:
    """Return the lines of the bodies that are only on one side; bodies are Markdown already, and stay it."""
    before, after = _lines(left), _lines(right)
    return [
        *(f"left: {line}" for line in before if line not in after),
        *(f"right: {line}" for line in after if line not in before),
    ]


def _lines(section: ReportSection | None) -> list[str]:
    body = section.body if section else ""
    return [line.removeprefix("- ") for line in body.splitlines() if line.strip()]
