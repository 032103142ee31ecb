"""The questions of the facade as calls to the daemon, and its answers as the shapes of contexta.interpretation."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from contexta.contract.json_text import dumps
from contexta.errors import ValidationError
from contexta.interpretation import (
    ArtifactRecord,
    BatchRecord,
    DeploymentRecord,
    MetricCondition,
    ProjectRecord,
    RunListQuery,
    RunRecord,
    SampleRecord,
    StageRecord,
    StepSeries,
    TimeRange,
)
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
        return [
            ProjectRecord(
                project_ref=each.project_ref,
                name=each.name,
                created_at=each.created_at,
                description=each.description or None,
                tags=_json(each.tags_json),
                run_count=each.run_count,
            )
            for each in reply.projects
        ]

    def runs(self, query: RunListQuery) -> list[RunRecord]:
        return [_run(each) for each in self._ask("ListRuns", _runs_request(query)).runs]

    def run(self, run_id: str, attempt: int = 0) -> RunRecord:
        """Return one run (attempt 0: its newest). Raises NotFoundError and AmbiguousError."""
        request = message(query_pb2.ListRunsRequest, run_id=run_id, attempt=attempt)
        return _run(self._ask("ListRuns", request).runs[0])

    def stages(self, run_id: str, attempt: int = 0) -> list[StageRecord]:
        reply = self._ask("ListStages", message(query_pb2.ListStagesRequest, run_id=run_id, attempt=attempt))
        return [
            StageRecord(
                stage_id=each.stage_id,
                run_id=each.run_id,
                name=each.name,
                status=each.status,
                order=each.order,
                started_at=each.started_at,
                ended_at=each.ended_at or None,
                metadata=_json(each.metadata_json),
            )
            for each in reply.stages
        ]

    def batches(self, run_id: str, stage_id: str | None = None) -> list[BatchRecord]:
        reply = self._ask("ListBatches", message(query_pb2.ListBatchesRequest, run_id=run_id, stage_id=stage_id or ""))
        return [
            BatchRecord(
                batch_id=each.batch_id,
                run_id=each.run_id,
                stage_id=each.stage_id,
                name=each.name,
                status=each.status,
                order=each.order,
                started_at=each.started_at,
                ended_at=each.ended_at or None,
                metadata=_json(each.metadata_json),
            )
            for each in reply.batches
        ]

    def samples(self, run_id: str, stage_id: str | None = None, batch_id: str | None = None) -> list[SampleRecord]:
        request = message(query_pb2.ListSamplesRequest, run_id=run_id, stage_id=stage_id or "", batch_id=batch_id or "")
        return [
            SampleRecord(
                sample_id=each.sample_id,
                run_id=each.run_id,
                stage_id=each.stage_id,
                batch_id=each.batch_id or None,
                name=each.name,
                observed_at=each.observed_at,
                retention_class=each.retention_class or None,
                redaction_profile=each.redaction_profile or None,
                metadata=_json(each.metadata_json),
            )
            for each in self._ask("ListSamples", request).samples
        ]

    def deployments(self, project_name: str | None = None, run_id: str | None = None) -> list[DeploymentRecord]:
        request = message(query_pb2.ListDeploymentsRequest, project_name=project_name or "", run_id=run_id or "")
        return [
            DeploymentRecord(
                deployment_id=each.deployment_id,
                project_name=each.project_name,
                name=each.name,
                status=each.status,
                run_id=each.run_id or None,
                artifact_ref=each.artifact_ref or None,
                started_at=each.started_at or None,
                ended_at=each.ended_at or None,
                order=each.order,
                metadata=_json(each.metadata_json),
            )
            for each in self._ask("ListDeployments", request).deployments
        ]

    def artifacts(self, run_id: str | None = None, artifact_ref: str | None = None) -> list[ArtifactRecord]:
        request = message(query_pb2.ListArtifactsRequest, run_id=run_id or "", artifact_ref=artifact_ref or "")
        return [
            ArtifactRecord(
                artifact_ref=each.artifact_ref,
                run_id=each.run_id or None,
                stage_id=each.stage_id or None,
                kind=each.kind,
                created_at=each.created_at,
                location=each.location,
                hash_value=each.hash_value or None,
                size_bytes=each.size_bytes if each.HasField("size_bytes") else None,
                attributes=_json(each.attributes_json),
                binding_status=each.binding_status,
                problem=each.problem,
                hash_pending=each.hash_pending,
            )
            for each in self._ask("ListArtifacts", request).artifacts
        ]

    def workers(self, run_id: str, attempt: int = 0) -> Sequence[query_pb2.Worker]:
        request = message(query_pb2.ListWorkersRequest, run_id=run_id, attempt=attempt)
        return list(self._ask("ListWorkers", request).workers)

    def environment(self, run_id: str, attempt: int = 0) -> dict[str, Any] | None:
        """Return what the run ran in, as plain values; None when it was not captured."""
        reply = self._ask("GetEnvironment", message(query_pb2.GetEnvironmentRequest, run_id=run_id, attempt=attempt))
        if not reply.found:
            return None
        return {
            "environment_ref": reply.environment_ref,
            "captured_at": reply.captured_at,
            "python_version": reply.python_version,
            "platform": reply.platform,
            "host": reply.host,
            "packages": _json(reply.packages_json),
            "environment_variables": _json(reply.environment_variables_json),
            "command": json.loads(reply.command_json or "[]"),
            "git": _json(reply.git_json),
            "details": _json(reply.details_json),
        }

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
        return StepSeries.from_bytes(
            run_id=reply.run_id,
            metric_key=metric_key,
            stage_id=reply.stage_id or None,
            step=reply.step,
            has_step=reply.has_step,
            value=reply.value,
            time_ns=reply.time_ns,
            rank=reply.rank,
            unit=reply.unit or None,
            total_points=reply.total_points,
            wide={place: int(text) for place, text in reply.wide.items()},
        )

    def status(self) -> status_pb2.GetStatusResponse:
        reply: status_pb2.GetStatusResponse = self._connection.call(
            "status", "GetStatus", status_pb2.GetStatusRequest(), deadline_s=10
        )
        return reply


def _runs_request(query: RunListQuery) -> query_pb2.ListRunsRequest:
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


def _run(run: query_pb2.Run) -> RunRecord:
    return RunRecord(
        run_id=run.run_id,
        project_name=run.project_name,
        name=run.name,
        status=run.status,
        started_at=run.started_at,
        ended_at=run.ended_at or None,
        tags=_json(run.tags_json),
        metadata=_json(run.metadata_json),
        attempt=run.attempt,
        dataset_ref=run.dataset_ref or None,
        code_revision=run.code_revision or None,
        config_snapshot=_json(run.config_snapshot_json) or None,
        worker_count=run.worker_count,
        lost_worker_count=run.lost_worker_count,
        metric_count=run.metric_count,
        dropped_count=run.dropped_count,
    )


def _json(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {"text": text}
    return value if isinstance(value, dict) else {"value": value}
