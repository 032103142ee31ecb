"""A run as a whole, whose records are read from the daemon as they are looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

from contexta.interpretation import ObservationRecord, RunSnapshot
from contexta.interpretation.messages import from_message, observation
from contexta.v1 import query_pb2 as pb

from .channel import Connection, message
from .records import RecordStore

PAGE_RECORDS = 1_000


class LazyRecords(Sequence[ObservationRecord]):
    """The records of one attempt of a run, in the order of the log, which is that of `RecordStore.scan`: by when they
    became durable; of what came in one batch, captured metrics are last, whatever their times. Always holds one page of
    them, and where each page begins.

    The length is asked for once; records that come later are not counted in.
    """

    def __init__(self, connection: Connection, run_id: str, attempt: int) -> None:
        self._connection = connection
        self._filter = pb.RecordFilter(run_id=run_id, attempt=attempt)
        self._length: int | None = None
        self._starts = [b""]  # cursors: where page 0, 1, 2 ... begins
        self._page: tuple[int, list[ObservationRecord]] = (-1, [])

    def __len__(self) -> int:
        if self._length is None:
            asked = pb.CountRecordsRequest(filter=self._filter)
            self._length = int(self._connection.call("query", "CountRecords", asked, deadline_s=300).count)
        return self._length

    def __iter__(self) -> Iterator[ObservationRecord]:
        fields = {"run_id": self._filter.run_id, "attempt": self._filter.attempt}
        return RecordStore(self._connection).scan(fields, limit=len(self) or 0)

    @overload
    def __getitem__(self, index: int) -> ObservationRecord: ...
    @overload
    def __getitem__(self, index: slice) -> list[ObservationRecord]: ...
    def __getitem__(self, index: int | slice) -> ObservationRecord | list[ObservationRecord]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        number, within = divmod(place, PAGE_RECORDS)
        page = self._load(number)
        if within >= len(page):
            raise IndexError(f"record {index}: the log no longer holds it")
        return page[within]

    def _load(self, number: int) -> list[ObservationRecord]:
        """Return a page; on the way to it, pages before it are walked once, to learn where each begins."""
        if self._page[0] == number:
            return self._page[1]
        at = min(number, len(self._starts) - 1)
        while True:
            records, end = self._read(self._starts[at])
            if at + 1 == len(self._starts) and len(records) == PAGE_RECORDS:
                self._starts.append(end)
            if at == number or len(records) < PAGE_RECORDS:
                self._page = (at, records)
                return records if at == number else []
            at += 1

    def _read(self, cursor: bytes) -> tuple[list[ObservationRecord], bytes]:
        asked = message(pb.ScanRecordsRequest, filter=self._filter, limit=PAGE_RECORDS, cursor=cursor)
        records: list[ObservationRecord] = []
        for page in self._connection.stream("query", "ScanRecords", asked):
            records += map(observation, page.records)
            cursor = page.cursor
        return records, cursor


def run_snapshot(connection: Connection, run_id: str) -> RunSnapshot:
    """Return all about a run. Raises NotFoundError and AmbiguousError."""
    found = connection.call("query", "GetRunSnapshot", message(pb.RunRequest, run_id=run_id), deadline_s=300)
    records = LazyRecords(connection, found.run.run_id, found.run.attempt)
    return from_message(found, RunSnapshot, records=records)
