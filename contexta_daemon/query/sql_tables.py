"""The tables that SQL sees: columns with their types, and the question to the catalog that fills them.

Names are those of the shapes in contexta.interpretation. `runs.newest` tells the newest attempt of each run. What there
is none of is NULL; what has fields of its own (tags, metadata ...) is JSON text.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from contexta_daemon.batches import format_ns
from contexta_daemon.catalog.observations import binding_status
from contexta_daemon.catalog.schema import BATCH, SAMPLE, STAGE, STATES

from .listing import NEWEST_ARTIFACT, STAGE_NAME


@dataclass(frozen=True, slots=True)
class SqlTable:
    """`columns`: `name TYPE, …` as CREATE TABLE takes them; `query` yields them from the catalog in that order."""

    columns: str
    query: str


def define_functions(connection: sqlite3.Connection) -> None:
    """Make known to SQLite what the queries call."""
    functions: dict[str, tuple[int, Callable[..., Any]]] = {
        "state_name": (1, lambda state: STATES[state]),
        "instant": (1, lambda ns: format_ns(ns) if ns is not None else None),
        "step_of": (1, lambda stored: stored - (stored > 0) if stored else None),
        "binding": (2, lambda present, problem: binding_status(bool(present), problem)),
        "root": (1, lambda square: None if square is None else math.sqrt(max(square, 0.0))),
        "lower_hex": (1, lambda data: data.hex()),
    }
    for name, (count, function) in functions.items():
        connection.create_function(name, count, function, deterministic=True)


_OF_SCOPE = "FROM scopes s JOIN runs r ON r.id = s.run WHERE s.kind = {kind} ORDER BY s.id"
_RUN_OF = "nullif(a.run_ref, ''), r.attempt"

TABLES = {
    "projects": SqlTable(
        "project_ref VARCHAR, name VARCHAR, created_at VARCHAR, description VARCHAR, tags VARCHAR, run_count BIGINT",
        "SELECT p.project_ref, p.name, p.created_at, nullif(p.description, ''), nullif(p.tags_json, ''), "
        "(SELECT count(*) FROM runs r WHERE r.newest = 1 AND r.run_ref >= 'run:' || substr(p.project_ref, 9) || '.' "
        "AND r.run_ref < 'run:' || substr(p.project_ref, 9) || '/') "
        "FROM projects p ORDER BY p.created_ns, p.project_ref",
    ),
    "runs": SqlTable(
        "run_id VARCHAR, attempt INTEGER, newest BOOLEAN, project_name VARCHAR, name VARCHAR, status VARCHAR, "
        "started_at VARCHAR, ended_at VARCHAR, duration_s DOUBLE, tags VARCHAR, metadata VARCHAR, "
        "dataset_ref VARCHAR, code_revision VARCHAR, config_snapshot VARCHAR, worker_count BIGINT, "
        "lost_worker_count BIGINT, metric_count BIGINT, dropped_count BIGINT, reason VARCHAR",
        "SELECT r.run_ref, r.attempt, r.newest, r.project_name, r.name, state_name(r.state), r.started_at, "
        "nullif(r.ended_at, ''), (r.ended_ns - r.started_ns) / 1e9, nullif(r.tags_json, ''), "
        "nullif(r.metadata_json, ''), nullif(r.dataset_ref, ''), nullif(r.code_revision, ''), "
        "nullif(r.config_snapshot_json, ''), (SELECT count(*) FROM run_sessions j WHERE j.run = r.id), "
        "(SELECT count(*) FROM run_sessions j WHERE j.run = r.id AND j.lost = 1), r.metric_count, "
        "(SELECT coalesce(sum(d.metrics + d.entries), 0) FROM dropped d JOIN run_sessions j ON j.session = d.session "
        "WHERE j.run = r.id), nullif(r.reason, '') FROM runs r ORDER BY r.id",
    ),
    "stages": SqlTable(
        'stage_id VARCHAR, run_id VARCHAR, attempt INTEGER, name VARCHAR, status VARCHAR, "order" BIGINT, '
        "started_at VARCHAR, ended_at VARCHAR, duration_s DOUBLE, metadata VARCHAR, reason VARCHAR",
        "SELECT s.ref, r.run_ref, r.attempt, s.name, state_name(s.state), coalesce(s.ord, 0), s.started_at, "
        "nullif(s.ended_at, ''), (s.ended_ns - s.started_ns) / 1e9, nullif(s.metadata_json, ''), nullif(s.reason, '') "
        + _OF_SCOPE.format(kind=STAGE),
    ),
    "batches": SqlTable(
        'batch_id VARCHAR, run_id VARCHAR, attempt INTEGER, stage_id VARCHAR, name VARCHAR, status VARCHAR, '
        '"order" BIGINT, started_at VARCHAR, ended_at VARCHAR, duration_s DOUBLE, metadata VARCHAR, reason VARCHAR',
        "SELECT s.ref, r.run_ref, r.attempt, nullif(s.stage_ref, ''), s.name, state_name(s.state), "
        "coalesce(s.ord, 0), s.started_at, nullif(s.ended_at, ''), (s.ended_ns - s.started_ns) / 1e9, "
        "nullif(s.metadata_json, ''), nullif(s.reason, '') " + _OF_SCOPE.format(kind=BATCH),
    ),
    "samples": SqlTable(
        "sample_id VARCHAR, run_id VARCHAR, attempt INTEGER, stage_id VARCHAR, batch_id VARCHAR, name VARCHAR, "
        "observed_at VARCHAR, retention_class VARCHAR, redaction_profile VARCHAR, metadata VARCHAR",
        "SELECT s.ref, r.run_ref, r.attempt, nullif(s.stage_ref, ''), nullif(s.batch_ref, ''), s.name, s.started_at, "
        "nullif(s.retention_class, ''), nullif(s.redaction_profile, ''), nullif(s.metadata_json, '') "
        + _OF_SCOPE.format(kind=SAMPLE),
    ),
    "deployments": SqlTable(
        "deployment_id VARCHAR, project_name VARCHAR, name VARCHAR, status VARCHAR, run_id VARCHAR, "
        'artifact_ref VARCHAR, started_at VARCHAR, ended_at VARCHAR, "order" BIGINT, metadata VARCHAR, reason VARCHAR',
        "SELECT ref, project_name, name, state_name(state), nullif(run_ref, ''), nullif(artifact_ref, ''), "
        "started_at, nullif(ended_at, ''), coalesce(ord, 0), nullif(metadata_json, ''), "
        "nullif(reason, '') FROM deployments ORDER BY id",
    ),
    "artifacts": SqlTable(
        "artifact_ref VARCHAR, run_id VARCHAR, attempt INTEGER, stage_id VARCHAR, batch_id VARCHAR, "
        "sample_id VARCHAR, operation_id VARCHAR, deployment_id VARCHAR, kind VARCHAR, created_at VARCHAR, "
        "location VARCHAR, hash_value VARCHAR, size_bytes BIGINT, attributes VARCHAR, binding_status VARCHAR, "
        "problem VARCHAR, hash_pending BOOLEAN",
        f"SELECT a.ref, {_RUN_OF}, nullif(a.stage_ref, ''), nullif(a.batch_ref, ''), nullif(a.sample_ref, ''), "
        "nullif(a.operation_ref, ''), nullif(a.deployment_ref, ''), a.kind, a.created_at, a.location, "
        "nullif(a.hash_value, ''), a.size_bytes, nullif(a.attributes_json, ''), binding(a.present, a.problem), "
        "nullif(a.problem, ''), a.pending > 0 FROM artifacts a LEFT JOIN runs r ON r.id = a.run "
        f"WHERE {NEWEST_ARTIFACT} ORDER BY a.id",
    ),
    "environments": SqlTable(
        "environment_ref VARCHAR, run_id VARCHAR, attempt INTEGER, captured_at VARCHAR, python_version VARCHAR, "
        "platform VARCHAR, packages VARCHAR, environment_variables VARCHAR, command VARCHAR, host VARCHAR, "
        "git VARCHAR, details VARCHAR",
        "SELECT e.ref, r.run_ref, r.attempt, e.captured_at, e.python_version, e.platform, nullif(e.packages_json, ''), "
        "nullif(e.environment_variables_json, ''), nullif(e.command_json, ''), nullif(e.host, ''), "
        "nullif(e.git_json, ''), nullif(e.details_json, '') FROM environments e JOIN runs r ON r.id = e.run "
        "ORDER BY e.run, e.ref, e.session",
    ),
    "relations": SqlTable(
        "relation_ref VARCHAR, relation_type VARCHAR, source_ref VARCHAR, target_ref VARCHAR, recorded_at VARCHAR, "
        "origin_marker VARCHAR, confidence_marker VARCHAR",
        "SELECT ref, type, source_ref, target_ref, recorded_at, origin, confidence FROM relations ORDER BY ref",
    ),
    "workers": SqlTable(
        "session_id VARCHAR, run_id VARCHAR, attempt INTEGER, host VARCHAR, pid BIGINT, rank INTEGER, "
        "local_rank INTEGER, world_size INTEGER, status VARCHAR, opened_at VARCHAR, ended_at VARCHAR, items BIGINT",
        "SELECT lower_hex(s.session_id), r.run_ref, r.attempt, s.host, s.pid, s.rank, s.local_rank, s.world_size, "
        "CASE WHEN j.lost THEN 'lost' WHEN j.state = 0 THEN 'open' ELSE 'ended' END, instant(s.opened_ns), "
        "instant(coalesce(s.ended_ns, j.ended_ns)), s.items FROM run_sessions j JOIN sessions s ON s.id = j.session "
        "JOIN runs r ON r.id = j.run ORDER BY j.run, s.id",
    ),
    "series": SqlTable(
        "run_id VARCHAR, attempt INTEGER, metric_key VARCHAR, stage_id VARCHAR, stage_name VARCHAR, rank INTEGER, "
        "unit VARCHAR, count BIGINT, non_finite BIGINT, first DOUBLE, last DOUBLE, min DOUBLE, max DOUBLE, "
        "mean DOUBLE, std DOUBLE, first_at VARCHAR, last_at VARCHAR, last_step BIGINT, first_non_finite_step BIGINT",
        f"SELECT r.run_ref, r.attempt, m.key, nullif(m.stage_ref, ''), nullif({STAGE_NAME}, ''), nullif(m.rank, -1), "
        "nullif(m.unit, ''), m.points, m.points - m.finite, m.first_value, m.last_value, m.least, m.greatest, "
        "iif(m.finite, m.mean, NULL), iif(m.finite, root(m.squares / m.finite), NULL), instant(m.first_ns), "
        "instant(m.last_ns), step_of(m.last_step), iif(m.points > m.finite, step_of(m.odd_step), NULL) "
        "FROM summaries m JOIN runs r ON r.id = m.run LEFT JOIN scopes t ON t.run = m.run AND t.ref = m.stage_ref "
        "ORDER BY m.run, m.key, m.stage_ref, m.rank",
    ),
}
METRICS = "metrics"  # the points in the columns: their files, with `key` as metric_key
