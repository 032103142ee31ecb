"""The reports on many runs: a project, a metric over runs, what the alert rules said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import islice

from ..contract.times import parse_ns
from .asking import AlertReport, AlertResult
from .comparison import RUN_LEVEL
from .findings import Chart, ChartLine, ReportDocument, ReportSection
from .observed import DeploymentRecord, ProjectRecord, RunRecord
from .report_parts import MAX_CHARTS, MAX_ROWS, SEVERITIES, Row, SectionParts
from .report_text import counted, escaped, number_text, seconds_between
from .run_names import told_apart
from .series import MetricTrend, TrendPoint

MAX_STAGE_LINES = 12  # in one chart

_INFINITY = float("inf")
_MOVEMENT = ("oldest", "newest", "change")
_SIGNS = {"gt": ">", "lt": "<", "gte": "≥", "lte": "≤", "eq": "=", "ne": "≠"}


def project_report(
    project: ProjectRecord,
    runs: Sequence[RunRecord],
    deployments: Sequence[DeploymentRecord],
    trends: Sequence[MetricTrend] = (),
    *,
    dropped: int = 0,
) -> ReportDocument:
    """Return the report of a project. runs: in the order in which they are to be listed.

    dropped: what their processes did not keep; a process may have captured several runs.
    """
    sections = (
        _project_summary(project, runs, deployments, dropped),
        _runs(project, runs),
        _trends(trends),
        _deployments(deployments),
    )
    return ReportDocument(title=f"Project Summary Report: {project.name}", sections=sections)


def trend_report(trend: MetricTrend) -> ReportDocument:
    """Return the report of a metric over runs."""
    points = trend.points
    where = f" in project **{escaped(trend.project_name)}**" if trend.project_name else ""
    summary = SectionParts("Summary")
    if not points:
        summary.say(f"No run{where} has a value of **{escaped(trend.metric_key)}**.")
    else:
        by_stage = _by_stage(trend)
        newest = f"the newest **{number_text(points[-1].value)}**, of run **{escaped(points[-1].run_name)}**"
        told = newest if len(by_stage) == 1 else f"in {len(by_stage)} stages"
        summary.say(f"**{escaped(trend.metric_key)}**{where} has {counted(len(points), 'value')}, {told}.")
        finite = {stage: [p.value for p in each if abs(p.value) < _INFINITY] for stage, each in by_stage.items()}
        summary.properties(
            (
                ("metric", trend.metric_key),
                ("values", len(points)),
                ("not finite", len(points) - sum(map(len, finite.values()))),
            )
        )
        extremes = {stage: (min(each, default=None), max(each, default=None)) for stage, each in finite.items()}
        summary.table(
            ("stage", "values", *_MOVEMENT, "min", "max"),
            [(stage, len(each), *_movement(each), *extremes[stage]) for stage, each in by_stage.items()],
            title="By stage",
        )
        summary.charts((_trend_chart(trend),))
    listed = SectionParts("Values", "" if points else "There are none.")
    rows: list[Row] = [
        (point.run_name, point.run_id, point.stage_name or "", point.value, point.captured_at) for point in points
    ]
    listed.table(("name", "run", "stage", "value", "captured"), rows)
    return ReportDocument(title=f"Trend Report: {trend.metric_key}", sections=(summary.section(), listed.section()))


def alert_report(report: AlertReport) -> ReportDocument:
    """Return the report of what the alert rules said; the rules that hold come first, the most severe before."""
    triggered = sorted(report.triggered, key=lambda result: -SEVERITIES[::-1].index(result.rule.severity))
    quiet = [result for result in report.results if not result.triggered]
    runs = len({result.run_id for result in report.results})
    summary = SectionParts(
        "Summary",
        f"**{len(triggered)}** of {counted(len(report.results), 'check')} on {counted(runs, 'run')} raised an alert."
        if report.results
        else "No rule was checked.",
    )
    by_severity = Counter(result.rule.severity for result in triggered)
    summary.table(("severity", "alerts"), [(name, by_severity[name]) for name in SEVERITIES if by_severity[name]])
    raised = SectionParts("Alerts", "" if triggered else "No rule raised an alert.")
    raised.table(_ALERT_COLUMNS, [_alert_row(result) for result in triggered])
    held = SectionParts("Quiet Rules", "" if quiet else "There are none.")
    held.table(_ALERT_COLUMNS, [_alert_row(result) for result in quiet])
    return ReportDocument(title="Alert Report", sections=(summary.section(), raised.section(), held.section()))


_ALERT_COLUMNS = ("severity", "rule", "run", "value", "message")


def _alert_row(result: AlertResult) -> Row:
    rule = result.rule
    condition = f"{rule.metric_key} {_SIGNS.get(rule.operator, rule.operator)} {number_text(rule.threshold)}"
    if rule.stage_name:
        condition += f" in {rule.stage_name}"
    named = f"{rule.name}: {condition}" if rule.name else condition
    return rule.severity, named, result.run_id, result.value, result.message


def _project_summary(
    project: ProjectRecord, runs: Sequence[RunRecord], deployments: Sequence[DeploymentRecord], dropped: int
) -> ReportSection:
    count = max(project.run_count, len(runs))
    parts = SectionParts(
        "Project Summary",
        f"Project **{escaped(project.name)}** has {counted(count, 'run')} "
        f"and {counted(len(deployments), 'deployment')}.",
        escaped(project.description) if project.description else "",
    )
    parts.properties(
        (
            ("project", project.project_ref),
            ("created", project.created_at),
            ("runs", count),
            ("newest run", max((run.started_at for run in runs), key=parse_ns, default=None)),
            ("metric points", sum(run.metric_count for run in runs)),
            ("records not kept", dropped or None),
        )
    )
    statuses = Counter(run.status for run in runs)
    parts.table(("status", "runs"), statuses.most_common(), title="Runs by status")
    parts.mapping(project.tags, title="Tags")
    return parts.section()


def _runs(project: ProjectRecord, runs: Sequence[RunRecord]) -> ReportSection:
    parts = SectionParts("Runs", "" if runs else "The project has no runs.")
    rows: list[Row] = [
        (
            run.name, run.run_id, run.status, run.attempt, run.started_at,
            seconds_between(run.started_at, run.ended_at), run.worker_count or None, run.metric_count,
        )
        for run in runs
    ]  # fmt: skip
    columns = ("name", "run", "status", "attempt", "started", "duration (s)", "workers", "metric points")
    parts.table(columns, rows, total=project.run_count)
    return parts.section()


def _trends(trends: Sequence[MetricTrend]) -> ReportSection:
    told = [trend for trend in trends if trend.points]
    parts = SectionParts("Trends", "" if told else "There are no metrics to follow over runs.")
    rows: list[Row] = [
        (trend.metric_key, stage, len(points), *_movement(points))
        for trend in told
        for stage, points in _by_stage(trend).items()
    ]
    parts.table(("metric", "stage", "values", *_MOVEMENT), rows)
    parts.charts(_trend_chart(trend) for trend in told[:MAX_CHARTS])
    return parts.section()


def _movement(points: Sequence[TrendPoint]) -> tuple[float, float, float]:
    """Return what _MOVEMENT names, of the points of one stage: those of several are not to be compared."""
    oldest, newest = points[0].value, points[-1].value
    return oldest, newest, newest - oldest


def _by_stage(trend: MetricTrend) -> dict[str, list[TrendPoint]]:
    """Return the points of each stage, the oldest first."""
    found: dict[str, list[TrendPoint]] = {}
    for point in trend.points:
        found.setdefault(point.stage_name or RUN_LEVEL, []).append(point)
    return found


def _trend_chart(trend: MetricTrend) -> Chart:
    """Return a line for each stage, of MAX_STAGE_LINES at most, over the newest runs."""
    runs = list(told_apart({point.run_id: point.run_name for point in trend.points}).items())
    newest = dict(runs[-MAX_ROWS:])
    places = {run_id: float(place) for place, run_id in enumerate(newest)}
    by_stage = _by_stage(trend)
    lines = []
    for stage, points in islice(by_stage.items(), MAX_STAGE_LINES):
        drawn = [point for point in points if point.run_id in places]
        name = stage if len(by_stage) > 1 else trend.metric_key
        x, y = tuple(places[point.run_id] for point in drawn), tuple(point.value for point in drawn)
        lines.append(ChartLine(name, x, y))
    cut = f", newest {len(newest)}" if len(newest) < len(runs) else ""
    cut += f", {len(lines)} of {len(by_stage)} stages" if len(lines) < len(by_stage) else ""
    return Chart(
        title=f"{trend.metric_key} over runs{cut}",
        kind="line",
        lines=tuple(lines),
        x_title="run, oldest first",
        x_labels=tuple(newest.values()),
    )


def _deployments(deployments: Sequence[DeploymentRecord]) -> ReportSection:
    parts = SectionParts("Deployments", "" if deployments else "Nothing was deployed.")
    rows: list[Row] = [
        (deployment.name, deployment.status, deployment.run_id, deployment.artifact_ref, deployment.started_at,
         deployment.ended_at)
        for deployment in deployments
    ]  # fmt: skip
    parts.table(("deployment", "status", "run", "artifact", "started", "ended"), rows)
    return parts.section()
