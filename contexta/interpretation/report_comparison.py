"""The reports of runs side by side: of two, and of several."""

from __future__ import annotations

from collections.abc import Sequence

from .comparison import differs, is_one_sided, origin_rows
from .findings import (
    Chart,
    ChartLine,
    CompletenessNote,
    MetricDelta,
    MultiRunComparison,
    MultiRunMetricRow,
    ReportDocument,
    ReportSection,
    RunComparison,
)
from .report_parts import MAX_CHARTS, Row, SectionParts, notes_parts
from .report_text import counted, escaped

MAX_RUN_COLUMNS = 12
MAX_DELTA_BARS = 12

_INFINITY = float("inf")


def comparison_report(comparison: RunComparison, *, curves: Sequence[Chart] = ()) -> ReportDocument:
    """Return the report of two runs. curves: charts with a line for each of them."""
    sections = [
        _summary(comparison, curves),
        _stages(comparison),
        _metrics(comparison),
        _artifacts(comparison),
        notes_parts(_all_notes(comparison), nothing="Nothing is known to be missing on either side.").section(),
    ]
    if comparison.provenance_comparison:
        parts = SectionParts("Provenance", "What the two runs were made from, where it differs.")
        parts.table(("what", "left", "right"), origin_rows(comparison.provenance_comparison))
        sections.append(parts.section())
    title = f"Run Comparison Report: {comparison.left_run_id} vs {comparison.right_run_id}"
    return ReportDocument(title=title, sections=tuple(sections))


def multi_run_report(comparison: MultiRunComparison) -> ReportDocument:
    """Return the report of several runs."""
    count = len(comparison.run_ids)
    summary = SectionParts(
        "Summary",
        escaped(comparison.summary) or f"{counted(count, 'run')} side by side.",
        evidence=comparison.evidence_links,
    )
    best = _times_best(comparison)
    names = zip(comparison.run_ids, comparison.run_names, strict=True)
    rows = [(name, run_id, best.get(run_id, 0)) for run_id, name in names]
    summary.table(("name", "run", "best in metrics"), rows, title="Runs")
    nothing = "Nothing is known to be missing in any of them."
    sections = (
        summary.section(),
        _metric_table(comparison),
        _artifact_counts(comparison),
        notes_parts(comparison.completeness_notes, nothing=nothing).section(),
    )
    return ReportDocument(title=f"Multi Run Report: {count} runs", sections=sections)


def _all_notes(comparison: RunComparison) -> tuple[CompletenessNote, ...]:
    of_stages = tuple(note for stage in comparison.stage_comparisons for note in stage.completeness_notes)
    return comparison.completeness_notes + tuple(
        note for note in of_stages if note not in comparison.completeness_notes
    )


def _summary(comparison: RunComparison, curves: Sequence[Chart]) -> ReportSection:
    stages = comparison.stage_comparisons
    both = sum(1 for stage in stages if stage.left_stage_id and stage.right_stage_id)
    deltas = [delta for stage in stages for delta in stage.metric_deltas]
    moved = sum(1 for delta in deltas if differs(delta) and not is_one_sided(delta))
    artifacts = sum(1 for change in comparison.artifact_changes if change.change != "unchanged")
    parts = SectionParts("Summary", escaped(comparison.summary), evidence=comparison.evidence_links)
    parts.properties(
        (
            ("left", comparison.left_run_id),
            ("right", comparison.right_run_id),
            ("stages on both sides", both),
            ("stages on one side", len(stages) - both),
            ("metrics", len(deltas)),
            ("metrics that differ", moved),
            ("artifact kinds that differ", artifacts),
        )
    )
    parts.charts(curves)
    return parts.section()


def _stages(comparison: RunComparison) -> ReportSection:
    stages = comparison.stage_comparisons
    parts = SectionParts("Stages", "" if stages else "Neither run has stages.")
    rows: list[Row] = [
        (
            stage.stage_name,
            stage.left_status or "missing",
            stage.right_status or "missing",
            len(stage.metric_deltas),
        )
        for stage in stages
    ]
    parts.table(("stage", "left status", "right status", "metrics"), rows)
    return parts.section()


