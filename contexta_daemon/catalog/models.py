"""Canonical models put through the stores: kept as given, and shown in the same tables as what was captured.

Putting a reference again replaces what was put. A row keeps its id, by which the sessions that captured into it know
it. A model whose run is not known makes a run that only has a reference, so that nothing that was put is lost for want
of order.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from contexta.contract.json_text import dumps
from contexta.contract.model import plan
from contexta.contract.references import is_ref
from contexta.contract.serialization import MODELS
from contexta.errors import ContextaError
from contexta.v1 import capture_pb2
from contexta_daemon.batches import format_ns, parse_instant

from .names import component
from .runs import ensure_project, newest_attempt
from .schema import BATCH, COMPLETED, OPERATION, SAMPLE, STAGE
from .scopes import STATE_OF_STATUS

Model = Mapping[str, Any]

# What a model raises whose fields are missing, of another type, or beyond what a column holds.
_NO_MODEL = (
    ContextaError, KeyError, ValueError, TypeError, OverflowError, RecursionError,
    sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError,
)  # fmt: skip


class BadModelError(ContextaError):
    """A stored model whose JSON is not one."""

    default_code = "bad_model"


def store_model(connection: sqlite3.Connection, stored: capture_pb2.ModelStored, time_ns: int) -> None:
    """Apply ModelStored. Raises BadModelError, without having changed anything."""
    try:
        model = json.loads(stored.json)
    except (ValueError, RecursionError) as error:
        raise BadModelError(f"{stored.model} {stored.ref}: {error}") from error
    if not isinstance(model, dict):
        raise BadModelError(f"{stored.model} {stored.ref} is not a JSON object")
    apply = _APPLY.get(stored.model)
    if apply is not None:
        connection.execute("SAVEPOINT model")
        try:
            _check(stored.model, model)
            apply(connection, model, time_ns)
        except _NO_MODEL as error:
            connection.execute("ROLLBACK TO model")
            connection.execute("RELEASE model")
            raise BadModelError(f"{stored.model} {stored.ref}: {type(error).__name__}: {error}") from error
        connection.execute("RELEASE model")
    connection.execute(
        "INSERT OR REPLACE INTO stored_models (model, ref, json) VALUES (?, ?, ?)",
        (stored.model, stored.ref, stored.json),
    )


def _check(name: str, model: Model) -> None:
    """Hold fields against the contract's rules: a program may have written into the log itself, and the tables would
    take more than answers can read. Raises ValidationError."""
    for field, rule, _ in plan(MODELS[name]):
        if model.get(field) is not None:
            rule(field, model[field])


def _project(connection: sqlite3.Connection, model: Model, time_ns: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO projects VALUES (?, ?, ?, ?, ?, ?)",
        (
            model["project_ref"],
            model["name"],
            model["created_at"],
            parse_instant(model["created_at"]),
            model.get("description") or "",
            _json(model, "tags"),
        ),
    )


def _run(connection: sqlite3.Connection, model: Model, time_ns: int) -> None:
    started_ns, ended_ns = _span(model)
    run = require_run(connection, model["run_ref"], started_ns)
    extensions = {"description": model["description"]} if model.get("description") else {}
    connection.execute(
        "UPDATE runs SET project_name = ?, name = ?, state = ?, started_at = ?, started_ns = ?, ended_at = ?, "
        "ended_ns = ?, metadata_json = iif(? = '', metadata_json, ?) WHERE id = ?",
        (
            component(model["project_ref"]),
            model["name"],
            STATE_OF_STATUS[model["status"]],
            model["started_at"],
            started_ns,
            model.get("ended_at") or "",
            ended_ns,
            text := dumps(extensions) if extensions else "",
            text,
            run,
        ),
    )


# What a model leaves out stays as it was captured, but for the end: a model that has none says that there was none yet.
_PUT_SCOPE = """
INSERT INTO scopes (run, kind, ref, name, stage_ref, batch_ref, state, openings, started_at, started_ns, ended_at,
                    ended_ns, ord, retention_class, redaction_profile)
VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, ref) DO UPDATE SET
  name = excluded.name, state = excluded.state,
  stage_ref = iif(excluded.stage_ref != '', excluded.stage_ref, stage_ref),
  batch_ref = iif(excluded.batch_ref != '', excluded.batch_ref, batch_ref),
  started_at = excluded.started_at, started_ns = excluded.started_ns,
  ended_at = excluded.ended_at, ended_ns = excluded.ended_ns, ord = coalesce(excluded.ord, ord),
  retention_class = iif(excluded.retention_class != '', excluded.retention_class, retention_class),
  redaction_profile = iif(excluded.redaction_profile != '', excluded.redaction_profile, redaction_profile)
"""
_PUT_DEPLOYMENT = """
INSERT INTO deployments (ref, project_name, name, state, started_at, started_ns, ended_at, run_ref, artifact_ref,
                         environment_ref, ord)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (ref) DO UPDATE SET
  project_name = excluded.project_name, name = excluded.name, state = excluded.state,
  started_at = excluded.started_at, started_ns = excluded.started_ns, ended_at = excluded.ended_at,
  run_ref = iif(excluded.run_ref != '', excluded.run_ref, run_ref),
  artifact_ref = iif(excluded.artifact_ref != '', excluded.artifact_ref, artifact_ref),
  environment_ref = iif(excluded.environment_ref != '', excluded.environment_ref, environment_ref),
  ord = coalesce(excluded.ord, ord)
