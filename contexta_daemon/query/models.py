"""Canonical models out of the catalog: those that were put as they were put, captured ones made from its tables.

What is captured behind a put may open its thing again and end it otherwise: status and times are those of the tables,
which a put writes too.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from contexta.contract.json_text import dumps
from contexta.errors import NotFoundError, ValidationError, nearest
from contexta.v1 import capture_pb2
from contexta_daemon.catalog.observations import from_json
from contexta_daemon.catalog.schema import BATCH, OPERATION, SAMPLE, STAGE, STATES

PAGE_MODELS = 500
BECOMES = ("status", "started_at", "ended_at")
Row = dict[str, Any]


def get_model(connection: sqlite3.Connection, model: str, ref: str) -> capture_pb2.ModelStored:
    """Raises NotFoundError, and ValidationError for a model that there is not."""
    _check(model)
    row = connection.execute("SELECT json FROM stored_models WHERE model = ? AND ref = ?", (model, ref)).fetchone()
    captured = next(_captured(connection, model, "= ?", (ref,)), None)
    if row is not None:
        return capture_pb2.ModelStored(model=model, ref=ref, json=_as_it_became(row[0], captured))
    if captured is not None:
        return _message(model, captured)
    known = [row[0] for row in connection.execute("SELECT ref FROM stored_models WHERE model = ?", (model,))]
    raise NotFoundError(f"There is no {model} {ref!r}.{nearest(ref, known)}")


def list_models(connection: sqlite3.Connection, model: str, parent_ref: str) -> Iterator[capture_pb2.ModelStored]:
    """Yield the models, those that were put first; parent_ref: only what stands below it. Raises ValidationError."""
    _check(model)
    became = {
        fields[_REF_FIELDS[model]]: {name: fields[name] for name in BECOMES if name in fields}
        for fields in _captured(connection, model, "IN (SELECT ref FROM stored_models WHERE model = ?)", (model,))
    }
    seen = set()
    rows = connection.execute("SELECT ref, json FROM stored_models WHERE model = ? ORDER BY ref", (model,))
    for ref, text in rows:
        seen.add(ref)
        if _below(ref, parent_ref):
            yield capture_pb2.ModelStored(model=model, ref=ref, json=_as_it_became(text, became.get(ref)))
    for fields in _captured(connection, model):
        if fields[_REF_FIELDS[model]] not in seen and _below(fields[_REF_FIELDS[model]], parent_ref):
            yield _message(model, fields)


def _check(model: str) -> None:
    if model not in MODELS:
        raise ValidationError(f"There is no model {model!r}.{nearest(model, list(MODELS))}", code="model_unknown")


def _below(ref: str, parent_ref: str) -> bool:
    return not parent_ref or ref.partition(":")[2].startswith(f"{parent_ref.partition(':')[2]}.")


def _captured(connection: sqlite3.Connection, model: str, which: str = "", values: Sequence[str] = ()) -> Iterator[Row]:
    """Yield the fields of what the tables have. which: a condition on its reference."""
    query, column, make = MODELS[model]
    if not query:
        return
    where = f" AND {column} {which}" if which else ""
    cursor = connection.execute(f"{query}{where} ORDER BY {column}", values)
    names = [each[0] for each in cursor.description]
    for row in cursor:
        fields = make(dict(zip(names, row, strict=True)))
        yield {name: value for name, value in fields.items() if value not in (None, "")}


def _message(model: str, fields: Row) -> capture_pb2.ModelStored:
    return capture_pb2.ModelStored(model=model, ref=fields[_REF_FIELDS[model]], json=dumps(fields))


def _as_it_became(text: str, captured: Row | None) -> str:
    """Return a model as it was put, but for what was captured behind that."""
    if captured is None or "status" not in captured:
        return text
    put = json.loads(text)
    if all(put.get(name) == captured.get(name) for name in BECOMES):
        return text
    rest = {name: value for name, value in put.items() if name not in BECOMES}
    return dumps(rest | {name: captured[name] for name in BECOMES if name in captured})


def _project(row: Row) -> Row:
    return {**row, "tags": _loaded(row["tags"])}


def _run(row: Row) -> Row:
    return {**row, "project_ref": f"project:{row['run_ref'].partition(':')[2].partition('.')[0]}",
            "status": STATES[row["status"]]}  # fmt: skip


def _scope(prefix: str, *, timed: bool) -> Callable[[Row], Row]:
    ref = _SCOPE_REFS[prefix]

    def make(row: Row) -> Row:
        fields = {
            ref: row["ref"],
            "run_ref": row["run_ref"],
            "stage_execution_ref": row["stage_ref"],
            "batch_execution_ref": row["batch_ref"],
            f"{prefix}_name": row["name"],
        }
        fields[ref] = row["ref"]  # a stage is its own
        if timed:
            ended = {"ended_at": row["ended_at"], "order_index": row["ord"]}
            return {**fields, "status": STATES[row["state"]], "started_at": row["started_at"], **ended}
        fields["observed_at"] = row["started_at"]
        if prefix == "sample":
            fields |= {"retention_class": row["retention_class"], "redaction_profile": row["redaction_profile"]}
        return fields

    return make


def _deployment(row: Row) -> Row:
    project = row["deployment_execution_ref"].partition(":")[2].partition(".")[0]
    return {**row, "project_ref": f"project:{project}", "status": STATES[row["status"]]}


def _environment(row: Row) -> Row:
    return {**row, "packages": _loaded(row["packages"]), "environment_variables": _loaded(row["environment_variables"])}


def _artifact(row: Row) -> Row:
    return {**row, "attributes": _loaded(row["attributes"]), "producer_ref": row["producer_ref"] or "contexta.capture"}


def _loaded(text: str) -> Any:
    found = from_json(text)
    return {"text": text} if isinstance(found, str) else found


_SCOPE_REFS = {
    "stage": "stage_execution_ref",
    "batch": "batch_execution_ref",
    "sample": "sample_observation_ref",
    "operation": "operation_context_ref",
}
_SCOPES = (
    "SELECT s.*, r.run_ref FROM scopes s JOIN runs r ON r.id = s.run WHERE r.newest = 1 AND s.kind = {kind}"
).format
_NEWEST_RUN = "SELECT run_ref, name, state AS status, started_at, ended_at FROM runs WHERE newest = 1"
_ENVIRONMENTS = (
    "SELECT e.ref AS environment_snapshot_ref, r.run_ref, e.captured_at, e.python_version, e.platform, "
    "e.packages_json AS packages, e.environment_variables_json AS environment_variables "
    "FROM environments e JOIN runs r ON r.id = e.run WHERE r.newest = 1"
)
_DEPLOYMENTS = (
    "SELECT ref AS deployment_execution_ref, name AS deployment_name, state AS status, started_at, ended_at, "
    "ord AS order_index, run_ref, artifact_ref, environment_ref AS environment_snapshot_ref FROM deployments WHERE 1"
)
_ARTIFACTS = (
    "SELECT ref AS artifact_ref, kind AS artifact_kind, created_at, producer_ref, run_ref, location AS location_ref, "
    "deployment_ref AS deployment_execution_ref, stage_ref AS stage_execution_ref, batch_ref AS batch_execution_ref, "
    "sample_ref AS sample_observation_ref, operation_ref AS operation_context_ref, hash_value, size_bytes, "
    "attributes_json AS attributes FROM artifacts a "
    "WHERE NOT EXISTS (SELECT 1 FROM artifacts b WHERE b.ref = a.ref AND b.id > a.id)"
)
# model -> (query of captured ones, the column of its reference, the model's fields out of a row)
MODELS: dict[str, tuple[str, str, Callable[[Row], Row]]] = {
    "Project": (
        "SELECT project_ref, name, created_at, description, tags_json AS tags FROM projects WHERE 1",
        "project_ref",
        _project,
    ),
    "Run": (_NEWEST_RUN, "run_ref", _run),
    "StageExecution": (_SCOPES(kind=STAGE), "s.ref", _scope("stage", timed=True)),
    "BatchExecution": (_SCOPES(kind=BATCH), "s.ref", _scope("batch", timed=True)),
    "SampleObservation": (_SCOPES(kind=SAMPLE), "s.ref", _scope("sample", timed=False)),
    "OperationContext": (_SCOPES(kind=OPERATION), "s.ref", _scope("operation", timed=False)),
    "DeploymentExecution": (_DEPLOYMENTS, "ref", _deployment),
    "EnvironmentSnapshot": (_ENVIRONMENTS, "e.ref", _environment),
    "ArtifactManifest": (_ARTIFACTS, "ref", _artifact),
    "LineageEdge": ("", "", dict),
    "ProvenanceRecord": ("", "", dict),
}
_REF_FIELDS = {
    "Project": "project_ref",
    "Run": "run_ref",
    "StageExecution": "stage_execution_ref",
    "BatchExecution": "batch_execution_ref",
    "SampleObservation": "sample_observation_ref",
    "OperationContext": "operation_context_ref",
    "DeploymentExecution": "deployment_execution_ref",
    "EnvironmentSnapshot": "environment_snapshot_ref",
    "ArtifactManifest": "artifact_ref",
}
