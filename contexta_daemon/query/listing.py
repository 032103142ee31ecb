"""Lists out of the catalog: projects, runs, scopes, deployments, artifacts, workers."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from contexta.contract.json_text import dumps
from contexta.errors import ValidationError
from contexta.v1 import query_pb2
from contexta_daemon.batches import format_ns, parse_instant
from contexta_daemon.catalog.observations import as_float, binding_status
from contexta_daemon.catalog.schema import BATCH, SAMPLE, STAGE, STATES

from .finding import find_run, within_project
from .instants import asked_ns

_SORT = {
    "": "r.started_ns",
    "started_at": "r.started_ns",
    "ended_at": "r.ended_ns",
    "name": "r.name",
    "status": "r.state",
    "project_name": "r.project_name",
}
_OPERATORS = {"gt": ">", "lt": "<", "gte": ">=", "lte": "<=", "eq": "=", "ne": "!="}
_RUN = """
SELECT r.run_ref, r.project_name, r.name, r.state, r.started_at, r.ended_at, r.tags_json, r.metadata_json, r.attempt,
  (SELECT count(*) FROM run_sessions j WHERE j.run = r.id),
  (SELECT count(*) FROM run_sessions j WHERE j.run = r.id AND j.lost = 1),
  r.metric_count, r.dataset_ref, r.code_revision,
  (SELECT coalesce(sum(d.metrics + d.entries), 0) FROM dropped d JOIN run_sessions j ON j.session = d.session
   WHERE j.run = r.id), r.config_snapshot_json, r.reason
