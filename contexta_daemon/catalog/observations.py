"""Records as the data model describes them, made from what the log holds: for the mirror's lines and for queries.

Also what follows from other entries and must not be silent: records that were dropped, a worker that vanished, a
registered file that changed are degraded records.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from contexta.contract.json_text import MAX_DEPTH
from contexta.v1 import capture_pb2
from contexta_daemon.batches import format_ns

from .names import Key, Names, Scope, Session

PRODUCER = "contexta.capture"
SCHEMA_VERSION = "1.0.0"
PAYLOAD_TYPES = {
    "metric": "MetricRecord",
    "event": "StructuredEventRecord",
    "span": "TraceSpanRecord",
    "degraded": "DegradedRecord",
}
_MAX_DIGITS = 4_000  # CPython refuses to convert more than 4,300
_MAX_DEPTH = 300  # of JSON; CPython follows less than 1,000 calls, those of all callers among them
_FLAT = MAX_DEPTH - 8  # as much as this can always be written, inside a record
_NOWHERE = Scope(kind=0, run=0, target=0, inherited=False, project="unknown")


@dataclass(frozen=True, slots=True)
class Observation:
    """One record. `payload` has the fields of the payload model, absent ones left out; floats may be non-finite."""

    record_ref: str
    record_type: str
    time_ns: int
    session: Session
    scope: Scope
    key: str
    payload: dict[str, Any]
    message: str = ""
    tags_json: str = ""
    trace_id: str = ""

    @property
    def degradation_marker(self) -> str:
        return "capture_gap" if self.record_type == "degraded" else "none"

    def envelope(self) -> dict[str, Any]:
        """Return the fields of RecordEnvelope."""
        return envelope(self.record_ref, self.record_type, format_ns(self.time_ns), self.session, self.scope) | (
            {"correlation_refs": {"trace_id": self.trace_id}}
            if self.trace_id
            else {}
        )


def record_ref(session: Session, scope: Scope, record_type: str, sequence: int) -> str:
    """Return the reference of the item of a session with this number."""
    return f"record:{scope.record_prefix}{record_type}-{session.short}-{sequence:x}"


def envelope(ref: str, record_type: str, at: str, session: Session, scope: Scope) -> dict[str, Any]:
    """Return the fields of RecordEnvelope, absent ones left out."""
    degraded = record_type == "degraded"
    fields = {
        "record_ref": ref,
        "record_type": record_type,
        "recorded_at": at,
        "observed_at": at,
        "producer_ref": PRODUCER,
        "run_ref": scope.run_ref,
        "deployment_execution_ref": scope.deployment_ref,
        "stage_execution_ref": scope.stage_ref,
        "batch_execution_ref": scope.batch_ref,
        "sample_observation_ref": scope.sample_ref,
        "operation_context_ref": scope.operation_ref,
        "completeness_marker": "partial" if degraded else "complete",
        "degradation_marker": "capture_gap" if degraded else "none",
        "rank": session.rank,
        "attempt": scope.attempt or None,
        "schema_version": SCHEMA_VERSION,
    }
    return present(fields)


def metric_payload(key: Key, value: float | int | bool, step: int | None) -> dict[str, Any]:
    """Return the fields of MetricPayload."""
    return present(
        {
            "metric_key": key.key,
            "value": value,
            "value_type": key.value_type,
            "unit": key.unit,
            "aggregation_scope": key.aggregation_scope,
            "tags": from_json(key.tags_json),
            "summary_basis": key.summary_basis,
            "step": step,
        }
    )


def whole_number(text: str) -> int | None:
    """Return the integer of a WideMetric; None when it is not plain decimal digits, or absurdly many of them."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _MAX_DIGITS:
        return None
    return int(text)


def as_float(value: Any) -> float:
    """Return a number as it stands in JSON: non-finite ones are texts; an integer beyond a double is infinite."""
    try:
        return float(value)
    except OverflowError:
        return float("-inf") if value < 0 else float("inf")


