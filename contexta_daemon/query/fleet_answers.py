"""Questions over many runs: trends, aggregates, anomalies, alerts, search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from contexta.errors import ValidationError
from contexta.interpretation import (
    AlertReport,
    AlertRule,
    ArtifactRecord,
    ArtifactSizeTrend,
    DurationTrend,
    MetricTrend,
    RunFacts,
    RunRecord,
    SeriesSummary,
    StageRecord,
)
from contexta.interpretation.comparison import select_best_run
from contexta.interpretation.fleet import (
    ANOMALY_THRESHOLD,
    aggregate_groups,
    anomaly_notes,
    artifact_size_trend,
    detect_anomalies,
    evaluate_alerts,
    metric_trend,
    stage_duration_trend,
)
from contexta.interpretation.messages import from_message, to_message
from contexta.interpretation.values import check_policy, check_threshold
from contexta.v1 import query_pb2 as pb
from contexta_daemon.batches import parse_instant
from contexta_daemon.catalog.schema import STAGE, STATES

from .finding import find_run, within_project
from .sources import Sources

GROUPINGS = ("", "stage", "rank", "run")
TREND_KINDS = ("metric", "duration", "artifact_size")

Trend = MetricTrend | DurationTrend | ArtifactSizeTrend


def trend(sources: Sources, request: pb.GetTrendRequest) -> pb.Trend:
    return trend_message(make_trend(sources, request))


def make_trend(sources: Sources, request: pb.GetTrendRequest) -> Trend:
    """Raises ValidationError for an unknown kind."""
    if request.kind not in TREND_KINDS:
        raise ValidationError(f"kind cannot be {request.kind!r}; it takes {', '.join(TREND_KINDS)}.",
                              code="query_invalid")  # fmt: skip
    runs = sorted(which_runs(sources, request.runs), key=_started_ns)  # a filter may choose them by another order
    project = request.runs.project_name or request.runs.filter.project_name or None
    if request.kind == "metric":
        series = series_of(sources, runs, request.subject)
        return metric_trend(
            request.subject, runs, series, project_name=project, stage_name=request.stage_name or None
        )
    if request.kind == "duration":
        stages = _stages_named(sources, runs, request.subject)
        return stage_duration_trend(request.subject, stages, project_name=project)
    artifacts = _artifacts_of_kind(sources, runs, request.subject)
    return artifact_size_trend(request.subject, artifacts, project_name=project)


def _stages_named(sources: Sources, runs: Sequence[RunRecord], name: str) -> list[tuple[RunRecord, StageRecord]]:
    """Return the stages of this name in the order of the runs."""
    rows = sources.connection.execute(
        "SELECT r.run_ref, s.ref, s.name, s.state, coalesce(s.ord, 0), s.started_at, s.ended_at FROM scopes s "
        "JOIN runs r ON r.id = s.run WHERE r.newest = 1 AND s.kind = ? AND s.name = ?",
        (STAGE, name),
    )
    stages = {
        run_ref: StageRecord(ref, run_ref, name, STATES[state], order, started_at, ended_at or None)
        for run_ref, ref, name, state, order, started_at, ended_at in rows
    }
    return [(run, stages[run.run_id]) for run in runs if run.run_id in stages]


def _artifacts_of_kind(
    sources: Sources, runs: Sequence[RunRecord], kind: str
) -> list[tuple[RunRecord, ArtifactRecord]]:
    """Return the artifacts of this kind in the order of the runs; those of one run in the order registered."""
    by_run: dict[str, list[ArtifactRecord]] = {}
    for each in sources.listing.artifacts_of_newest(kind):
        by_run.setdefault(each.run_id, []).append(from_message(each, ArtifactRecord))
    return [(run, artifact) for run in runs for artifact in by_run.get(run.run_id, ())]


def _started_ns(run: RunRecord) -> int:
    return parse_instant(run.started_at)


def trend_message(found: Trend) -> pb.Trend:
    subject = (
        found.metric_key if isinstance(found, MetricTrend)
        else found.stage_name if isinstance(found, DurationTrend)
        else found.artifact_kind
    )  # fmt: skip
    message = to_message(found, pb.Trend)
    message.subject = subject
    return message


def aggregate(sources: Sources, request: pb.AggregateRequest) -> pb.AggregateResponse:
    if request.by not in GROUPINGS:
        raise ValidationError(
            f"by cannot be {request.by!r}; it takes {', '.join(GROUPINGS[1:])}.", code="query_invalid"
        )
    runs = which_runs(sources, request.runs)
    groups = aggregate_groups(
        request.metric_key,
        series_of(sources, runs, request.metric_key),
        by=request.by,
        stage_name=request.stage_name or None,
        policy=check_policy(request.policy),
    )
    return pb.AggregateResponse(
        groups=[
            pb.AggregateResponse.Group(name=name, aggregate=to_message(each, pb.MetricAggregate))
            for name, each in groups.items()
        ]
    )


def best_run(sources: Sources, request: pb.SelectBestRunRequest) -> pb.SelectBestRunResponse:
    """Raises NotFoundError when none has the metric, ValidationError when no run is named."""
    if not request.run_ids:
        raise ValidationError("There is no run to choose from: name at least one.", code="query_invalid")
    runs = which_runs(sources, pb.RunsRequest(run_ids=request.run_ids))
    series = series_of(sources, runs, request.metric_key)
    run_id, value, stage = select_best_run(
        [RunFacts(run, summaries=tuple(series[run.run_id])) for run in runs],
        request.metric_key,
        stage_name=request.stage_name or None,
        higher_is_better=not request.lower_is_better,
        policy=request.policy,
    )
    return pb.SelectBestRunResponse(run_id=run_id, value=value, stage_name=stage or "")


def status_distribution(sources: Sources, request: pb.RunsRequest) -> pb.StatusDistribution:
    return pb.StatusDistribution(counts=Counter(run.status for run in which_runs(sources, request)))


def anomalies(sources: Sources, request: pb.DetectAnomaliesRequest) -> pb.DetectAnomaliesResponse:
    run = find_run(sources.connection, request.run_id)
    others = [each for each in _baseline(sources, run.run_ref, request) if each.run_id != run.run_ref]
    series = list(sources.summaries("m.run = ?", (run.id,)))
    asked: dict[str, Any] = {"metric_key": request.metric_key or None, "stage_name": request.stage_name or None}
    results = detect_anomalies(
        run.run_ref,
        series,
        series_of(sources, others, request.metric_key),
        threshold=check_threshold(request.threshold or ANOMALY_THRESHOLD),
        **asked,
    )
    notes = anomaly_notes(run.run_ref, series, results, baseline_count=len(others), **asked)
    return pb.DetectAnomaliesResponse(
        results=[to_message(each, pb.Anomaly) for each in results],
        completeness_notes=[to_message(each, pb.CompletenessNote) for each in notes],
    )


def _baseline(sources: Sources, run_ref: str, request: pb.DetectAnomaliesRequest) -> list[RunRecord]:
    """Return the runs that say what is usual: those asked for, else those of the project that began no later."""
    if request.HasField("baseline"):
        return which_runs(sources, request.baseline) if request.baseline.ListFields() else []
    (mine,) = which_runs(sources, pb.RunsRequest(run_ids=[run_ref]))
    of_project = which_runs(sources, pb.RunsRequest(project_name=_project(run_ref)))
    return [each for each in of_project if _started_ns(each) <= _started_ns(mine)]


def alerts(sources: Sources, request: pb.EvaluateAlertsRequest) -> pb.AlertReport:
    return to_message(make_alerts(sources, request.rules, request.runs), pb.AlertReport)


def make_alerts(sources: Sources, rules: Iterable[pb.AlertRule], runs: pb.RunsRequest) -> AlertReport:
    """Raises ValidationError for a rule that cannot be."""
    checked = []
    for rule in rules:
        severity = rule.severity or "warning"
        checked.append(from_message(rule, AlertRule, severity=severity))
    return evaluate_alerts(checked, series_of(sources, which_runs(sources, runs)))


def search_runs(sources: Sources, request: pb.SearchRequest) -> pb.ListRunsResponse:
    """Every word must stand in the run's reference, name, tags, metadata, configuration, dataset or code revision."""
    hay = ("r.run_ref || ' ' || r.name || ' ' || r.project_name || ' ' || r.tags_json || ' ' || r.metadata_json || ' ' "
           "|| r.config_snapshot_json || ' ' || r.dataset_ref || ' ' || r.code_revision")  # fmt: skip
    where, values = _words(hay, request)
    rows = sources.connection.execute(
        f"SELECT r.run_ref FROM runs r WHERE r.newest = 1 AND {where} ORDER BY r.started_ns DESC", values
    ).fetchall()
    listing = sources.listing
    runs = [listing.runs(pb.ListRunsRequest(run_id=ref)).runs[0] for (ref,) in rows[: _limit(request)]]
    return pb.ListRunsResponse(runs=runs, total=len(rows))