def _metrics(comparison: RunComparison) -> ReportSection:
    deltas = [
        (delta.stage_name or stage.stage_name, delta)
        for stage in comparison.stage_comparisons
        for delta in stage.metric_deltas
    ]
    parts = SectionParts(
        "Metrics",
        "The newest values; `delta` is right less left, `change` is delta in percent of left."
        if deltas
        else "Neither run has metrics.",
    )
    rows = [
        (
            delta.metric_key, stage, delta.unit or "", delta.left_value, delta.right_value, delta.delta,
            None if delta.change_ratio is None else delta.change_ratio * 100,
        )
        for stage, delta in deltas
    ]  # fmt: skip
    parts.table(("metric", "stage", "unit", "left", "right", "delta", "change (%)"), rows)
    parts.charts(_change_chart(deltas))
    return parts.section()


def _change_chart(deltas: Sequence[tuple[str, MetricDelta]]) -> list[Chart]:
    """Return the largest changes as bars; none where nothing changed."""
    changed = [
        (f"{delta.metric_key} ({stage})" if stage else delta.metric_key, delta.change_ratio * 100)
        for stage, delta in deltas
        if delta.change_ratio and abs(delta.change_ratio) < _INFINITY
    ]
    if not changed:
        return []
    largest = sorted(changed, key=lambda pair: abs(pair[1]), reverse=True)[:MAX_DELTA_BARS]
    line = ChartLine(name="change", x=tuple(map(float, range(len(largest)))), y=tuple(change for _, change in largest))
    labels = tuple(name for name, _ in largest)
    title = "Largest changes" if len(changed) > len(largest) else "Changes"
    return [Chart(title=title, kind="bar", lines=(line,), y_title="change from left, %", x_labels=labels)]


def _artifacts(comparison: RunComparison) -> ReportSection:
    changes = comparison.artifact_changes
    parts = SectionParts("Artifacts", "" if changes else "Neither run has artifacts.")
    rows: list[Row] = [
        (change.artifact_kind, change.change, change.left_ref, change.right_ref, change.change_detail)
        for change in changes
    ]
    parts.table(("kind", "change", "left", "right", "detail"), rows)
    return parts.section()


def _times_best(comparison: MultiRunComparison) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in comparison.metric_table:
        if row.best_run_id is not None:
            counts[row.best_run_id] = counts.get(row.best_run_id, 0) + 1
    return counts


def _metric_table(comparison: MultiRunComparison) -> ReportSection:
    table = comparison.metric_table
    parts = SectionParts("Metrics", "" if table else "None of the runs has metrics.")
    names = dict(zip(comparison.run_ids, comparison.run_names, strict=True))
    if len(names) <= MAX_RUN_COLUMNS:
        wide: list[Row] = [
            (
                row.metric_key,
                row.stage_name or "",
                *(row.values.get(run) for run in names),
                _name(names, row.best_run_id),
            )
            for row in table
        ]
        parts.table(("metric", "stage", *names.values(), "best"), wide)
    else:  # more runs than columns that fit on a page: a row for each value
        long: list[Row] = [
            (row.metric_key, row.stage_name or "", name, row.values.get(run), "yes" if run == row.best_run_id else "")
            for row in table
            for run, name in names.items()
        ]
        parts.table(("metric", "stage", "run name", "value", "best"), long)
    parts.charts(_run_chart(row, names) for row in table[:MAX_CHARTS])
    return parts.section()


def _run_chart(row: MultiRunMetricRow, names: dict[str, str]) -> Chart:
    title = f"{row.metric_key} ({row.stage_name})" if row.stage_name else row.metric_key
    places = tuple(map(float, range(len(names))))
    line = ChartLine(name=row.metric_key, x=places, y=tuple(row.values.get(run) for run in names))
    kind = "bar" if len(names) <= MAX_RUN_COLUMNS else "line"
    return Chart(title=title, kind=kind, lines=(line,), x_title="run", x_labels=tuple(names.values()))


def _name(names: dict[str, str], run_id: str | None) -> str:
    return "" if run_id is None else names.get(run_id, run_id)


def _artifact_counts(comparison: MultiRunComparison) -> ReportSection:
    """Return how many artifacts of each kind each run has; the mapping is by run, then by kind."""
    counts = comparison.artifact_kind_counts
    names = dict(zip(comparison.run_ids, comparison.run_names, strict=True))
    rows: list[Row] = [
        (names.get(run, run), kind, count) for run, kinds in counts.items() for kind, count in kinds.items()
    ]
    parts = SectionParts("Artifacts", "" if rows else "None of the runs has artifacts.")
    parts.table(("run name", "kind", "artifacts"), rows)
    return parts.section()
