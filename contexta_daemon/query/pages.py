"""Records in pages. Only batches that the catalog's index says may hold what is wanted are read from the log."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from contexta.v1 import query_pb2
from contexta_daemon.catalog.ranges import holds_any
from contexta_daemon.catalog.schema import HAS_DEGRADED, HAS_METRICS, HAS_STORED
from contexta_daemon.log import LogCorruptError, LogTruncatedError, Position, ReadableLog

from .records import Cursor, RecordFilter, RecordReader

PAGE_RECORDS = 1_000
READ_BYTES = 4 << 20
_INDEX_ROWS = 256

# Records that follow from what the daemon itself says (a file that changed) stand in its own session, and stored ones
# in that of whoever stored them: these are looked at for any run.
_ANYWHERE = HAS_DEGRADED | HAS_STORED
_INDEX = f"""
SELECT segment, offset, session, kinds, keys FROM batches
WHERE (segment, offset) >= (?1, ?2) AND (segment, offset) < (?3, ?4) AND kinds & ?5
  AND (min_ns < ?6 AND max_ns >= ?7 OR kinds & {HAS_STORED})
  AND (?8 = 0 AND ?9 = '' OR kinds & {_ANYWHERE} OR session IN (
    SELECT j.session FROM run_sessions j JOIN runs r ON r.id = j.run
    WHERE r.id = ?8 OR r.run_ref = ?9 AND r.attempt >= ?10))
ORDER BY segment, offset LIMIT {_INDEX_ROWS}
"""


class Pages:
    """Reads on from `at` at each call of `next`. On one connection, for one thread at a time."""

    def __init__(self, log: ReadableLog, connection: sqlite3.Connection, wanted: RecordFilter, at: Cursor) -> None:
        self._log = log
        self._connection = connection
        self._wanted = wanted
        self._reader = RecordReader(connection, wanted)
        self.at = at

    def next(self, end: Position, *, limit: int = PAGE_RECORDS) -> query_pb2.RecordPage:
        """Return at most `limit` records from `at` on, and move there. Empty pages come too; at `end` all was read."""
        page = query_pb2.RecordPage()
        read = 0
        for position in self._positions(end):
            try:
                logged = self._log.read_at(position, metrics=bool(self._wanted.kinds & HAS_METRICS))
            except (LogCorruptError, LogTruncatedError):
                continue  # counted by the log, shown by the status
            behind = self.at.item if position == self.at.position else 0
            for item, record in self._reader.read(logged, behind=behind):
                page.records.append(record)
                if len(page.records) >= limit:
                    self.at = Cursor(position, item)
                    page.cursor = self.at.pack()
                    return page
            self.at = Cursor(logged.end)
            read += len(logged.body)
            if read >= READ_BYTES:
                break
        else:
            self.at = Cursor(max(end, self.at.position))
        page.cursor = self.at.pack()
        return page

    def _positions(self, end: Position) -> Iterator[Position]:
        wanted, start = self._wanted, self.at.position
        while True:
            rows = self._connection.execute(
                _INDEX,
                (
                    start.segment, start.offset, end.segment, end.offset, wanted.kinds, wanted.until_ns,
                    wanted.from_ns, wanted.run, wanted.run_ref, wanted.attempt,
                ),
            ).fetchall()  # fmt: skip
            for segment, offset, session, kinds, keys in rows:
                if kinds != HAS_METRICS or not wanted.key or holds_any(keys, self._keys_of(session)):
                    yield Position(segment, offset)
                start = Position(segment, offset + 1)
            if len(rows) < _INDEX_ROWS:
                return

    def _keys_of(self, session: int) -> frozenset[int]:
        """The ids by which a session means the key that is wanted; it may define more later."""
        rows = self._connection.execute(
            "SELECT key_id FROM session_keys WHERE session = ? AND key = ?", (session, self._wanted.key)
        )
        return frozenset(row[0] for row in rows)
