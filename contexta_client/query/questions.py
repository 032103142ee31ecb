"""The questions of the facade as calls to the daemon, and its answers as the shapes of contexta.interpretation."""

from __future__ import annotations

from typing import Any

from contexta.contract.json_text import dumps
from contexta.errors import ValidationError
from contexta.interpretation import (
    ArtifactRecord,
    BatchRecord,
    DeploymentRecord,
    EnvironmentRecord,
    MetricCondition,
    ProjectRecord,
    RunListQuery,
    RunRecord,
    SampleRecord,
    SeriesSummary,
    StageRecord,
    StepSeries,
    TimeRange,
    WorkerRecord,
)
from contexta.interpretation.messages import from_message, step_series
from contexta.v1 import query_pb2, status_pb2

from .channel import Connection, message


class Questions:
    """Asks over one connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def close(self) -> None:
        """Drop the connection; the next question makes another."""
        self._connection.close()

    def _ask(self, method: str, request: Any) -> Any:
        return self._connection.call("query", method, request)

    def projects(self) -> list[ProjectRecord]:
        reply = self._ask("ListProjects", query_pb2.ListProjectsRequest())
        return [from_message(each, ProjectRecord) for each in reply.projects]

    def runs(self, query: RunListQuery) -> list[RunRecord]:
        return [from_message(each, RunRecord) for each in self._ask("ListRuns", runs_request(query)).runs]

    def run(self, run_id: str, attempt: int = 0) -> RunRecord:
        """Return one run (attempt 0: its newest). Raises NotFoundError and AmbiguousError."""
        request = message(query_pb2.ListRunsRequest, run_id=run_id, attempt=attempt)
        return from_message(self._ask("ListRuns", request).runs[0], RunRecord)

    def stages(self, run_id: str, attempt: int = 0) -> list[StageRecord]:
        reply = self._ask("ListStages", message(query_pb2.ListStagesRequest, run_id=run_id, attempt=attempt))
        return [from_message(each, StageRecord) for each in reply.stages]

    def batches(self, run_id: str, stage_id: str | None = None) -> list[BatchRecord]:
        reply = self._ask("ListBatches", message(query_pb2.ListBatchesRequest, run_id=run_id, stage_id=stage_id or ""))
        return [from_message(each, BatchRecord) for each in reply.batches]

    def samples(self, run_id: str, stage_id: str | None = None, batch_id: str | None = None) -> list[SampleRecord]:
        request = message(query_pb2.ListSamplesRequest, run_id=run_id, stage_id=stage_id or "", batch_id=batch_id or "")
        return [from_message(each, SampleRecord) for each in self._ask("ListSamples", request).samples]

    def deployments(self, project_name: str | None = None, run_id: str | None = None) -> list[DeploymentRecord]:
        request = message(query_pb2.ListDeploymentsRequest, project_name=project_name or "", run_id=run_id or "")
        return [from_message(each, DeploymentRecord) for each in self._ask("ListDeployments", request).deployments]

    def artifacts(
        self, run_id: str | None = None, artifact_ref: str | None = None, attempt: int = 0
    ) -> list[ArtifactRecord]:
        request = message(
            query_pb2.ListArtifactsRequest, run_id=run_id or "", artifact_ref=artifact_ref or "", attempt=attempt
        )
        return [from_message(each, ArtifactRecord) for each in self._ask("ListArtifacts", request).artifacts]

    def workers(self, run_id: str, attempt: int = 0) -> list[WorkerRecord]:
        request = message(query_pb2.ListWorkersRequest, run_id=run_id, attempt=attempt)
        return [from_message(each, WorkerRecord) for each in self._ask("ListWorkers", request).workers]

    def environment(self, run_id: str, attempt: int = 0) -> EnvironmentRecord | None:
        """Return what the run ran in; None when it was not captured."""
        reply = self._ask("GetEnvironment", message(query_pb2.GetEnvironmentRequest, run_id=run_id, attempt=attempt))
        return from_message(reply, EnvironmentRecord) if reply.found else None

    def summaries(
        self, run_id: str, *, metric_key: str | None = None, stage_name: str | None = None, attempt: int = 0
    ) -> list[SeriesSummary]:
        """Return every series of a run in numbers, by stage and rank. Raises NotFoundError."""
        request = message(
            query_pb2.ListSeriesRequest,
            run_id=run_id,
            attempt=attempt,
            metric_key=metric_key or "",
            stage_name=stage_name or "",
        )
        return [from_message(each, SeriesSummary) for each in self._ask("ListSeries", request).series]

    def series(
        self,
        run_id: str,
        metric_key: str,
        *,
        stage_id: str | None = None,
        stage_name: str | None = None,
        max_points: int | None = None,
        rank: int | None = None,
        attempt: int = 0,
    ) -> StepSeries:
        request = message(
            query_pb2.GetStepSeriesRequest,
            run_id=run_id,
            metric_key=metric_key,
            stage_id=stage_id or "",
            stage_name=stage_name or "",
            max_points=max_points or 0,
            rank=rank,
            attempt=attempt,
        )
        reply = self._ask("GetStepSeries", request)
        return step_series(reply, metric_key)

    def status(self) -> status_pb2.GetStatusResponse:
        reply: status_pb2.GetStatusResponse = self._connection.call(
            "status", "GetStatus", status_pb2.GetStatusRequest(), deadline_s=10
        )
        return reply


def runs_request(query: RunListQuery) -> query_pb2.ListRunsRequest:
    """Return the request of a query. Raises ValidationError."""
    between = query.time_range or TimeRange()
    _check("time_range", between, TimeRange)
    return message(
        query_pb2.ListRunsRequest,
        project_name=query.project_name or "",
        status=query.status or "",
        tags_json=dumps(dict(query.tags)) if query.tags else "",
        metric_conditions=[_condition(each) for each in query.metric_conditions],
        started_after=str(between.start or ""),
        started_before=str(between.end or ""),
        limit=query.limit,
        offset=query.offset,
        sort_by=query.sort_by or "",
        sort_desc=query.sort_desc,
        all_attempts=query.all_attempts,
        name_contains=query.name_contains or "",
    )


def _condition(condition: MetricCondition) -> query_pb2.MetricCondition:
    _check("metric_conditions", condition, MetricCondition)
    return message(
        query_pb2.MetricCondition,
        metric_key=condition.metric_key,
        operator=condition.operator,
        threshold=condition.threshold,
        stage_name=condition.stage_name or "",
    )


def _check(name: str, value: object, kind: type) -> None:
    if not isinstance(value, kind):
        raise ValidationError(
            f"{name} takes contexta.interpretation.{kind.__name__}, not {type(value).__name__}.", code="query_invalid"
        )