def present(fields: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not there. False and 0 are there."""
    return {name: value for name, value in fields.items() if value is not None and value != ""}


def from_json(text: str) -> Any:
    """Return what a *_json field holds; None when it is empty, the text itself when it is not JSON, or nested so deep
    that it could not be written again."""
    if not text:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_flat = text.count("[") + text.count("{") <= _FLAT
    return found if is_flat or _can_be_written(found) else text


def _can_be_written(value: Any) -> bool:
    """Whether `dumps` takes a value, also inside another one."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            item
            for each in level
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            break
    try:
        json.dumps(value, allow_nan=False)  # what has an infinity may be nested less deep
    except (ValueError, RecursionError):
        return False
    return not level


def binding_status(registered_there: bool, problem: str) -> str:
    """BOUND: the file is there. PENDING: it was not when it was registered. MISSING: it was, and then was gone."""
    if not registered_there:
        return "PENDING"
    return "MISSING" if problem == "missing" else "BOUND"


class Observer:
    """Makes the records of entries. Reads the catalog on the connection it is given, which must be ahead of them."""

    def __init__(self, connection: sqlite3.Connection, names: Names) -> None:
        self._connection = connection
        self._names = names

    def observe(self, session: Session, entry: capture_pb2.Entry, sequence: int) -> Observation | None:
        """Return the record that an entry is, or that follows from it; None when it is none."""
        kind = entry.WhichOneof("kind") or ""
        make = getattr(self, f"_{kind}", None) if kind in _RECORDS else None
        found: Observation | None = make(session, getattr(entry, kind), entry.time_ns, sequence) if make else None
        return found

    def _event(self, session: Session, event: capture_pb2.EventCaptured, time_ns: int, sequence: int) -> Observation:
        scope = self._scope(session, event.scope_id)
        attributes = from_json(event.attributes_json)
        if event.tags_json and (attributes is None or (isinstance(attributes, dict) and "tags" not in attributes)):
            attributes = {**(attributes or {}), "tags": from_json(event.tags_json)}
        payload = {
            "event_key": event.key,
            "level": event.level or "info",
            "message": event.message,
            "attributes": attributes,
            "origin_marker": "explicit_capture",
        }
        if not event.message:
            payload["message"] = ""
        return Observation(
            record_ref(session, scope, "event", sequence), "event", time_ns, session, scope, event.key,
            {name: value for name, value in payload.items() if value is not None}, event.message, event.tags_json,
        )  # fmt: skip

    def _span(self, session: Session, span: capture_pb2.SpanCaptured, time_ns: int, sequence: int) -> Observation:
        scope = self._scope(session, span.scope_id)
        payload = present(
            {
                "span_id": span.span_id,
                "trace_id": span.trace_id,
                "parent_span_id": span.parent_span_id,
                "span_name": span.name,
                "started_at": format_ns(span.started_ns),
                "ended_at": format_ns(span.ended_ns),
                "status": span.status or "ok",
                "span_kind": span.span_kind or "operation",
                "attributes": from_json(span.attributes_json),
                "linked_refs": list(span.linked_ref) or None,
            }
        )
        return Observation(
            record_ref(session, scope, "span", sequence), "span", time_ns, session, scope, span.name, payload,
            trace_id=span.trace_id,
        )  # fmt: skip

    def _degraded(
        self, session: Session, degraded: capture_pb2.DegradedCaptured, time_ns: int, sequence: int
    ) -> Observation:
        scope = self._scope(session, degraded.scope_id)
        return self._issue(
            session, scope, time_ns, sequence, issue_key=degraded.issue_key, category=degraded.category,
            severity=degraded.severity, summary=degraded.summary, subject_ref=degraded.subject_ref,
            attributes=from_json(degraded.attributes_json),
        )  # fmt: skip

    def _dropped(self, session: Session, dropped: capture_pb2.Dropped, time_ns: int, sequence: int) -> Observation:
        total = dropped.metrics_total + dropped.entries_total
        return self._issue(
            session, self._scope(session, 0), time_ns, sequence, issue_key="records-dropped", category="capture",
            severity="error", summary=f"{total} records of this process were not kept so far: {dropped.reason}",
            attributes={"reason": dropped.reason, "metrics_total": dropped.metrics_total,
                        "entries_total": dropped.entries_total},
        )  # fmt: skip

    def _session_ended(
        self, session: Session, ended: capture_pb2.SessionEnded, time_ns: int, sequence: int
    ) -> Observation | None:
        if not ended.lost:
            return None
        return self._issue(
            session, self._scope(session, 0), time_ns, sequence, issue_key="worker-lost", category="capture",
            severity="error", summary=ended.detail or "the process vanished without ending its session",
        )  # fmt: skip

    def _artifact_hashed(
        self, session: Session, hashed: capture_pb2.ArtifactHashed, time_ns: int, sequence: int
    ) -> Observation | None:
        registered_by = self._names.session(hashed.session_id)
        if not hashed.problem or registered_by is None:
            return None
        row = self._connection.execute(
            "SELECT scope FROM artifacts WHERE id = ?",
            (self._names.artifact(registered_by.id, hashed.ref, hashed.scope_id),),
        ).fetchone()
        scope = self._scope(registered_by, row[0] if row else 0)
        return self._issue(
            session, scope, time_ns, sequence, issue_key=f"artifact-{hashed.problem}", category="verification",
            severity="error", summary=hashed.detail or f"the artifact's file is {hashed.problem}",
            subject_ref=hashed.ref,
        )  # fmt: skip

    def _issue(self, session: Session, scope: Scope, time_ns: int, sequence: int, **fields: Any) -> Observation:
        payload = present(fields | {"origin_marker": "explicit_capture"})
        return Observation(
            record_ref(session, scope, "degraded", sequence), "degraded", time_ns, session, scope,
            str(fields["issue_key"]), payload, str(fields["summary"]),
        )  # fmt: skip

    def _scope(self, session: Session, scope_id: int) -> Scope:
        """The scope of a record; for 0 the first run of the session, if it has one."""
        if scope_id:
            return self._names.scope(session.id, scope_id) or _NOWHERE
        row = self._connection.execute(
            "SELECT min(scope_id) FROM session_scopes WHERE session = ? AND kind = 1", (session.id,)
        ).fetchone()
        found = self._names.scope(session.id, row[0]) if row[0] else None
        return found or Scope(0, 0, 0, inherited=False, project=_component_of(session.project_name))


def _component_of(name: str) -> str:
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.lower()).strip("-")
    return "-".join(part for part in kept.split("-") if part)[:63] or "unknown"


_RECORDS = frozenset({"event", "span", "degraded", "dropped", "session_ended", "artifact_hashed"})
