"""What the sections of all reports are made of: bounded tables, tables of properties, completeness notes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from .findings import Chart, CompletenessNote, EvidenceLink, ReportSection, Table
from .report_text import counted, pairs_text, value_text

MAX_ROWS = 200
MAX_CHARTS = 6
PROPERTIES = ("property", "value")
SEVERITIES = ("error", "warning", "info")

Cell = str | float | int | None
Row = tuple[Cell, ...]


class SectionParts:
    """Gathers a section: sentences, tables cut at MAX_ROWS rows (with a sentence that says so) and charts."""

    __slots__ = ("_charts", "_evidence", "_paragraphs", "_tables", "_title")

    def __init__(self, title: str, *paragraphs: str, evidence: Iterable[EvidenceLink] = ()) -> None:
        self._title = title
        self._paragraphs = [text for text in paragraphs if text]
        self._tables: list[Table] = []
        self._charts: list[Chart] = []
        self._evidence = tuple(evidence)

    def say(self, text: str) -> None:
        """Add a paragraph of Markdown; user text in it is escaped by the caller."""
        if text:
            self._paragraphs.append(text)

    def table(self, columns: Sequence[str], rows: Sequence[Row], *, title: str = "", total: int | None = None) -> None:
        """Add a table, none for no rows. total: how many rows there are in all, where `rows` was cut before."""
        if not rows:
            return
        there = max(total or 0, len(rows))
        shown = tuple(islice(rows, MAX_ROWS))
        self._tables.append(Table(columns=tuple(columns), rows=shown, title=title))
        if there > len(shown):
            of_what = f" of the table {title}" if title else ""
            self.say(
                f"The first {len(shown)} of {there:,} rows{of_what} are shown; {there - len(shown):,} more are not."
            )

    def properties(self, pairs: Iterable[tuple[str, Cell]], *, title: str = "") -> None:
        """Add a table of properties; those without a value are left out."""
        self.table(PROPERTIES, [pair for pair in pairs if pair[1] is not None and pair[1] != ""], title=title)

    def mapping(self, values: Mapping[str, Any] | None, *, title: str, name: str = "name") -> None:
        """Add a table of a user's names and values, such as tags."""
        self.table((name, "value"), [(str(key), _cell(value)) for key, value in (values or {}).items()], title=title)

    def charts(self, charts: Iterable[Chart]) -> None:
        """Add charts."""
        self._charts.extend(charts)

    def section(self) -> ReportSection:
        """Return what was gathered."""
        return ReportSection(
            title=self._title,
            body="\n\n".join(self._paragraphs),
            evidence_links=self._evidence,
            tables=tuple(self._tables),
            charts=tuple(self._charts),
        )


def notes_parts(
    notes: Sequence[CompletenessNote], *, nothing: str = "", evidence: Iterable[EvidenceLink] = ()
) -> SectionParts:
    """Return the section Completeness Notes; `nothing` is what it says where there are no notes."""
    said = f"{counted(len(notes), 'note')} on what could not be taken into account." if notes else nothing
    parts = SectionParts("Completeness Notes", said, evidence=evidence)
    rows = [(note.severity, note.summary, pairs_text(note.details)) for note in sorted(notes, key=severity_order)]
    parts.table(("severity", "summary", "details"), rows)
    return parts


def severity_order(finding: Any) -> int:
    """Sort key of what has a severity: errors first, unknown words last."""
    return SEVERITIES.index(finding.severity) if finding.severity in SEVERITIES else len(SEVERITIES)


def _cell(value: Any) -> Cell:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return value_text(value)
