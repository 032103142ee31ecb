"""Records one by one, in the order of the log: for scans and for those who follow along."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contexta.contract.json_text import dumps
from contexta.errors import ValidationError
from contexta.v1 import capture_pb2, query_pb2
from contexta_daemon.batches import BadBatchError, decode, decode_step, format_ns
from contexta_daemon.catalog import BEGINNING, Key, Names, Scope, Session, component
from contexta_daemon.catalog.observations import (
    PRODUCER,
    SCHEMA_VERSION,
    Observation,
    Observer,
    metric_payload,
    record_ref,
    whole_number,
)
from contexta_daemon.catalog.schema import HAS_STORED, KIND_OF_RECORD
from contexta_daemon.catalog.stored import StoredContent, content_of, stored_at
from contexta_daemon.log import LoggedBatch, Position

from .finding import FoundRun, component_of, find_run
from .instants import MAX_NS, MIN_NS, asked_ns

_ROWS_AT_ONCE = 1_024
_CURSOR = struct.Struct("<QQI")  # segment, offset, item


@dataclass(frozen=True, slots=True)
class Cursor:
    """Behind which item of which batch to go on."""

    position: Position = BEGINNING
    item: int = 0

    def pack(self) -> bytes:
        return _CURSOR.pack(self.position.segment, self.position.offset, self.item)

    @classmethod
    def unpack(cls, data: bytes) -> Cursor:
        """Raises ValidationError for bytes that no page gave."""
        if not data:
            return cls()
        if len(data) != _CURSOR.size:
            raise ValidationError("The cursor is not one of this store.", code="cursor_invalid")
        segment, offset, item = _CURSOR.unpack(data)
        return cls(Position(segment, offset), item)


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """What a record must be. run: a row of runs, 0: any; run_ref: an attempt of this run from `attempt` on, "": any;
    times in ns."""

    run: int = 0
    run_ref: str = ""
    attempt: int = 0
    newest_only: bool = True
    stage_id: str = ""
    batch_id: str = ""
    sample_id: str = ""
    record_type: str = ""
    key: str = ""
    projects: frozenset[str] = frozenset()  # components of references; empty: any
    from_ns: int = -(1 << 63)
    until_ns: int = (1 << 63) - 1

    @classmethod
    def of(
        cls, connection: sqlite3.Connection, asked: query_pb2.RecordFilter, *, following: bool = False
    ) -> RecordFilter:
        """Check a filter and look its run up. A run of which no attempt is named is its newest attempt; following: and
        those that come after it; `all_attempts`: all of them. Raises NotFoundError, AmbiguousError and ValidationError.
        """
        if asked.record_type and asked.record_type not in KIND_OF_RECORD:
            raise ValidationError(
                f"record_type cannot be {asked.record_type!r}; it takes {', '.join(KIND_OF_RECORD)}.",
                code="invalid_argument",
            )
        run = find_run(connection, asked.run_id, asked.attempt) if asked.run_id else FoundRun(0, "", 0)
        onwards = run.id != 0 and not asked.attempt and (following or asked.all_attempts)
        return cls(
            run=0 if onwards else run.id,
            run_ref=run.run_ref if onwards else "",
            attempt=run.attempt if onwards and not asked.all_attempts else 0,
            newest_only=not asked.all_attempts,
            stage_id=asked.stage_id,
            batch_id=asked.batch_id,
            sample_id=asked.sample_id,
            record_type=asked.record_type,
            key=asked.key,
            projects=_projects(connection, asked.project_name),
            from_ns=asked_ns(asked.started_at) if asked.started_at else MIN_NS,
            until_ns=asked_ns(asked.ended_at) if asked.ended_at else MAX_NS,
        )

    @property
    def kinds(self) -> int:
        """Bits of batches.kinds, one of which a batch with such a record has."""
        return HAS_STORED | (KIND_OF_RECORD[self.record_type] if self.record_type else sum(KIND_OF_RECORD.values()))

    def takes(self, record_type: str) -> bool:
        return self.record_type in ("", record_type)

    def fits(self, scope: Scope, newest: bool) -> bool:
        """Whether a record of a scope can match."""
        if self.run and scope.run != self.run:
            return False
        if self.run_ref and (scope.run_ref != self.run_ref or scope.attempt < self.attempt):
            return False
        if not self.run and not self.run_ref and self.newest_only and not newest:
            return False
        if self.projects and scope.project not in self.projects:
            return False
        asked = (self.stage_id, self.batch_id, self.sample_id)
        found = (scope.stage_ref, scope.batch_ref, scope.sample_ref)
        return all(not ref or ref == of_scope for ref, of_scope in zip(asked, found, strict=True))


class RecordReader:
    """Turns logged batches into records. On one connection, for one thread at a time."""

    def __init__(self, connection: sqlite3.Connection, wanted: RecordFilter) -> None:
        self._connection = connection
        self._wanted = wanted
        self._names = Names(connection)
        self._observer = Observer(connection, self._names)

    def read(self, logged: LoggedBatch, *, behind: int = 0) -> Iterator[tuple[int, query_pb2.Record]]:
        """Yield (item behind which to go on, record) of a batch that the catalog has applied."""
        session = self._names.session(logged.envelope.session_id)
        if session is None:
            return
        try:
            batch = decode(logged)
        except BadBatchError:
            return
        first = logged.envelope.first_sequence
        for item, entry in enumerate(batch.entries):
            if item < behind:
                continue
            if entry.HasField("record_stored"):
                record = self._stored(entry.record_stored, logged.position, item)
            else:
                record = self._entry(session, entry, first + item)
            if record is not None:
                yield item + 1, record
        if not self._wanted.takes("metric"):
            return
        for columns in batch.columns:
            yield from self._metrics(
                session, columns.series, columns.value, columns.step, columns.time_ns, columns.first_item, first, behind
            )
        for rows in batch.rows:
            key_ids = self._names.group(session.id, rows.group_id)
            if key_ids is None or len(key_ids) != len(rows.value):
                continue
            k = len(key_ids)
            series = ((rows.scope_id[:, None] << np.uint64(32)) | key_ids.astype(np.uint64)[None, :]).reshape(-1)
            yield from self._metrics(
                session, series, rows.value.T.reshape(-1), np.repeat(rows.step, k), np.repeat(rows.time_ns, k),
                rows.first_item, first, behind,
            )  # fmt: skip

    def _metrics(
        self,
        session: Session,
        series: npt.NDArray[np.uint64],
        value: npt.NDArray[np.float64],
        step: npt.NDArray[np.int64],
        time_ns: npt.NDArray[np.int64],
        first_item: int,
        first: int,
        behind: int,
    ) -> Iterator[tuple[int, query_pb2.Record]]:
        wanted = self._wanted
        matching: dict[int, tuple[Scope, Key]] = {}
        for each in np.unique(series).tolist():
            scope, key = self._names.scope(session.id, each >> 32), self._names.key(session.id, each & 0xFFFF_FFFF)
            if scope is not None and key is not None and wanted.key in ("", key.key) and self._fits(scope):
                matching[each] = scope, key
        keep = np.isin(series, np.fromiter(matching, dtype=np.uint64, count=len(matching)))
        keep &= (time_ns >= wanted.from_ns) & (time_ns < wanted.until_ns)
        keep[: max(0, behind - first_item)] = False
        places = np.flatnonzero(keep)
        for start in range(0, len(places), _ROWS_AT_ONCE):  # a page may be all that is wanted
            part = places[start : start + _ROWS_AT_ONCE]
            steps, has_step = decode_step(step[part])
            columns = (part, series[part], value[part], steps, has_step, time_ns[part])
            for place, each, number, at_step, has, at_ns in zip(*(c.tolist() for c in columns), strict=True):
                scope, key = matching[each]
                item = first_item + place
                yield item + 1, _metric(session, scope, key, number, at_step if has else None, at_ns, first + item)

    def _entry(self, session: Session, entry: capture_pb2.Entry, sequence: int) -> query_pb2.Record | None:
        wanted = self._wanted
        kind = entry.WhichOneof("kind")
        if not wanted.from_ns <= entry.time_ns < wanted.until_ns:
            return None
        if kind == "wide_metric":
            metric = entry.wide_metric
            scope, key = self._names.scope(session.id, metric.scope_id), self._names.key(session.id, metric.key_id)
            if scope is None or key is None or not wanted.takes("metric") or not self._fits(scope):
                return None
            if wanted.key not in ("", key.key):
                return None
            value = whole_number(metric.value)
            if value is None:
                return None
            step = metric.step - (metric.step > 0) if metric.step else None
            return _metric(session, scope, key, value, step, entry.time_ns, sequence)
        seen = self._observer.observe(session, entry, sequence)
        if seen is None or not wanted.takes(seen.record_type) or wanted.key not in ("", seen.key):
            return None
        return _observed(seen) if self._fits(seen.scope) else None

    def _stored(self, stored: capture_pb2.RecordStored, position: Position, item: int) -> query_pb2.Record | None:
        """A record put through the stores: its envelope says where it belongs."""
        wanted = self._wanted
        place = stored_at(self._connection, stored.ref, position, item)
        if place is None:
            return None
        content = content_of(stored)
        envelope, payload, time_ns = content.envelope, content.payload, content.observed_ns
        texts = {name: text or "" for name, text in envelope.items() if name.endswith("_ref")}
        run_ref, deployment_ref = texts.get("run_ref", ""), texts.get("deployment_execution_ref", "")
        scope = Scope(
            kind=0, run=place.run, target=0, inherited=False, project=component(run_ref or deployment_ref),
            run_ref=run_ref, attempt=place.attempt, stage_ref=texts.get("stage_execution_ref", ""),
            batch_ref=texts.get("batch_execution_ref", ""), sample_ref=texts.get("sample_observation_ref", ""),
            operation_ref=texts.get("operation_context_ref", ""), deployment_ref=deployment_ref,
        )  # fmt: skip
        key = next((payload[k] for k in ("metric_key", "event_key", "span_name", "issue_key") if k in payload), "")
        fits = self._fits(scope) and wanted.takes(stored.record_type) and wanted.key in ("", key)
        if not fits or not wanted.from_ns <= time_ns < wanted.until_ns:
            return None
        try:
            return _put(stored, scope, key, content)
        except (ValueError, TypeError, AttributeError):  # a field of a type that the contract does not let through
            return None

    def _fits(self, scope: Scope) -> bool:
        return self._wanted.fits(scope, self._is_newest(scope.run))

    def _is_newest(self, run: int) -> bool:
        if not run or not self._wanted.newest_only:
            return True
        row = self._connection.execute("SELECT newest FROM runs WHERE id = ?", (run,)).fetchone()
        return row is None or bool(row[0])


def _projects(connection: sqlite3.Connection, name: str) -> frozenset[str]:
    """The components of references that a project's name, as given or as it stands in references, may mean."""
    if not name:
        return frozenset()
    rows = connection.execute("SELECT substr(project_ref, 9) FROM projects WHERE name = ?", (name,))
    return frozenset({name, component_of(name), *(row[0] for row in rows)})


