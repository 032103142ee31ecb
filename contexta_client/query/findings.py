"""The questions that take thought, as calls to the daemon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from contexta.errors import NotFoundError, ValidationError
from contexta.interpretation import (
    AlertReport,
    AlertRule,
    AnomalyResult,
    ArtifactOrigin,
    ArtifactRecord,
    ArtifactSizeTrend,
    CompletenessNote,
    DiagnosticsResult,
    DurationTrend,
    EnvironmentDiff,
    LineageTraversal,
    MetricAggregate,
    MetricTrend,
    MultiRunComparison,
    ProvenanceView,
    ReportDocument,
    ReproducibilityAudit,
    RunComparison,
    RunListQuery,
    RunRecord,
    StragglerReport,
)
from contexta.interpretation.messages import from_message, to_message
from contexta.interpretation.values import check_threshold
from contexta.v1 import query_pb2 as pb

from .channel import Connection, check_run_name, message
from .questions import runs_request

REPORT_DEADLINE_S = 300.0


class Findings:
    """Asks over one connection. Runs are named by reference or by an unambiguous end of it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _ask(self, method: str, request: Any) -> Any:
        return self._connection.call("query", method, request, deadline_s=REPORT_DEADLINE_S)

    def provenance(self, run_id: str) -> list[ProvenanceView]:
        found = self._ask("GetProvenance", message(pb.RunRequest, run_id=run_id))
        return [from_message(each, ProvenanceView) for each in found.provenance]

    def artifact_origin(self, artifact_ref: str) -> ArtifactOrigin:
        found = self._ask("GetArtifactOrigin", message(pb.ArtifactOriginRequest, artifact_ref=artifact_ref))
        return from_message(found, ArtifactOrigin)

    def compare(self, left: str, right: str, *, policy: str = "latest") -> RunComparison:
        request = message(pb.CompareRunsRequest, left_run_id=left, right_run_id=right, policy=policy)
        return from_message(self._ask("CompareRuns", request), RunComparison)

    def compare_multiple(
        self, run_ids: Sequence[str], *, policy: str = "latest", lower_is_better: Sequence[str] = ()
    ) -> MultiRunComparison:
        request = message(
            pb.CompareMultipleRunsRequest,
            run_ids=names(run_ids),
            policy=policy,
            lower_is_better=list(lower_is_better),
        )
        found = from_message(self._ask("CompareMultipleRuns", request), MultiRunComparison)
        rows = [replace(row, values={run: row.values.get(run) for run in found.run_ids}) for row in found.metric_table]
        return replace(found, metric_table=tuple(rows))

    def best(
        self,
        run_ids: Sequence[str],
        metric_key: str,
        *,
        stage_name: str | None = None,
        higher_is_better: bool = True,
        policy: str = "latest",
    ) -> str:
        request = message(
            pb.SelectBestRunRequest,
            run_ids=names(run_ids),
            metric_key=metric_key,
            stage_name=stage_name or "",
            lower_is_better=not higher_is_better,
            policy=policy,
        )
        return str(self._ask("SelectBestRun", request).run_id)

    def diagnose(self, run_id: str) -> DiagnosticsResult:
        return from_message(self._ask("DiagnoseRun", message(pb.RunRequest, run_id=run_id)), DiagnosticsResult)

    def stragglers(
        self, run_id: str, *, metric_key: str | None = None, threshold: float | None = None
    ) -> StragglerReport:
        request = message(
            pb.FindStragglersRequest, run_id=run_id, metric_key=metric_key or "", threshold=_threshold(threshold)
        )
        return from_message(self._ask("FindStragglers", request), StragglerReport)

    def lineage(
        self, subject_ref: str, *, direction: str | None = None, max_depth: int | None = None
    ) -> LineageTraversal:
        request = message(
            pb.TraverseLineageRequest, subject_ref=subject_ref, direction=direction or "", max_depth=max_depth
        )
        return from_message(self._ask("TraverseLineage", request), LineageTraversal)

    def metric_trend(self, metric_key: str, runs: pb.RunsRequest, stage_name: str | None = None) -> MetricTrend:
        found = self._ask("GetTrend", trend_request("metric", metric_key, runs, stage_name))
        return from_message(found, MetricTrend, metric_key=found.subject)

    def duration_trend(self, stage_name: str, runs: pb.RunsRequest) -> DurationTrend:
        found = self._ask("GetTrend", trend_request("duration", stage_name, runs))
        return from_message(found, DurationTrend, stage_name=found.subject)

    def size_trend(self, artifact_kind: str, runs: pb.RunsRequest) -> ArtifactSizeTrend:
        found = self._ask("GetTrend", trend_request("artifact_size", artifact_kind, runs))
        return from_message(found, ArtifactSizeTrend, artifact_kind=found.subject)

    def aggregates(
        self,
        metric_key: str,
        runs: pb.RunsRequest,
        *,
        by: str = "",
        stage_name: str | None = None,
        policy: str = "latest",
    ) -> dict[str, MetricAggregate]:
        """Raises NotFoundError when no run has the metric."""
        request = message(
            pb.AggregateRequest, metric_key=metric_key, runs=runs, by=by, stage_name=stage_name or "", policy=policy
        )
        found = {each.name: each.aggregate for each in self._ask("Aggregate", request).groups}
        if not found:
            raise NotFoundError(f"No run has a finite value of {metric_key!r}.", details={"metric_key": metric_key})
        return {name: from_message(each, MetricAggregate) for name, each in found.items()}

    def status_distribution(self, runs: pb.RunsRequest) -> dict[str, int]:
        return dict(sorted(self._ask("GetStatusDistribution", runs).counts.items()))

    def anomalies(
        self,
        run_id: str,
        *,
        metric_key: str | None = None,
        stage_name: str | None = None,
        baseline_run_ids: Sequence[str] | None = None,
        threshold: float | None = None,
    ) -> tuple[list[AnomalyResult], list[CompletenessNote]]:
        """Return what was compared, and why the rest was not."""
        baseline = None if baseline_run_ids is None else pb.RunsRequest(run_ids=names(baseline_run_ids))
        request = message(
            pb.DetectAnomaliesRequest,
            run_id=run_id,
            metric_key=metric_key or "",
            stage_name=stage_name or "",
            baseline=baseline,
            threshold=_threshold(threshold),
        )
        found = self._ask("DetectAnomalies", request)
        results = [from_message(each, AnomalyResult) for each in found.results]
        return results, [from_message(each, CompletenessNote) for each in found.completeness_notes]

    def alerts(self, rules: Sequence[AlertRule], runs: pb.RunsRequest) -> AlertReport:
        request = pb.EvaluateAlertsRequest(rules=rule_messages(rules), runs=runs)
        return from_message(self._ask("EvaluateAlerts", request), AlertReport)

    def audit(self, run_id: str) -> ReproducibilityAudit:
        found = self._ask("AuditReproducibility", message(pb.RunRequest, run_id=run_id))
        return from_message(found, ReproducibilityAudit)

    def compare_environments(self, left: str, right: str) -> EnvironmentDiff:
        request = message(pb.CompareEnvironmentsRequest, left_run_id=left, right_run_id=right)
        return from_message(self._ask("CompareEnvironments", request), EnvironmentDiff)

    def search_runs(self, text: str, *, project_name: str | None = None, limit: int | None = None) -> list[RunRecord]:
        found = self._ask("SearchRuns", _search(text, project_name, limit))
        return [from_message(each, RunRecord) for each in found.runs]

    def search_artifacts(
        self, text: str, *, project_name: str | None = None, limit: int | None = None
    ) -> list[ArtifactRecord]:
        found = self._ask("SearchArtifacts", _search(text, project_name, limit))
        return [from_message(each, ArtifactRecord) for each in found.artifacts]

    def report(self, kind: str, **asked: Any) -> ReportDocument:
        """asked: the fields of BuildReportRequest that its kind needs."""
        found = self._ask("BuildReport", message(pb.BuildReportRequest, kind=kind, **asked))
        return from_message(found, ReportDocument)


