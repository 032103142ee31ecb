"""The reports of runs side by side, of projects, trends and alerts, and of what differs between two reports."""

from __future__ import annotations

import math
from dataclasses import replace

from report_facts import diagnostics, run_facts, run_record

from contexta.interpretation import (
    AlertReport,
    AlertResult,
    AlertRule,
    ArtifactChange,
    CompletenessNote,
    MetricDelta,
    MetricTrend,
    MultiRunComparison,
    MultiRunMetricRow,
    ProjectRecord,
    ReportDocument,
    ReportSection,
    RunComparison,
    StageComparison,
    Table,
    TrendPoint,
)
from contexta.interpretation.reports import (
    alert_report,
    compare_documents,
    comparison_report,
    multi_run_report,
    project_report,
    snapshot_report,
    trend_report,
)


def section(document: ReportDocument, title: str) -> ReportSection:
    return next(part for part in document.sections if part.title == title)


def comparison() -> RunComparison:
    deltas = (
        MetricDelta("loss", 2.0, 1.0, -1.0, -0.5, "train"),
        MetricDelta("new", None, 3.0, None, None, "train"),
        MetricDelta("from_zero", 0.0, 3.0, 3.0, math.inf, "train"),
    )
    note = CompletenessNote("warning", "The left run lost a worker.")
    stage = StageComparison("train", "stage:l", "stage:r", "completed", "failed", deltas, (note,))
    change = ArtifactChange("checkpoint", "artifact:l", None, "removed")
    return RunComparison("run:p.left", "run:p.right", "The right run is better.", (stage,), (change,), (note,))


def many(count: int) -> MultiRunComparison:
    runs = tuple(f"run:p.r{number}" for number in range(count))
    row = MultiRunMetricRow("loss", "train", {run: float(n) for n, run in enumerate(runs[1:])}, runs[1])
    counts = {runs[0]: {"checkpoint": 2}}
    return MultiRunComparison(runs, tuple(run[6:] for run in runs), (row,), counts)


def trend(count: int = 3) -> MetricTrend:
    points = (TrendPoint(f"run:p.{n}", f"run-{n}", 0.5 + n, "2025-01-10T09:00:00Z") for n in range(count))
    return MetricTrend("accuracy", "p", tuple(points))


def test_a_comparison_tells_values_deltas_and_changes_and_each_note_once() -> None:
    report = comparison_report(comparison())
    assert report.title == "Run Comparison Report: run:p.left vs run:p.right"
    metrics = section(report, "Metrics")
    assert metrics.tables[0].rows[0] == ("loss", "train", "", 2.0, 1.0, -1.0, -50.0)
    assert metrics.tables[0].rows[1] == ("new", "train", "", None, 3.0, None, None)
    assert metrics.charts[0].x_labels == ("loss (train)",)  # an infinite change has no bar
    assert len(section(report, "Completeness Notes").tables[0].rows) == 1
    assert "Provenance" not in [part.title for part in report.sections]


def test_a_comparison_tells_of_provenance_where_there_is_some() -> None:
    origins = {
        "dataset_ref": {"left": "dataset:a", "right": None},
        "config": {"opt.lr": {"left": 0.1, "right": 0.2}},
        "environment": {"changed_packages": {"numpy": ["1", "2"]}, "removed_packages": {"x": "3"}},
    }
    report = comparison_report(replace(comparison(), provenance_comparison=origins))
    assert section(report, "Provenance").tables[0].rows == (
        ("dataset_ref", "dataset:a", ""), ("config.opt.lr", "0.1", "0.2"),
        ("environment.changed_packages.numpy", "1", "2"), ("environment.removed_packages.x", "3", ""),
    )  # fmt: skip


def test_several_runs_stand_side_by_side_as_columns() -> None:
    report = multi_run_report(many(3))
    assert report.title == "Multi Run Report: 3 runs"
    table = section(report, "Metrics").tables[0]
    assert table.columns == ("metric", "stage", "r0", "r1", "r2", "best")
    assert table.rows == (("loss", "train", None, 0.0, 1.0, "r1"),)
    assert section(report, "Summary").tables[0].rows[1] == ("r1", "run:p.r1", 1)


def test_more_runs_than_fit_as_columns_become_rows() -> None:
    table = section(multi_run_report(many(40)), "Metrics").tables[0]
    assert table.columns == ("metric", "stage", "run name", "value", "best")
    assert table.rows[1] == ("loss", "train", "r1", 0.0, "yes")
    assert len(table.rows) == 40


def test_a_project_report_counts_runs_by_status_and_follows_metrics() -> None:
    project = ProjectRecord("project:p", "p", "2024-01-01T00:00:00Z", "What *it* is for", run_count=300)
    runs = [run_record(), replace(run_record(), status="completed"), run_record()]
    report = project_report(project, runs, run_facts().deployments, [trend(), trend(0)])
    assert report.title == "Project Summary Report: p"
    summary = section(report, "Project Summary")
    assert r"What \*it\* is for" in summary.body
    assert [table.rows for table in summary.tables if table.title == "Runs by status"] == [
        (("failed", 2), ("completed", 1))
    ]
    assert "The first 3 of 300 rows are shown" in section(report, "Runs").body
    assert section(report, "Trends").tables[0].rows == (("accuracy", "(run)", 3, 0.5, 2.5, 2.0),)
    assert len(section(report, "Deployments").tables[0].rows) == 1