def search_artifacts(sources: Sources, request: pb.SearchRequest) -> pb.ListArtifactsResponse:
    """Every word must stand in the artifact's reference, kind, location, hash or attributes."""
    where, values = _words("a.ref || ' ' || a.kind || ' ' || a.location || ' ' || a.hash_value || ' ' || "
                           "a.attributes_json", request, project="a.run_ref")  # fmt: skip
    rows = sources.connection.execute(
        f"SELECT DISTINCT a.ref FROM artifacts a WHERE {where} ORDER BY a.id DESC", values
    ).fetchall()
    listing = sources.listing
    refs = [ref for (ref,) in rows[: _limit(request)]]
    found = [listing.artifacts(pb.ListArtifactsRequest(artifact_ref=ref)).artifacts[-1] for ref in refs]
    return pb.ListArtifactsResponse(artifacts=found)


def which_runs(sources: Sources, request: pb.RunsRequest) -> list[RunRecord]:
    """Return the newest attempts that a request means, the oldest first unless its filter sorts otherwise.

    Those that are named come in the order of their names, each once. Raises NotFoundError and AmbiguousError for a
    name, ValidationError for names beside a project or a filter.
    """
    listing = sources.listing
    if request.run_ids:
        if request.project_name or request.HasField("filter"):
            raise ValidationError("Name runs, or ask for those of a project or a filter, not both.",
                                  code="query_invalid")  # fmt: skip
        refs = dict.fromkeys(find_run(sources.connection, each).run_ref for each in request.run_ids)
        found = [listing.runs(pb.ListRunsRequest(run_id=ref)).runs[0] for ref in refs]
    elif request.HasField("filter"):
        asked = pb.ListRunsRequest()
        asked.CopyFrom(request.filter)
        asked.project_name = asked.project_name or request.project_name
        asked.all_attempts = False
        found = list(listing.runs(asked).runs)
    else:
        found = list(listing.runs(pb.ListRunsRequest(project_name=request.project_name)).runs)
    return [from_message(each, RunRecord) for each in found]