def _number(value: object) -> float | int:
    """Numbers as they stand in JSON: non-finite ones are texts."""
    return float(value) if isinstance(value, str) else value if isinstance(value, int | float) else 0.0


def _located(scope: Scope) -> query_pb2.Record:
    return query_pb2.Record(
        run_id=scope.run_ref, stage_id=scope.stage_ref, batch_id=scope.batch_ref, sample_id=scope.sample_ref,
        operation_id=scope.operation_ref, deployment_id=scope.deployment_ref, attempt=scope.attempt,
    )  # fmt: skip


def _set_value(record: query_pb2.Record, value: float | int) -> None:
    if isinstance(value, int) and abs(value) > 1 << 53:
        record.integer = str(value)
    else:
        record.number = value


def _metric(
    session: Session, scope: Scope, key: Key, value: float | int, step: int | None, time_ns: int, sequence: int
) -> query_pb2.Record:
    at = format_ns(time_ns)
    shown = bool(value) if key.value_type == "bool" else value
    if key.value_type == "int64" and isinstance(value, float) and value.is_integer():
        shown = int(value)
    record = _located(scope)
    record.record_ref, record.record_type = record_ref(session, scope, "metric", sequence), "metric"
    record.key, record.unit, record.time_ns = key.key, key.unit, time_ns
    record.observed_at = record.recorded_at = at
    record.completeness_marker, record.degradation_marker = "complete", "none"
    record.producer_ref, record.schema_version, record.tags_json = PRODUCER, SCHEMA_VERSION, key.tags_json
    record.payload_json = dumps(metric_payload(key, shown, step))
    _set_value(record, value)
    if step is not None:
        record.step = step
    if session.rank is not None:
        record.rank = session.rank
    return record


