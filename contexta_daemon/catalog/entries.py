"""Applying entries, one at a time and in the order of the log. One small method a kind."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

import numpy as np

from contexta.contract import is_ref
from contexta.contract.keys import MAX_TEXT_BYTES
from contexta.v1 import capture_pb2
from contexta_daemon.batches import format_ns

from .models import store_model
from .names import Names, Session, rank_of
from .observations import as_float, whole_number
from .schema import HAS_DEGRADED, HAS_EVENTS, HAS_METRICS, HAS_SPANS, HAS_STORED
from .scopes import STATE_OF_STATUS, Scopes, UnknownIdError
from .tally import Tallies

MAX_GROUP_KEYS = 65_536  # as many as a client puts into a row
_MAX_INT64 = (1 << 63) - 1
MAX_PATH_CHARS = 32_768  # some times what any system opens

# What makes a batch worth reading again for records. Entries of other kinds are in the catalog as a whole.
KINDS_OF_ENTRY = {
    "event": HAS_EVENTS,
    "span": HAS_SPANS,
    "degraded": HAS_DEGRADED,
    "wide_metric": HAS_METRICS,
    "dropped": HAS_DEGRADED,
    "record_stored": HAS_STORED,
}


class Entries:
    """Applies entries on the catalog's write connection. One thread at a time."""

    def __init__(self, connection: sqlite3.Connection, names: Names, scopes: Scopes, tallies: Tallies) -> None:
        self._connection = connection
        self._names = names
        self._scopes = scopes
        self._tallies = tallies
        self._apply: dict[str, Callable[[Session, Any, int], int]] = {
            "session_opened": self._session_opened,
            "scope_opened": self._scope_opened,
            "scope_closed": self._scope_closed,
            "key_defined": self._key_defined,
            "group_defined": self._group_defined,
            "event": self._record,
            "span": self._record,
            "degraded": self._degraded,
            "artifact_registered": self._artifact_registered,
            "artifact_hashed": self._artifact_hashed,
            "environment": self._environment,
            "wide_metric": self._wide_metric,
            "dropped": self._dropped,
            "session_ended": self._session_ended,
            "model_stored": self._model_stored,
        }

    def apply(self, session: Session, entry: capture_pb2.Entry) -> tuple[int, int]:
        """Apply one entry; return (bits of KINDS_OF_ENTRY, the scope id it hangs on). Raises UnknownIdError."""
        kind = entry.WhichOneof("kind")
        if kind is None:
            raise UnknownIdError("an entry of a kind that this version does not know")
        bits = KINDS_OF_ENTRY.get(kind, 0)
        method = self._apply.get(kind)
        if method is not None:
            body = getattr(entry, kind)
            bits |= method(session, body, entry.time_ns)
            return bits, getattr(body, "scope_id", 0) if bits else 0
        return bits, 0

    def _session_opened(self, session: Session, opened: capture_pb2.SessionOpened, time_ns: int) -> int:
        self._connection.execute(
            "UPDATE sessions SET parent_session_id = ?, host = ?, pid = ?, job_id = ?, rank = ?, local_rank = ?, "
            "world_size = ?, project_name = ?, launcher = ?, client_version = ?, opened_ns = ? WHERE id = ?",
            (
                opened.parent_session_id,
                opened.host,
                _fit(opened.pid),
                opened.job_id,
                rank_of(opened.rank) if opened.HasField("rank") else None,
                opened.local_rank if opened.HasField("local_rank") else None,
                opened.world_size if opened.HasField("world_size") else None,
                opened.project_name,
                opened.launcher,
                opened.client_version,
                time_ns,
                session.id,
            ),
        )
        self._names.forget_session(session.session_id)
        return 0

    def _scope_opened(self, session: Session, opened: capture_pb2.ScopeOpened, time_ns: int) -> int:
        self._scopes.open(session, opened, time_ns)
        return 0

    def _scope_closed(self, session: Session, closed: capture_pb2.ScopeClosed, time_ns: int) -> int:
        state = STATE_OF_STATUS.get(closed.status, 0) or STATE_OF_STATUS["failed"]
        self._scopes.close(session, closed.scope_id, state=state, time_ns=time_ns, reason=closed.reason)
        return 0

    def _key_defined(self, session: Session, key: capture_pb2.KeyDefined, time_ns: int) -> int:
        """Every line of a metric repeats what is said here. Tags that are too large are set aside alone: the metrics
        of the key are kept without them."""
        for text in (key.key, key.unit, key.value_type, key.aggregation_scope, key.summary_basis):
            if len(text.encode()) > MAX_TEXT_BYTES:
                raise UnknownIdError(f"key {key.key_id} is defined by a text of more than {MAX_TEXT_BYTES} bytes")
        tags_bytes = len(key.tags_json.encode())
        self._connection.execute(
            "INSERT OR REPLACE INTO session_keys VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                session.id,
                key.key_id,
                key.key,
                key.unit,
                key.value_type or "float64",
                key.aggregation_scope or "step",
                key.summary_basis or "raw_observation",
                key.tags_json if tags_bytes <= MAX_TEXT_BYTES else "",
            ),
        )
        if tags_bytes > MAX_TEXT_BYTES:
            raise UnknownIdError(f"key {key.key_id} goes without its tags: {tags_bytes} bytes, over {MAX_TEXT_BYTES}")
        return 0

    def _group_defined(self, session: Session, group: capture_pb2.GroupDefined, time_ns: int) -> int:
        if len(group.key_id) > MAX_GROUP_KEYS:
            raise UnknownIdError(f"group {group.group_id} has {len(group.key_id)} keys, more than {MAX_GROUP_KEYS}")
        key_ids = np.array(group.key_id, dtype="<u4").tobytes()
        self._connection.execute(
            "INSERT OR REPLACE INTO session_groups VALUES (?, ?, ?)", (session.id, group.group_id, key_ids)
        )
        return 0

    def _record(self, session: Session, record: capture_pb2.EventCaptured, time_ns: int) -> int:
        self._scopes.require(session, record.scope_id)
        return 0

    def _degraded(self, session: Session, degraded: capture_pb2.DegradedCaptured, time_ns: int) -> int:
        if degraded.scope_id:
            self._scopes.require(session, degraded.scope_id)
        return 0

    def _wide_metric(self, session: Session, metric: capture_pb2.WideMetric, time_ns: int) -> int:
        self._scopes.require(session, metric.scope_id)
        whole = whole_number(metric.value)
        if whole is None:
            raise UnknownIdError(f"a wide metric's value is a decimal integer, not {metric.value[:40]!r}")
        value = as_float(whole)
        self._tallies.add_single(session.id, metric.scope_id, metric.key_id, value, metric.step, time_ns)
        return 0

    def _artifact_registered(self, session: Session, made: capture_pb2.ArtifactRegistered, time_ns: int) -> int:
        scope = self._scopes.require(session, made.scope_id)
        if not is_ref(made.ref, kind="artifact"):
            raise UnknownIdError(f"an artifact cannot be {made.ref[:80]!r}")
        if not made.path.startswith("/") or len(made.path) > MAX_PATH_CHARS:
            raise UnknownIdError(f"an artifact cannot lie at {made.path[:80]!r}")
        self._connection.execute(
            "INSERT INTO artifacts (ref, session, run, scope, run_ref, stage_ref, batch_ref, sample_ref, "
            "operation_ref, deployment_ref, kind, created_at, created_ns, location, present, size_bytes, modified_ns, "
            "inode, attributes_json, pending) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) "
            "ON CONFLICT (ref, session, run) DO UPDATE SET scope = excluded.scope, "
            "stage_ref = excluded.stage_ref, batch_ref = excluded.batch_ref, sample_ref = excluded.sample_ref, "
            "operation_ref = excluded.operation_ref, deployment_ref = excluded.deployment_ref, kind = excluded.kind, "
            "created_at = excluded.created_at, created_ns = excluded.created_ns, location = excluded.location, "
            "present = excluded.present, size_bytes = excluded.size_bytes, modified_ns = excluded.modified_ns, "
            "inode = excluded.inode, attributes_json = excluded.attributes_json, hash_value = '', problem = '', "
            "detail = '', stored_path = '', pending = pending + excluded.pending",
            (
                made.ref,
                session.id,
                scope.run,
                made.scope_id,
                scope.run_ref,
                scope.stage_ref,
                scope.batch_ref,
                scope.sample_ref,
                scope.operation_ref,
                scope.deployment_ref,
                made.artifact_kind,
                format_ns(time_ns),
                time_ns,
                f"path:{made.path}",
                made.exists,
                _fit(made.size_bytes) if made.exists else None,
                made.modified_ns,
                _fit(made.inode),
                made.attributes_json,
                made.exists and made.compute_hash,
            ),
        )
        return 0

    def _artifact_hashed(self, session: Session, hashed: capture_pb2.ArtifactHashed, time_ns: int) -> int:
        registered_by = self._names.session(hashed.session_id)
        if registered_by is None:
            raise UnknownIdError(f"{hashed.ref} was hashed, but its session is not known")
        self._connection.execute(
            "UPDATE artifacts SET hash_value = ?, size_bytes = iif(? = '', size_bytes, ?), problem = ?, detail = ?, "
            "stored_path = ?, pending = max(pending - 1, 0) WHERE id = ?",
            (
                hashed.hash_value,
                hashed.hash_value,
                _fit(hashed.size_bytes),
                hashed.problem,
                hashed.detail,
                hashed.stored_path,
                self._names.artifact(registered_by.id, hashed.ref, hashed.scope_id),
            ),
        )
        return HAS_DEGRADED if hashed.problem else 0

    def _environment(self, session: Session, seen: capture_pb2.EnvironmentCaptured, time_ns: int) -> int:
        scope = self._scopes.require(session, seen.scope_id)
        self._connection.execute(
            "INSERT OR IGNORE INTO environments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                scope.run,
                seen.ref,
                session.id,
                format_ns(time_ns),
                seen.python_version,
                seen.platform,
                seen.packages_json,
                seen.environment_variables_json,
                seen.command_json,
                seen.host,
                seen.git_json,
                seen.details_json,
            ),
        )
        return 0

    def _dropped(self, session: Session, dropped: capture_pb2.Dropped, time_ns: int) -> int:
        self._connection.execute(
            "INSERT INTO dropped VALUES (?, ?, ?, ?) ON CONFLICT (session, reason) DO UPDATE SET "
            "metrics = max(metrics, excluded.metrics), entries = max(entries, excluded.entries)",
            (session.id, dropped.reason, _fit(dropped.metrics_total), _fit(dropped.entries_total)),
        )
        return 0

    def _session_ended(self, session: Session, ended: capture_pb2.SessionEnded, time_ns: int) -> int:
        self._connection.execute(
            "UPDATE sessions SET status = ?, ended_ns = ?, detail = ? WHERE id = ?",
            ("lost" if ended.lost else "ended", time_ns, ended.detail, session.id),
        )
        self._scopes.end_session(session, lost=ended.lost, time_ns=time_ns)
        return HAS_DEGRADED if ended.lost else 0

    def _model_stored(self, session: Session, stored: capture_pb2.ModelStored, time_ns: int) -> int:
        store_model(self._connection, stored, time_ns)
        return 0


def _fit(number: int) -> int:
    """SQLite's integers are signed 64 bits wide; the wire's may be unsigned."""
    return min(number, _MAX_INT64)


__all__ = ["KINDS_OF_ENTRY", "Entries"]