def test_a_trend_report_lists_values_and_one_without_values_says_so() -> None:
    report = trend_report(trend())
    assert report.title == "Trend Report: accuracy"
    assert len(section(report, "Values").tables[0].rows) == 3
    assert section(report, "Summary").charts[0].x_labels == ("run-0", "run-1", "run-2")
    assert "No run" in section(trend_report(trend(0)), "Summary").body


def test_each_stage_of_a_trend_is_followed_by_itself() -> None:
    values = {"run:p.a": {None: 1000.0, "evaluate": 100.0}, "run:p.b": {"evaluate": 104.0}}
    points = tuple(
        TrendPoint(run, run[6:], value, "2025-01-10T09:00:00Z", stage)
        for run, stages in values.items()
        for stage, value in stages.items()
    )
    over = MetricTrend("loss", "p", points)
    summary = section(trend_report(over), "Summary")
    moved = [("(run)", 1, 1000.0, 1000.0, 0.0), ("evaluate", 2, 100.0, 104.0, 4.0)]
    (by_stage,) = (table for table in summary.tables if table.title == "By stage")
    assert [row[:5] for row in by_stage.rows] == moved
    (chart,) = summary.charts
    assert chart.x_labels == ("a", "b")
    assert [(line.name, line.x, line.y) for line in chart.lines] == [
        ("(run)", (0.0,), (1000.0,)), ("evaluate", (0.0, 1.0), (100.0, 104.0)),
    ]  # fmt: skip
    report = project_report(ProjectRecord("project:p", "p", "2024-01-01T00:00:00Z"), [], [], [over])
    assert section(report, "Trends").tables[0].rows == tuple(("loss", *row) for row in moved)


def test_a_trend_of_very_many_runs_stays_bounded() -> None:
    report = trend_report(trend(1000))
    assert len(section(report, "Values").tables[0].rows) == 200
    assert len(section(report, "Summary").charts[0].x_labels) == 200


def test_alerts_come_with_the_most_severe_first_and_quiet_rules_apart() -> None:
    def result(severity: str, triggered: bool) -> AlertResult:
        rule = AlertRule("loss", "gt", 1.5, "train", severity, "too high")
        return AlertResult(rule, "run:p.a", math.nan, triggered, "told")

    report = alert_report(AlertReport((result("info", True), result("error", True), result("warning", False))))
    assert report.title == "Alert Report"
    assert [row[:2] for row in section(report, "Alerts").tables[0].rows] == [
        ("error", "too high: loss > 1.5 in train"),
        ("info", "too high: loss > 1.5 in train"),
    ]
    assert len(section(report, "Quiet Rules").tables[0].rows) == 1
    assert "No rule was checked." in section(alert_report(AlertReport(())), "Summary").body


def test_a_report_compared_with_itself_agrees_even_where_it_holds_nan() -> None:
    report = snapshot_report(run_facts(), diagnostics())
    compared = compare_documents(report, report)
    assert compared.title == f"Report Comparison: {report.title} vs {report.title}"
    assert [part.title for part in compared.sections] == ["Summary"]
    assert "The reports agree." in compared.sections[0].body


def test_differences_are_told_by_section_row_property_and_sentence() -> None:
    left = ReportDocument(
        "L",
        (
            ReportSection("Run", "Same.\n\nOld.", tables=(Table(("property", "value"), (("a", 1), ("b", 2))),)),
            ReportSection("Rows", "", tables=(Table(("k", "v"), (("x", 1), ("x", 1))),)),
            ReportSection("Gone", ""),
        ),
    )
    right = ReportDocument(
        "R",
        (
            ReportSection("Run", "Same.\n\nNew.", tables=(Table(("property", "value"), (("a", 1), ("b", 3))),)),
            ReportSection("Rows", "", tables=(Table(("k", "v"), (("x", 1),)),)),
            ReportSection("Come", "", tables=(Table(("k",), (("y",),)),)),
        ),
    )
    report = compare_documents(left, right)
    overview = next(table for table in report.sections[0].tables if table.title == "Sections")
    assert overview.rows == (
        ("Run", "changed", 1, 1),
        ("Rows", "changed", 1, 0),
        ("Gone", "removed", 0, 0),
        ("Come", "added", 0, 1),
    )
    run = section(report, "Run")
    assert run.body == "- left: Old.\n- right: New."
    assert run.tables[0] == Table(("property", "left", "right"), (("b", 2, 3),))
    assert section(report, "Rows").tables[0].rows == (("left", "x", 1),)
    assert section(report, "Come").tables[0].rows == (("right", "y"),)