def _observed(seen: Observation) -> query_pb2.Record:
    record = _located(seen.scope)
    at = format_ns(seen.time_ns)
    record.record_ref, record.record_type, record.key = seen.record_ref, seen.record_type, seen.key
    record.time_ns, record.observed_at, record.recorded_at = seen.time_ns, at, at
    record.message, record.payload_json, record.tags_json = seen.message, dumps(seen.payload), seen.tags_json
    record.completeness_marker = "partial" if seen.record_type == "degraded" else "complete"
    record.degradation_marker, record.trace_id = seen.degradation_marker, seen.trace_id
    record.producer_ref, record.schema_version = PRODUCER, SCHEMA_VERSION
    if seen.session.rank is not None:
        record.rank = seen.session.rank
    return record


def _put(stored: capture_pb2.RecordStored, scope: Scope, key: str, content: StoredContent) -> query_pb2.Record:
    """A record put through the stores. What stands in its payload alone is where captured ones have it too."""
    envelope, payload = content.envelope, content.payload
    record = _located(scope)
    record.record_ref, record.record_type, record.key = stored.ref, stored.record_type, key
    record.time_ns, record.observed_at = content.observed_ns, envelope["observed_at"]
    record.recorded_at = envelope.get("recorded_at", "")
    record.completeness_marker = envelope.get("completeness_marker", "complete")
    record.degradation_marker = envelope.get("degradation_marker", "none")
    record.producer_ref, record.schema_version = envelope.get("producer_ref", ""), SCHEMA_VERSION
    record.message = str(payload.get("message") or payload.get("summary") or "")
    record.unit, record.payload_json = str(payload.get("unit") or ""), dumps(payload)
    tags = payload.get("tags") or (payload.get("attributes") or {}).get("tags")
    if isinstance(tags, dict):
        record.tags_json = dumps(tags)
    correlation = envelope.get("correlation_refs") or {}
    record.trace_id = correlation.get("trace_id") or payload.get("trace_id") or ""
    if "value" in payload:
        _set_value(record, _number(payload["value"]))
    if content.rank is not None:
        record.rank = content.rank
    if content.step:
        record.step = content.step - (content.step > 0)
    return record