def series_of(sources: Sources, runs: Sequence[RunRecord], metric_key: str = "") -> dict[str, list[SeriesSummary]]:
    """Return the numbers of the runs' series, of one metric or all, by run; a run without any has an empty list."""
    by_run: dict[str, list[SeriesSummary]] = {run.run_id: [] for run in runs}
    if len(runs) == 1:  # the index on runs finds it
        where, values = "r.run_ref = ? AND r.newest = 1 AND ? IN ('', m.key)", (runs[0].run_id, metric_key)
    elif metric_key:
        where, values = "m.key = ? AND r.newest = ?", (metric_key, "1")
    else:
        where, values = "r.newest = ? AND ? = ''", ("1", "")
    for each in sources.summaries(where, values):
        if each.run_id in by_run:
            by_run[each.run_id].append(each)
    return by_run


def _limit(request: pb.SearchRequest) -> int | None:
    return request.limit if request.HasField("limit") else None


def _words(hay: str, request: pb.SearchRequest, *, project: str = "r.run_ref") -> tuple[str, list[str]]:
    words = request.text.casefold().split()
    if not words:
        raise ValidationError("There is nothing to search for: give at least one word.", code="query_invalid")
    parts, values = [f"instr(folded({hay}), ?) > 0" for _ in words], list(words)
    if request.project_name:
        parts.append(f"{project} >= ? AND {project} < ?")
        values += within_project("run", request.project_name)
    return " AND ".join(parts), values


def _project(run_ref: str) -> str:
    return run_ref.partition(":")[2].partition(".")[0]