FROM runs r
"""
_SCOPE = (
    "SELECT ref, name, state, ord, started_at, ended_at, metadata_json, stage_ref, batch_ref, retention_class, "
    "redaction_profile, reason FROM scopes WHERE run = ? AND kind = ?"
)

# Of an artifact that several workers registered in a run, or that was put after it was captured, the last one counts.
NEWEST_ARTIFACT = "NOT EXISTS (SELECT 1 FROM artifacts b WHERE b.ref = a.ref AND b.run = a.run AND b.id > a.id)"
# Of a stage that was never put only records tell: it is named as its reference ends.
STAGE_NAME = "coalesce(t.name, substr(m.stage_ref, 1 + length(rtrim(m.stage_ref, replace(m.stage_ref, '.', '')))))"


class Listing:
    """Answers on one read-only connection, which it does not own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def projects(self) -> query_pb2.ListProjectsResponse:
        rows = self._connection.execute(
            "SELECT p.project_ref, p.name, p.created_at, p.description, p.tags_json, "
            "(SELECT count(*) FROM runs r WHERE r.newest = 1 "
            "AND r.run_ref >= 'run:' || substr(p.project_ref, 9) || '.' "
            "AND r.run_ref < 'run:' || substr(p.project_ref, 9) || '/') "
            "FROM projects p ORDER BY p.created_ns, p.project_ref"
        )
        return query_pb2.ListProjectsResponse(
            projects=[
                query_pb2.Project(
                    project_ref=row[0], name=row[1], created_at=row[2], description=row[3], tags_json=row[4],
                    run_count=row[5],
                )
                for row in rows
            ]
        )  # fmt: skip

    def runs(self, request: query_pb2.ListRunsRequest) -> query_pb2.ListRunsResponse:
        """Raises ValidationError on a sort key, status, operator or time that does not exist."""
        where, values = _run_conditions(request)
        if request.run_id:
            where, values = ["r.id = ?"], [find_run(self._connection, request.run_id, request.attempt).id]
        if request.sort_by not in _SORT:
            raise _unknown("sort_by", request.sort_by, _SORT)
        clause = " WHERE " + " AND ".join(where) if where else ""
        direction = "DESC" if request.sort_desc else "ASC"
        order = f" ORDER BY {_SORT[request.sort_by]} {direction}, r.id {direction}"
        limit = request.limit if request.HasField("limit") else -1
        rows = self._connection.execute(
            f"{_RUN}{clause}{order} LIMIT ? OFFSET ?", [*values, limit, request.offset]
        ).fetchall()
        (total,) = self._connection.execute(f"SELECT count(*) FROM runs r{clause}", values).fetchone()
        return query_pb2.ListRunsResponse(runs=map(_run, rows), total=total)

    def stages(self, request: query_pb2.ListStagesRequest) -> query_pb2.ListStagesResponse:
        run = find_run(self._connection, request.run_id, request.attempt)
        rows = self._connection.execute(f"{_SCOPE} ORDER BY ord, id", (run.id, STAGE))
        stages = [
            query_pb2.Stage(
                stage_id=row[0], run_id=run.run_ref, name=row[1], status=STATES[row[2]], order=row[3] or 0,
                started_at=row[4], ended_at=row[5], metadata_json=row[6], reason=row[11],
            )
            for row in rows
        ]  # fmt: skip
        return query_pb2.ListStagesResponse(stages=stages)

    def batches(self, request: query_pb2.ListBatchesRequest) -> query_pb2.ListBatchesResponse:
        run = find_run(self._connection, request.run_id, request.attempt)
        rows = self._connection.execute(
            f"{_SCOPE} AND (? = '' OR stage_ref = ?) ORDER BY stage_ref, ord, id",
            (run.id, BATCH, request.stage_id, request.stage_id),
        )
        batches = [
            query_pb2.BatchScope(
                batch_id=row[0], run_id=run.run_ref, stage_id=row[7], name=row[1], status=STATES[row[2]],
                order=row[3] or 0, started_at=row[4], ended_at=row[5], metadata_json=row[6], reason=row[11],
            )
            for row in rows
        ]  # fmt: skip
        return query_pb2.ListBatchesResponse(batches=batches)

    def samples(self, request: query_pb2.ListSamplesRequest) -> query_pb2.ListSamplesResponse:
        run = find_run(self._connection, request.run_id, request.attempt)
        rows = self._connection.execute(
            f"{_SCOPE} AND (? = '' OR stage_ref = ?) AND (? = '' OR batch_ref = ?) ORDER BY started_ns, id",
            (run.id, SAMPLE, request.stage_id, request.stage_id, request.batch_id, request.batch_id),
        )
        samples = [
            query_pb2.Sample(
                sample_id=row[0], run_id=run.run_ref, stage_id=row[7], batch_id=row[8], name=row[1],
                observed_at=row[4], retention_class=row[9], redaction_profile=row[10], metadata_json=row[6],
            )
            for row in rows
        ]  # fmt: skip
        return query_pb2.ListSamplesResponse(samples=samples)

    def deployments(self, request: query_pb2.ListDeploymentsRequest) -> query_pb2.ListDeploymentsResponse:
        where, values = ["1"], []
        if request.project_name:
            where.append("(project_name = ? OR ref >= ? AND ref < ?)")
            values += [request.project_name, *within_project("deployment", request.project_name)]
        if request.run_id:
            where.append("run_ref = ?")
            values.append(find_run(self._connection, request.run_id).run_ref)
        deployments = self._deployments(" AND ".join(where), values)
        return query_pb2.ListDeploymentsResponse(deployments=deployments)

    def deployments_of_artifact(self, artifact_ref: str) -> list[query_pb2.Deployment]:
        """The deployments that an artifact went to, of whichever run they say they are."""
        return self._deployments("artifact_ref = ?", [artifact_ref])

    def _deployments(self, where: str, values: list[Any]) -> list[query_pb2.Deployment]:
        rows = self._connection.execute(
            "SELECT ref, project_name, name, state, run_ref, artifact_ref, started_at, ended_at, ord, metadata_json, "
            f"reason FROM deployments WHERE {where} ORDER BY started_ns, id",
            values,
        )
        return [
            query_pb2.Deployment(
                deployment_id=row[0], project_name=row[1], name=row[2], status=STATES[row[3]], run_id=row[4],
                artifact_ref=row[5], started_at=row[6], ended_at=row[7], order=row[8] or 0, metadata_json=row[9],
                reason=row[10],
            )
            for row in rows
        ]  # fmt: skip

    def artifacts(self, request: query_pb2.ListArtifactsRequest) -> query_pb2.ListArtifactsResponse:
        where, values = ["1"], list[Any]()
        if request.run_id:
            where.append("run = ?")
            values.append(find_run(self._connection, request.run_id, request.attempt).id)
        if request.artifact_ref:
            where.append("ref = ?")
            values.append(request.artifact_ref)
        return query_pb2.ListArtifactsResponse(artifacts=self._artifacts(" AND ".join(where), values))

    def artifacts_of_newest(self, kind: str) -> list[query_pb2.Artifact]:
        """The artifacts of a kind that the newest attempts of all runs registered."""
        return list(self._artifacts("kind = ? AND run IN (SELECT id FROM runs WHERE newest = 1)", [kind]))

    def _artifacts(self, where: str, values: list[Any]) -> Iterator[query_pb2.Artifact]:
        rows = self._connection.execute(
            "SELECT ref, run_ref, stage_ref, batch_ref, sample_ref, operation_ref, deployment_ref, kind, created_at, "
            "location, hash_value, size_bytes, attributes_json, present, problem, pending FROM artifacts a "
            f"WHERE {NEWEST_ARTIFACT} AND {where} ORDER BY id",
            values,
        )
        return map(_artifact, rows)

    def workers(self, request: query_pb2.ListWorkersRequest) -> query_pb2.ListWorkersResponse:
        run = find_run(self._connection, request.run_id, request.attempt)
        rows = self._connection.execute(
            "SELECT s.session_id, s.host, s.pid, s.rank, s.local_rank, s.world_size, j.state, j.lost, s.opened_ns, "
            "coalesce(s.ended_ns, j.ended_ns), s.items, j.inherited, "
            "(SELECT coalesce(sum(d.metrics + d.entries), 0) FROM dropped d WHERE d.session = s.id) "
            "FROM run_sessions j JOIN sessions s ON s.id = j.session WHERE j.run = ? "
            "ORDER BY s.rank IS NULL, s.rank, s.id",
            (run.id,),
        )
        workers = [
            query_pb2.Worker(
                session_id=row[0].hex(), host=row[1], pid=row[2], rank=row[3], local_rank=row[4], world_size=row[5],
                status="lost" if row[7] else "open" if row[6] == 0 else "ended", opened_at=format_ns(row[8]),
                ended_at=format_ns(row[9]) if row[9] else "", items=row[10], inherited=bool(row[11]), dropped=row[12],
            )
            for row in rows
        ]  # fmt: skip
        return query_pb2.ListWorkersResponse(workers=workers)

    def environment(self, request: query_pb2.GetEnvironmentRequest) -> query_pb2.GetEnvironmentResponse:
        """Of several the one that was put, else that of the first worker; of several of these the newest."""
        run = find_run(self._connection, request.run_id, request.attempt)
        rows = self._connection.execute(
            "SELECT ref, captured_at, python_version, platform, packages_json, environment_variables_json, "
            "command_json, host, git_json, details_json FROM environments "
            "WHERE run = ?1 AND session = (SELECT min(session) FROM environments WHERE run = ?1) ORDER BY ref",
            (run.id,),
        ).fetchall()
        if not rows:
            return query_pb2.GetEnvironmentResponse(found=False)
        row = max(rows, key=lambda each: parse_instant(each[1]))
        return query_pb2.GetEnvironmentResponse(
            found=True, environment_ref=row[0], captured_at=row[1], python_version=row[2], platform=row[3],
            packages_json=row[4], environment_variables_json=row[5], command_json=row[6], host=row[7],
            git_json=row[8], details_json=row[9],
        )  # fmt: skip


