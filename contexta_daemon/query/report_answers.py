"""Reports: the facts, findings and curves that they are made of, put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from contexta.errors import NotFoundError, ValidationError
from contexta.interpretation import (
    Chart,
    ChartLine,
    DeploymentRecord,
    MetricTrend,
    ProjectRecord,
    ReportDocument,
    RunFacts,
    SeriesSummary,
)
from contexta.interpretation.comparison import compare_multiple_runs, compare_runs
from contexta.interpretation.diagnosis import diagnose_run
from contexta.interpretation.downsample import downsample
from contexta.interpretation.fleet import metric_trend
from contexta.interpretation.messages import from_message, to_message
from contexta.interpretation.reports import (
    alert_report,
    comparison_report,
    multi_run_report,
    project_report,
    snapshot_report,
    trend_report,
)
from contexta.interpretation.run_names import told_apart
from contexta.rendering import to_csv, to_html, to_json, to_markdown
from contexta.v1 import query_pb2 as pb
from contexta_daemon.catalog.tally import NO_RANK

from .finding import component_of, find_run
from .fleet_answers import make_alerts, make_trend, series_of, which_runs
from .run_answers import runs_to_compare
from .series_wanted import SeriesWanted
from .sources import Sources

MAX_CURVES = 8
MAX_LINES = 8  # in one chart
CURVE_POINTS = 400
MAX_TRENDS = 6
RENDERERS = {
    "markdown": (to_markdown, "text/markdown; charset=utf-8"),
    "html": (to_html, "text/html; charset=utf-8"),
    "json": (to_json, "application/json"),
    "csv": (to_csv, "text/csv; charset=utf-8"),
}


def report(sources: Sources, request: pb.BuildReportRequest) -> pb.ReportDocument:
    return to_message(build(sources, request), pb.ReportDocument)


def rendered(sources: Sources, request: pb.RenderReportRequest) -> pb.RenderedReport:
    """Raises ValidationError for an unknown format."""
    if request.format not in RENDERERS:
        raise ValidationError(
            f"format cannot be {request.format!r}; it takes {', '.join(RENDERERS)}.", code="query_invalid"
        )
    document = build(sources, request.report)
    render, content_type = RENDERERS[request.format]
    return pb.RenderedReport(title=document.title, content=render(document), content_type=content_type)


def build(sources: Sources, request: pb.BuildReportRequest) -> ReportDocument:
    """Raises ValidationError for an unknown kind or a wrong number of runs, NotFoundError for what is not there."""
    kind, runs = request.kind, request.run_ids
    if kind == "snapshot":
        _check_count(kind, runs, 1, 1)
        facts = sources.facts(runs[0])
        found = diagnose_run(facts, expected_terminal_stages=sources.expected_terminal_stages)
        return snapshot_report(facts, found, curves=_curves(sources, [facts]))
    if kind == "comparison":
        _check_count(kind, runs, 2, 2)
        left, right = (sources.facts(each, scopes=False, degraded=False) for each in runs)
        return comparison_report(compare_runs(left, right), curves=_curves(sources, [left, right]))
    if kind == "multi_run":
        return multi_run_report(compare_multiple_runs(runs_to_compare(sources, runs)))
    if kind == "project":
        return _project_report(sources, request.project_name)
    if kind == "trend":
        found_trend = make_trend(sources, request.trend)
        if not isinstance(found_trend, MetricTrend):
            raise ValidationError("A trend report is about a metric: kind metric.", code="query_invalid")
        return trend_report(found_trend)
    if kind == "alerts":
        if not runs:
            raise ValidationError("An alert report is about runs: name at least one.", code="query_invalid")
        return alert_report(make_alerts(sources, request.rules, pb.RunsRequest(run_ids=runs)))
    raise ValidationError(
        f"There is no report {kind!r}; there are snapshot, comparison, multi_run, project, trend, alerts.",
        code="query_invalid",
    )


def _check_count(kind: str, runs: Sequence[str], least: int, most: int) -> None:
    if not least <= len(runs) <= most:
        raise ValidationError(f"A {kind} report is about {least} runs; {len(runs)} are named.", code="query_invalid")


def _project_report(sources: Sources, name: str) -> ReportDocument:
    projects = [from_message(each, ProjectRecord) for each in sources.listing.projects().projects]
    ref = name if name.startswith("project:") else f"project:{component_of(name)}"
    project = next((each for each in projects if each.name == name or each.project_ref == ref), None)
    if project is None:
        raise NotFoundError(
            f"There is no project {name!r}; there are {', '.join(each.name for each in projects) or 'none'}."
        )
    component = project.project_ref.removeprefix("project:")
    runs = which_runs(sources, pb.RunsRequest(project_name=component))
    deployments = sources.listing.deployments(pb.ListDeploymentsRequest(project_name=component)).deployments
    series = series_of(sources, runs)
    counted: defaultdict[str, int] = defaultdict(int)
    for summaries in series.values():
        for key in {each.metric_key for each in summaries}:
            counted[key] += 1
    keys = sorted(counted, key=lambda key: (-counted[key], key))[:MAX_TRENDS]
    trends = [metric_trend(key, runs, series, project_name=component) for key in keys]
    dropped = sources.dropped_of(run.run_id for run in runs)
    return project_report(project, runs, [_deployment(each) for each in deployments], trends, dropped=dropped)


def _deployment(message: pb.Deployment) -> DeploymentRecord:
    return from_message(message, DeploymentRecord)


def _curves(sources: Sources, runs: Sequence[RunFacts]) -> list[Chart]:
    """Return the curves that say most: metrics with steps, those that all runs have and with the most points first."""
    places: defaultdict[tuple[str | None, str], list[SeriesSummary]] = defaultdict(list)
    for facts in runs:
        for each in facts.summaries:
            if each.last_step is not None and each.count > 1:
                places[each.stage_name, each.metric_key].append(each)
    order = sorted(
        places, key=lambda p: (-len({each.run_id for each in places[p]}), -sum(each.count for each in places[p]), p[1])
    )
    return [_curve(sources, runs, stage, key, places[stage, key]) for stage, key in order[:MAX_CURVES]]


def _curve(
    sources: Sources, runs: Sequence[RunFacts], stage: str | None, key: str, series: Sequence[SeriesSummary]
) -> Chart:
    title = f"{key} in {stage}" if stage else key
    if len(runs) > 1:
        of_runs = {each.run_id: each for each in series}
        lines = [_mean_line(sources, each, _label(runs, each)) for each in of_runs.values()]
        title += ", mean of ranks" if len(of_runs) < len(series) else ""
    else:
        lines = [
            _line(sources, each, _line_name(runs, each), only_rank=len(series) > 1) for each in series[:MAX_LINES]
        ]
        title += f" ({MAX_LINES} of {len(series)} lines)" if len(series) > MAX_LINES else ""
    unit = next((each.unit for each in series if each.unit), None)
    return Chart(title, "line", tuple(lines), x_title="step", y_title=f"{key} ({unit})" if unit else key)


def _label(runs: Sequence[RunFacts], series: SeriesSummary) -> str:
    return told_apart({each.run.run_id: each.run.name for each in runs})[series.run_id]


def _line_name(runs: Sequence[RunFacts], series: SeriesSummary) -> str:
    return _label(runs, series) + ("" if series.rank is None else f" rank {series.rank}")


def _wanted(sources: Sources, summary: SeriesSummary, rank: int | None = None) -> SeriesWanted:
    """The points of a summary's run, metric and stage, or where it is of none, those of no stage."""
    return SeriesWanted(find_run(sources.connection, summary.run_id), summary.metric_key, summary.stage_id or "", rank)


