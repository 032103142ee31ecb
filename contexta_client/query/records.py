"""Records as they come from the daemon, page by page, and their export."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from contexta.contract.json_text import dumps
from contexta.errors import UnavailableError, ValidationError, nearest
from contexta.interpretation import ObservationRecord
from contexta.v1 import query_pb2

from .channel import Connection, message

FILTER_FIELDS = tuple(field.name for field in query_pb2.RecordFilter.DESCRIPTOR.fields)


class RecordStore:
    """The captured records: metrics, events, spans, degraded ones."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def scan(self, filter: Mapping[str, Any] | None = None, *, limit: int | None = None, **fields: Any) -> Iterator[
        ObservationRecord
    ]:  # fmt: skip
        """Yield the records that match, in the order in which they became durable, without holding more than a page.

        filter, fields: run_id, stage_id, batch_id, sample_id, record_type, key, project_name, started_at, ended_at,
        attempt, all_attempts. Raises ValidationError for another one at once, and NotFoundError for a run that is not
        there with the first record asked for.
        """
        wanted = record_filter({**(filter or {}), **fields})
        if limit == 0:
            return iter(())
        return self._pages(message(query_pb2.ScanRecordsRequest, filter=wanted, limit=limit))

    def _pages(self, request: query_pb2.ScanRecordsRequest) -> Iterator[ObservationRecord]:
        """Yield what a scan finds; when the daemon is replaced meanwhile, the new one goes on behind the last page."""
        while True:
            begun_at = request.cursor
            try:
                for page in self._connection.stream("query", "ScanRecords", request):
                    for record in page.records:
                        yield observation(record)
                    request.cursor = page.cursor
                    if request.limit:
                        request.limit -= len(page.records)
                        if not request.limit:
                            return
                return
            except UnavailableError:
                if request.cursor == begun_at:
                    raise

    def tail(self, filter: Mapping[str, Any] | None = None, *, from_start: bool = False) -> Iterator[ObservationRecord]:
        """Yield records as they become durable, until the iteration is ended."""
        request = message(query_pb2.TailRequest, filter=record_filter(filter or {}), from_start=from_start)
        return self._live(request)

    def _live(self, request: query_pb2.TailRequest) -> Iterator[ObservationRecord]:
        for page in self._connection.stream("query", "Tail", request):
            for record in page.records:
                yield observation(record)

    def export_jsonl(self, path: str | os.PathLike[str], filter: Mapping[str, Any] | None = None, **fields: Any) -> int:
        """Write the records that match as strict JSON lines; return how many. The file is whole, or not there."""
        target = Path(path)
        temporary = target.with_name(f".{target.name[:200]}.{os.urandom(6).hex()}.tmp")
        count = 0
        try:
            with temporary.open("x", encoding="utf-8") as file:
                for record in self.scan(filter, **fields):
                    file.write(dumps(record.to_dict()) + "\n")
                    count += 1
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        return count


def record_filter(fields: Mapping[str, Any]) -> query_pb2.RecordFilter:
    """Return the message for a filter. Raises ValidationError for a field that does not exist."""
    given = {name: value for name, value in fields.items() if value is not None}
    for name in given:
        if name not in FILTER_FIELDS:
            raise ValidationError(
                f"Records cannot be filtered by {name!r}; there are {', '.join(FILTER_FIELDS)}."
                + nearest(name, list(FILTER_FIELDS)),
                code="query_invalid",
            )
    return message(query_pb2.RecordFilter, **given)


def observation(record: query_pb2.Record) -> ObservationRecord:
    """Return a record as questions return it; a metric's value is exact."""
    which = record.WhichOneof("value")
    value = None if which is None else record.number if which == "number" else int(record.integer)
    return ObservationRecord(
        record_id=record.record_ref,
        run_id=record.run_id,
        stage_id=record.stage_id or None,
        batch_id=record.batch_id or None,
        sample_id=record.sample_id or None,
        record_type=record.record_type,
        key=record.key,
        observed_at=record.observed_at,
        value=value,
        message=record.message or None,
        completeness_marker=record.completeness_marker,
        degradation_marker=record.degradation_marker,
        payload=json.loads(record.payload_json or "{}"),
        tags=json.loads(record.tags_json or "{}"),
        schema_version=record.schema_version,
        producer_ref=record.producer_ref or None,
        correlation_id=record.trace_id or None,
        unit=record.unit or None,
        step=record.step if record.HasField("step") else None,
        rank=record.rank if record.HasField("rank") else None,
        operation_id=record.operation_id or None,
        deployment_id=record.deployment_id or None,
        attempt=record.attempt,
        recorded_at=record.recorded_at or None,
    )