"""


def _scope(connection: sqlite3.Connection, model: Model, *, kind: int, ref: str, name: str) -> None:
    at = "started_at" if "started_at" in model else "observed_at"
    started_ns = parse_instant(model[at])
    ended_at = model.get("ended_at") or ""
    connection.execute(
        _PUT_SCOPE,
        (
            require_run(connection, model["run_ref"], started_ns),
            kind,
            model[ref],
            model[name],
            model.get("stage_execution_ref") or "",
            model.get("batch_execution_ref") or "",
            STATE_OF_STATUS[model["status"]] if "status" in model else COMPLETED,
            model[at],
            started_ns,
            ended_at,
            parse_instant(ended_at) if ended_at else None,
            model.get("order_index"),
            model.get("retention_class") or "",
            model.get("redaction_profile") or "",
        ),
    )


def _stage(connection: sqlite3.Connection, model: Model, time_ns: int) -> None:
    _scope(connection, model, kind=STAGE, ref="stage_execution_ref", name="stage_name")


def _batch(connection: sqlite3.Connection, model: Model, time_ns: int) -> None:
    _scope(connection, model, kind=BATCH, ref="batch_execution_ref", name="batch_name")


def _sample(connection: sqlite3.Connection, model: Model, time_ns: int) -> None:
    _scope(connection, model, kind=SAMPLE, ref="sample_observation_ref", name="sample_name")


def _operation(connection: sqlite3.Connection, model: Model, time_ns: int) -> None:
    _scope(connection, model, kind=OPERATION, ref="operation_context_ref", name="operation_name")


def _deployment(connection: sqlite3.Connection, model: Model, time_ns: int) -> None:
    started_ns, _ = _span(model)
    ensure_project(connection, model["deployment_execution_ref"], "", started_ns)
    connection.execute(
        _PUT_DEPLOYMENT,
        (
            model["deployment_execution_ref"],
            component(model["project_ref"]),
            model["deployment_name"],
            STATE_OF_STATUS[model["status"]],
            model["started_at"],
            started_ns,
            model.get("ended_at") or "",
            model.get("run_ref") or "",
            model.get("artifact_ref") or "",
            model.get("environment_snapshot_ref") or "",
            model.get("order_index"),
        ),
    )


def _artifact(connection: sqlite3.Connection, model: Model, time_ns: int) -> None:
    created_ns = parse_instant(model["created_at"])
    connection.execute("DELETE FROM artifacts WHERE ref = ? AND session = 0", (model["artifact_ref"],))
    connection.execute(
        "INSERT INTO artifacts (ref, session, run, scope, run_ref, stage_ref, batch_ref, sample_ref, "
        "operation_ref, deployment_ref, kind, created_at, created_ns, location, present, size_bytes, "
        "attributes_json, hash_value, producer_ref) VALUES (?, 0, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?)",
        (
            model["artifact_ref"],
            require_run(connection, model["run_ref"], created_ns),
            model["run_ref"],
            model.get("stage_execution_ref") or "",
            model.get("batch_execution_ref") or "",
            model.get("sample_observation_ref") or "",
            model.get("operation_context_ref") or "",
            model.get("deployment_execution_ref") or "",
            model["artifact_kind"],
            model["created_at"],
            created_ns,
            model["location_ref"],
            model.get("size_bytes"),
            _json(model, "attributes"),
            model.get("hash_value") or "",
            model.get("producer_ref") or "",
        ),
    )


def _environment(connection: sqlite3.Connection, model: Model, time_ns: int) -> None:
    run = require_run(connection, model["run_ref"], parse_instant(model["captured_at"]))
    connection.execute(
        "INSERT OR REPLACE INTO environments VALUES (?, ?, 0, ?, ?, ?, ?, ?, '', '', '', '')",
        (
            run,
            model["environment_snapshot_ref"],
            model["captured_at"],
            model["python_version"],
            model["platform"],
            _json(model, "packages"),
            _json(model, "environment_variables"),
        ),
    )


def _relation(connection: sqlite3.Connection, model: Model, time_ns: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO relations VALUES (?, ?, ?, ?, ?, ?, ?)",
        tuple(
            model[name]
            for name in (
                "relation_ref", "relation_type", "source_ref", "target_ref", "recorded_at", "origin_marker",
                "confidence_marker",
            )
        ),
    )  # fmt: skip


def _provenance(connection: sqlite3.Connection, model: Model, time_ns: int) -> None:
    given = ("provenance_ref", "relation_ref", "assertion_mode", "asserted_at")
    optional = ("formation_context_ref", "policy_ref", "evidence_bundle_ref")
    connection.execute(
        "INSERT OR REPLACE INTO provenance VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*(model[name] for name in given), *(model.get(name) or "" for name in optional)),
    )


def require_run(connection: sqlite3.Connection, run_ref: str, time_ns: int) -> int:
    """Return the row of a run's newest attempt; make one when there is none."""
    found = newest_attempt(connection, run_ref)
    if found is not None:
        return found.id
    if not is_ref(run_ref, kind="run"):
        raise ValueError(f"{run_ref!r} is not a run's reference")
    ensure_project(connection, run_ref, "", time_ns)
    made = connection.execute(
        "INSERT INTO runs (run_ref, attempt, project_name, name, state, started_at, started_ns) "
        "VALUES (?, 1, ?, ?, 0, ?, ?)",
        (run_ref, component(run_ref), component(run_ref, 1), format_ns(time_ns), time_ns),
    ).lastrowid
    assert made is not None
    return made


def _span(model: Model) -> tuple[int, int | None]:
    ended_at = model.get("ended_at")
    return parse_instant(model["started_at"]), parse_instant(ended_at) if ended_at else None


def _json(model: Model, name: str) -> str:
    return dumps(model[name]) if model.get(name) else ""


_APPLY = {
    "Project": _project,
    "Run": _run,
    "StageExecution": _stage,
    "BatchExecution": _batch,
    "SampleObservation": _sample,
    "OperationContext": _operation,
    "DeploymentExecution": _deployment,
    "EnvironmentSnapshot": _environment,
    "ArtifactManifest": _artifact,
    "LineageEdge": _relation,
    "ProvenanceRecord": _provenance,
}