def _run(row: tuple[Any, ...]) -> query_pb2.Run:
    return query_pb2.Run(
        run_id=row[0], project_name=row[1], name=row[2], status=STATES[row[3]], started_at=row[4], ended_at=row[5],
        tags_json=row[6], metadata_json=row[7], attempt=row[8], worker_count=row[9], lost_worker_count=row[10],
        metric_count=row[11], dataset_ref=row[12], code_revision=row[13], dropped_count=row[14],
        config_snapshot_json=row[15], reason=row[16],
    )  # fmt: skip


def _artifact(row: tuple[Any, ...]) -> query_pb2.Artifact:
    return query_pb2.Artifact(
        artifact_ref=row[0], run_id=row[1], stage_id=row[2], batch_id=row[3], sample_id=row[4], operation_id=row[5],
        deployment_id=row[6], kind=row[7], created_at=row[8], location=row[9], hash_value=row[10],
        size_bytes=row[11], attributes_json=row[12], binding_status=binding_status(bool(row[13]), row[14]),
        problem=row[14], hash_pending=row[15] > 0,
    )  # fmt: skip


def _run_conditions(request: query_pb2.ListRunsRequest) -> tuple[list[str], list[Any]]:
    where: list[str] = [] if request.all_attempts else ["r.newest = 1"]
    values: list[Any] = []
    if request.project_name:
        where.append("(r.project_name = ? OR r.run_ref >= ? AND r.run_ref < ?)")
        values += [request.project_name, *within_project("run", request.project_name)]
    if request.status:
        if request.status not in STATES:
            raise _unknown("status", request.status, STATES)
        where.append("r.state = ?")
        values.append(STATES.index(request.status))
    if request.name_contains:
        where.append("instr(folded(r.name), folded(?)) > 0")
        values.append(request.name_contains)
    for bound, operator in ((request.started_after, ">="), (request.started_before, "<")):
        if bound:
            where.append(f"r.started_ns {operator} ?")
            values.append(asked_ns(bound))
    for name, value in _tags(request.tags_json).items():
        matches, asked = _tag_condition(value)
        where.append(_TAG.format(matches=matches))
        values += [name, *asked]
    for condition in request.metric_conditions:
        if condition.operator not in _OPERATORS:
            raise _unknown("operator", condition.operator, _OPERATORS)
        where.append(_METRIC_CONDITION.format(operator=_OPERATORS[condition.operator]))
        values += [condition.metric_key, condition.stage_name, condition.stage_name, condition.threshold]
    return where, values


