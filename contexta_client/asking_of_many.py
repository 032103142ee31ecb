"""What `Contexta` answers over many runs: trends, aggregates, anomalies, alerts, search, reports, SQL."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contexta.config import UnifiedConfig
    from contexta.interpretation import (
        AlertReport,
        AlertRule,
        AnomalyResult,
        ArtifactRecord,
        ArtifactSizeTrend,
        DurationTrend,
        MetricAggregate,
        MetricTrend,
        ReportDocument,
        RunListQuery,
        RunRecord,
    )

    from .query.channel import Connection
    from .query.findings import Findings
    from .query.sql import SqlResult


class AskingOfMany:
    """Questions over runs. `_connect` gives the connection over which they go."""

    config: UnifiedConfig

    @abstractmethod
    def _connect(self) -> Connection: ...

    @property
    def _findings(self) -> Findings:
        from .query.findings import Findings

        return Findings(self._connect())

    def get_metric_trend(
        self,
        metric_key: str,
        *,
        project_name: str | None = None,
        stage_name: str | None = None,
        query: RunListQuery | None = None,
    ) -> MetricTrend:
        """Return the newest value of a metric in each stage of each run, the oldest run first.

        query: which runs; its order is not that of the trend.
        """
        from .query.findings import which_runs

        return self._findings.metric_trend(metric_key, which_runs(project_name, None, query), stage_name)

    def get_stage_duration_trend(
        self, stage_name: str, *, project_name: str | None = None, query: RunListQuery | None = None
    ) -> DurationTrend:
        """Return how many seconds a stage took in each run in which it ended, the oldest run first."""
        from .query.findings import which_runs

        return self._findings.duration_trend(stage_name, which_runs(project_name, None, query))

    def get_artifact_size_trend(
        self, artifact_kind: str, *, project_name: str | None = None, query: RunListQuery | None = None
    ) -> ArtifactSizeTrend:
        """Return how many bytes a kind of artifact had in each run, the oldest run first."""
        from .query.findings import which_runs

        return self._findings.size_trend(artifact_kind, which_runs(project_name, None, query))

    def aggregate_metric(
        self,
        metric_key: str,
        *,
        project_name: str | None = None,
        stage_name: str | None = None,
        query: RunListQuery | None = None,
        policy: str = "latest",
    ) -> MetricAggregate:
        """Return the values of a metric over runs in numbers. Raises NotFoundError when no run has one."""
        from .query.findings import which_runs

        runs = which_runs(project_name, None, query)
        return self._findings.aggregates(metric_key, runs, stage_name=stage_name, policy=policy)[""]

    def aggregate_by_stage(
        self, metric_key: str, *, project_name: str | None = None, query: RunListQuery | None = None,
        policy: str = "latest",
    ) -> dict[str, MetricAggregate]:  # fmt: skip
        """Return the same for each stage, by its name."""
        from .query.findings import which_runs

        return self._findings.aggregates(metric_key, which_runs(project_name, None, query), by="stage", policy=policy)

    def aggregate_by_rank(
        self, run_id: str, metric_key: str, *, stage_name: str | None = None, policy: str = "latest"
    ) -> dict[str, MetricAggregate]:
        """Return a metric of one run by rank ("" for workers without one); each stage gives one value."""
        from .query.findings import which_runs

        runs = which_runs(None, [run_id])
        return self._findings.aggregates(metric_key, runs, by="rank", stage_name=stage_name, policy=policy)

    def run_status_distribution(
        self, project_name: str | None = None, *, query: RunListQuery | None = None
    ) -> dict[str, int]:
        """Return how many runs have each status."""
        from .query.findings import which_runs

        return self._findings.status_distribution(which_runs(project_name, None, query))

    def detect_anomalies(
        self,
        run_id: str,
        *,
        metric_key: str | None = None,
        stage_name: str | None = None,
        baseline_run_ids: Sequence[str] | None = None,
        threshold: float | None = None,
    ) -> list[AnomalyResult]:
        """Compare a run's metrics with those of other runs, the farthest off first.

        baseline_run_ids: None for the runs of its project that began before it, an empty list for none; a metric that
        fewer than 3 of them have is left out.
        threshold: in standard deviations (3).
        """
        found, _ = self._findings.anomalies(
            run_id, metric_key=metric_key, stage_name=stage_name, baseline_run_ids=baseline_run_ids, threshold=threshold
        )
        return found

    def evaluate_alerts(self, run_id: str, rules: Sequence[AlertRule]) -> AlertReport:
        """Say which rules hold for a run's newest values. NaN raises every alert but `eq`."""
        from .query.findings import which_runs

        return self._findings.alerts(rules, which_runs(None, [run_id]))

    def evaluate_alerts_fleet(
        self, rules: Sequence[AlertRule], *, project_name: str | None = None, query: RunListQuery | None = None
    ) -> AlertReport:
        """The same for every run, or those that match."""
        from .query.findings import which_runs

        return self._findings.alerts(rules, which_runs(project_name, None, query))

    def search_runs(self, text: str, *, project_name: str | None = None, limit: int | None = None) -> list[RunRecord]:
        """Return the runs in which every word stands: names, references, tags, metadata, configuration, dataset.

        The newest come first. limit: None for all.
        """
        return self._findings.search_runs(text, project_name=project_name, limit=limit)

    def search_artifacts(
        self, text: str, *, project_name: str | None = None, limit: int | None = None
    ) -> list[ArtifactRecord]:
        """Return the artifacts in which every word stands: reference, kind, location, hash, attributes.

        The newest come first. limit: None for all.
        """
        return self._findings.search_artifacts(text, project_name=project_name, limit=limit)

    # --- reports -----------------------------------------------------------------------------------------------------

    def build_snapshot_report(self, run_id: str) -> ReportDocument:
        """Return the report of a run."""
        return self._findings.report("snapshot", run_ids=[run_id])

    def build_run_report(self, left: str, right: str) -> ReportDocument:
        """Return the report of two runs side by side."""
        return self._findings.report("comparison", run_ids=[left, right])

    def build_multi_run_report(self, run_ids: Sequence[str]) -> ReportDocument:
        """Return the report of several runs in one table."""
        from .query.findings import names

        return self._findings.report("multi_run", run_ids=names(run_ids))

    def build_project_summary_report(self, project_name: str | None = None) -> ReportDocument:
        """Return the report of a project; None: the one that this `Contexta` captures into."""
        return self._findings.report("project", project_name=project_name or self.config.project_name)

    def build_trend_report(
        self,
        metric_key: str,
        *,
        project_name: str | None = None,
        stage_name: str | None = None,
        query: RunListQuery | None = None,
    ) -> ReportDocument:
        """Return the report of a metric over runs."""
        from .query.findings import trend_request, which_runs

        runs = which_runs(project_name, None, query)
        return self._findings.report("trend", trend=trend_request("metric", metric_key, runs, stage_name))

    def build_alert_report(self, run_id: str, rules: Sequence[AlertRule]) -> ReportDocument:
        """Return the report of what alert rules say about a run."""
        from .query.findings import rule_messages

        return self._findings.report("alerts", run_ids=[run_id], rules=rule_messages(rules))

    def compare_report_documents(self, left: ReportDocument, right: ReportDocument) -> ReportDocument:
        """Return a report of where two reports differ."""
        from contexta.interpretation.reports import compare_documents

        return compare_documents(left, right)

    def sql(self, text: str, *, max_rows: int | None = None) -> SqlResult:
        """Run one read-only SELECT over the views that docs/sql.md describes.

        max_rows: more rows are an error (1,000,000). Raises ValidationError with a stable code: sql_invalid,
        sql_not_read_only, answer_too_long.
        """
        from .query.sql import run_sql

        return run_sql(self._connect(), text, max_rows=max_rows)