def _mean_line(sources: Sources, summary: SeriesSummary, name: str) -> ChartLine:
    """One line for all ranks of a run: at each step the mean of their values."""
    steps = np.empty(0, np.int64)
    sums = counts = np.empty(0)
    with np.errstate(all="ignore"):
        for found in sources.series_of_ranks(_wanted(sources, summary)):
            values = found.values[found.has_step]
            steps, place = np.unique(np.concatenate([steps, found.steps[found.has_step]]), return_inverse=True)
            sums = _sum_by(place, np.concatenate([sums, values]))
            counts = _sum_by(place, np.concatenate([counts, np.ones(len(values))]))
        means = sums / counts
    kept = downsample(means, CURVE_POINTS)
    return ChartLine(name, tuple(steps[kept].astype(float).tolist()), tuple(means[kept].tolist()))


def _sum_by(place: npt.NDArray[np.intp], values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.bincount(place.reshape(-1), weights=values).astype(np.float64, copy=False)


def _line(sources: Sources, summary: SeriesSummary, name: str, *, only_rank: bool) -> ChartLine:
    """One line for a series; only_rank: beside others, whose points are not to be in it."""
    rank = NO_RANK if summary.rank is None else summary.rank
    found = sources.series(_wanted(sources, summary, rank if only_rank else None), max_points=CURVE_POINTS)
    steps, values = found.steps[found.has_step].astype(float), found.values[found.has_step]
    return ChartLine(name, tuple(steps.tolist()), tuple(values.tolist()))
