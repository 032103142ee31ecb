"""Records as they come from the daemon, page by page, and their export."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from contexta.capture.results import PayloadFamily
from contexta.capture.sinks import Sink
from contexta.contract.json_text import dumps
from contexta.contract.times import canonical_time
from contexta.errors import UnavailableError, ValidationError, nearest
from contexta.interpretation import ObservationRecord
from contexta.interpretation.messages import observation
from contexta.v1 import query_pb2, store_pb2

from .channel import Connection, message
from .stores import put_records

FILTER_FIELDS = tuple(field.name for field in query_pb2.RecordFilter.DESCRIPTOR.fields)


@dataclass(frozen=True, slots=True)
class AppendReceipt:
    """A record that is durable. duplicate: it had been stored before, with the same content."""

    record_ref: str
    accepted: bool = True
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class IntegrityReport:
    """What reading the whole log found. intact: nothing is damaged; bytes: of frames, compressed."""

    intact: bool
    segments: int
    batches: int
    items: int
    bytes: int
    problems: tuple[str, ...] = ()


class RecordStore:
    """The records of a workspace, captured or put: metrics, events, spans, degraded ones."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def append(self, record: Any) -> AppendReceipt:
        """Put a record: a record model, or a mapping with `envelope` and `payload`. It is durable on return.

        A reference that is stored with the same content is accepted once. Raises ValidationError, and RejectedError
        where its content is another or has more than 4 MiB.
        """
        return self.append_many([record])[0]

    def append_many(self, records: Iterable[Any]) -> list[AppendReceipt]:
        """Put records with as few calls as they fit in; a receipt for each, in order.

        Raises as `append`; what came in calls before the one that failed is stored.
        """
        found = put_records(self._connection, records)
        return [AppendReceipt(each.record_ref, duplicate=each.duplicate) for each in found]

    def replay(
        self,
        filter: Mapping[str, Any] | None = None,
        *,
        sinks: Sequence[Sink] = (),
        handler: Callable[[ObservationRecord], object] | None = None,
        **fields: Any,
    ) -> int:
        """Hand the records that match to sinks (as RECORD payloads) and a handler, in order; return how many.

        What a sink or the handler raises ends the replay.
        """
        count = 0
        for record in self.scan(filter, **fields):
            for sink in sinks:
                sink.capture(PayloadFamily.RECORD, record.to_dict())
            if handler is not None:
                handler(record)
            count += 1
        return count

    def check_integrity(self) -> IntegrityReport:
        """Have the daemon read every frame of the log and check it."""
        found = self._connection.call("store", "CheckIntegrity", store_pb2.CheckIntegrityRequest(), deadline_s=3600)
        return IntegrityReport(
            found.intact, found.segments, found.batches, found.items, found.bytes, tuple(found.problems)
        )

    def scan(self, filter: Mapping[str, Any] | None = None, *, limit: int | None = None, **fields: Any) -> Iterator[
        ObservationRecord
    ]:  # fmt: skip
        """Yield the records that match, in the order in which they became durable, without holding more than a page.

        filter, fields: run_id, stage_id, batch_id, sample_id, record_type, key, project_name, started_at, ended_at,
        attempt, all_attempts; times are ISO-8601 texts or aware datetimes. Raises ValidationError at once for
        what cannot be asked, and NotFoundError for a run that is not there with the first record asked for.
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
        """Yield records as they become durable, until the iteration is ended. Of a run, without an attempt named, those
        of its newest one, and then of each that comes after it."""
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
    """Return the message for a filter. Raises ValidationError for a field that does not exist, or a time of no zone."""
    given = {
        name: canonical_time(value, field=name) if isinstance(value, datetime) else value
        for name, value in fields.items()
        if value is not None
    }
    for name in given:
        if name not in FILTER_FIELDS:
            raise ValidationError(
                f"Records cannot be filtered by {name!r}; there are {', '.join(FILTER_FIELDS)}."
                + nearest(name, list(FILTER_FIELDS)),
                code="query_invalid",
            )
    return message(query_pb2.RecordFilter, **given)