# The newest point of a metric in a run, whichever of its workers captured it. NaN is NULL: no condition holds for it.
_METRIC_CONDITION = f"""(
  SELECT m.last_value FROM summaries m LEFT JOIN scopes t ON t.run = m.run AND t.ref = m.stage_ref
  WHERE m.run = r.id AND m.key = ? AND (? = '' OR {STAGE_NAME} = ?)
  ORDER BY m.last_ns DESC LIMIT 1) {{operator}} ?"""

_TAG = """EXISTS (
  SELECT 1 FROM json_each(iif(json_valid(r.tags_json), r.tags_json, '{{}}')) t WHERE t.key = ? AND {matches})"""


def _tags(text: str) -> dict[str, Any]:
    if not text:
        return {}
    try:
        tags = json.loads(text)
    except (ValueError, RecursionError):
        tags = None
    if not isinstance(tags, dict):
        raise ValidationError("tags_json is a JSON object of tag names and values.", code="invalid_argument")
    return tags


def _tag_condition(value: Any) -> tuple[str, list[Any]]:
    """A text is also the number, the truth value, the list or the mapping that it stands for: a command line has
    nothing but texts."""
    condition, values = _is_value(value)
    stands_for = _read(value) if isinstance(value, str) else None
    if stands_for is None or isinstance(stands_for, str):
        return condition, values
    other, more = _is_value(stands_for)
    return f"({condition} OR {other})", [*values, *more]


def _is_value(value: Any) -> tuple[str, list[Any]]:
    """The condition that a tag `t` of json_each holds just this value."""
    if value is None or isinstance(value, bool):
        return "t.type = ?", [{None: "null", True: "true", False: "false"}[value]]
    if isinstance(value, str):
        return "t.type = 'text' AND t.value = ?", [value]
    if isinstance(value, int | float):
        return "t.type IN ('integer', 'real') AND t.value = ?", [_bound(value)]
    return "iif(t.type IN ('array', 'object'), same_json(t.value, ?), 0)", [dumps(value)]


def _bound(value: float) -> float:
    """Return a value as SQLite takes it, and reads it in JSON: an integer of more than 64 bits is a double."""
    return as_float(value) if isinstance(value, int) and value.bit_length() > 63 else value


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _unknown(field: str, value: str, allowed: Iterable[str]) -> ValidationError:
    names = ", ".join(each for each in allowed if each)
    return ValidationError(f"{field} cannot be {value!r}; it takes {names}.", code="invalid_argument")