def which_runs(
    project_name: str | None = None, run_ids: Sequence[str] | None = None, query: RunListQuery | None = None
) -> pb.RunsRequest:
    """Return the runs that a question over many looks at; without any of these: all.

    Raises ValidationError, also for run_ids that name none: on the wire that would be all.
    """
    named = None if run_ids is None else names(run_ids)
    if named == []:
        raise ValidationError("run_ids names no run: name at least one, or leave it out.", code="query_invalid")
    found: pb.RunsRequest = message(pb.RunsRequest, project_name=project_name or "", run_ids=named)
    if query is not None:
        found.filter.CopyFrom(runs_request(query))
    return found


def trend_request(
    kind: str, subject: str, runs: pb.RunsRequest, stage_name: str | None = None
) -> pb.GetTrendRequest:
    found: pb.GetTrendRequest = message(
        pb.GetTrendRequest, kind=kind, subject=subject, runs=runs, stage_name=stage_name or ""
    )
    return found


def rule_messages(rules: Sequence[AlertRule | Mapping[str, Any]]) -> list[pb.AlertRule]:
    """Rules may be given as mappings of the same fields. Raises ValidationError."""
    if isinstance(rules, AlertRule | Mapping):
        rules = [rules]
    try:
        checked = [rule if isinstance(rule, AlertRule) else AlertRule(**rule) for rule in rules]
    except TypeError as error:
        raise ValidationError(f"This is no alert rule: {error}", code="query_invalid") from error
    return [to_message(rule, pb.AlertRule) for rule in checked]


def names(run_ids: Sequence[str]) -> list[str]:
    """Return run ids as a list; a single text is one. Raises ValidationError for what is no text."""
    listed = [run_ids] if isinstance(run_ids, str) else list(run_ids)
    for each in listed:
        check_run_name(each)
    return listed


def _threshold(threshold: float | None) -> float:
    """Return what a request says: 0 for the usual one. Raises ValidationError for what is not greater than 0."""
    return 0.0 if threshold is None else check_threshold(threshold)


def _search(text: str, project_name: str | None, limit: int | None) -> pb.SearchRequest:
    found: pb.SearchRequest = message(pb.SearchRequest, text=text, project_name=project_name or "", limit=limit)
    return found
