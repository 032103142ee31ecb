"""The report of a run, built from made-up facts."""

from __future__ import annotations

import math

import pytest
from report_facts import HOSTILE, RUN, curves, diagnostics, run_facts, run_record, summary

from contexta.interpretation import DiagnosticsResult, ReportDocument, ReportSection, RunFacts, Table
from contexta.interpretation.report_text import duration_text, escaped, number_text, seconds_between
from contexta.interpretation.reports import snapshot_report

SECTIONS = [
    "Run Summary",
    "Stages",
    "Artifacts",
    "Batches",
    "Deployments",
    "Samples",
    "Diagnostics",
    "Completeness Notes",
]


def section(document: ReportDocument, title: str) -> ReportSection:
    return next(section for section in document.sections if section.title == title)


def table(part: ReportSection, title: str = "") -> Table:
    return next(table for table in part.tables if table.title == title)


def test_a_snapshot_report_has_its_sections_in_order_and_provenance_only_where_there_is_any() -> None:
    full = snapshot_report(run_facts(), diagnostics())
    assert full.title == f"Run Snapshot Report: {RUN}"
    assert [part.title for part in full.sections] == [*SECTIONS, "Provenance"]
    without = snapshot_report(run_facts(provenance=False), diagnostics())
    assert [part.title for part in without.sections] == SECTIONS


def test_a_run_without_anything_still_has_all_sections_each_saying_so() -> None:
    report = snapshot_report(RunFacts(run=run_record()), DiagnosticsResult(run_id=RUN, issues=()))
    assert [part.title for part in report.sections] == SECTIONS
    assert all(part.body for part in report.sections)
    assert "Nothing is known to be missing." in section(report, "Completeness Notes").body
    assert "No issues were found." in section(report, "Diagnostics").body


def test_the_summary_puts_ranks_together_each_weighing_as_many_points_as_it_has() -> None:
    facts = RunFacts(
        run=run_record(),
        summaries=(
            summary("loss", rank=0, count=3, mean=1.0, std=0.0, min=1.0, max=1.0, last=5.0),
            summary("loss", rank=1, count=1, mean=5.0, std=0.0, min=5.0, max=5.0, last=5.0),
        ),
    )
    report = snapshot_report(facts, diagnostics())
    metrics = table(section(report, "Run Summary"), "Metrics")
    row = dict(zip(metrics.columns, metrics.rows[0], strict=True))
    assert (row["ranks"], row["points"], row["min"], row["max"], row["mean"]) == (2, 4, 1.0, 5.0, 2.0)
    assert row["std"] == pytest.approx(math.sqrt(3))


def test_a_metric_of_several_ranks_has_a_chart_and_the_one_that_lies_furthest_apart_comes_first() -> None:
    charts = section(snapshot_report(run_facts(), diagnostics(), curves=curves()), "Run Summary").charts
    assert [chart.title for chart in charts] == [
        "loss",
        f"learning_rate {HOSTILE[3]}",
        "step_time by rank (train)",
        "loss by rank (train)",
    ]
    assert charts[2].lines[0].y[5] == 0.391
    assert charts[2].x_labels == tuple(map(str, range(8)))


def test_a_value_that_is_not_finite_stays_one_in_the_table() -> None:
    metrics = table(section(snapshot_report(run_facts(), diagnostics()), "Run Summary"), "Metrics")
    last = {row[0]: row[metrics.columns.index("last")] for row in metrics.rows}
    assert math.isnan(last["loss"])  # type: ignore[arg-type]
    assert last[HOSTILE[0]] == math.inf


def test_a_table_holds_at_most_200_rows_and_says_how_many_more_there_are() -> None:
    batches = section(snapshot_report(run_facts(batches=1000), diagnostics()), "Batches")
    assert len(batches.tables[0].rows) == 200
    assert "The first 200 of 90,000 rows are shown; 89,800 more are not." in batches.body


def test_issues_and_notes_come_with_the_worst_first() -> None:
    report = snapshot_report(run_facts(), diagnostics())
    assert [row[0] for row in section(report, "Diagnostics").tables[0].rows] == ["error", "warning", "info"]
    notes = section(report, "Completeness Notes")
    assert table(notes, "Not kept").rows == (("spool_full", 12),)
    assert table(notes, "Degraded records").rows[0][0] == "capture.gap"


def test_every_row_is_as_long_as_its_columns() -> None:
    for part in snapshot_report(run_facts(), diagnostics()).sections:
        for shown in part.tables:
            assert {len(row) for row in shown.rows} == {len(shown.columns)}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("val_loss", "val_loss"),
        ("__init__", r"\_\_init\_\_"),
        ("a|b*c`d<e>", r"a\|b\*c\`d\<e\>"),
        ("two\r\nlines", "two lines"),
        ("back\\slash [link](x)", r"back\\slash \[link\](x)"),
    ],
)
def test_user_text_is_escaped_for_markdown(text: str, shown: str) -> None:
    assert escaped(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        (0.1234567891, "0.123457"),
        (1e300, "1e+300"),
        (12_345_678_901, "12345678901"),
    ],
)
def test_numbers_read_to_six_digits_and_whole_ones_exactly(value: float, shown: str) -> None:
    assert number_text(value) == shown


def test_a_whole_number_of_thousands_of_digits_reads_in_hexadecimal() -> None:
    assert number_text(1 << 20_000) == hex(1 << 20_000)


def test_durations_read_as_people_say_them() -> None:
    assert [duration_text(seconds) for seconds in (0.25, 65, 12_007.5, 187_200)] == [
        "0.25 s",
        "1 min 5 s",
        "3 h 20 min",
        "2 d 4 h",
    ]
    assert seconds_between("2025-01-10T09:00:00Z", "2025-01-10T09:00:00.5Z") == 0.5
    assert seconds_between("2025-01-10T09:00:00Z", None) is None
    assert seconds_between("no time", "2025-01-10T09:00:00Z") is None
