"""The catalog: everything that was said in the log apart from the records themselves, in SQLite.

A follower of the log. Its position is stored in the same transaction as the effects of what was read up to there, so
that after a crash it goes on exactly where it stood; and all of it can be thrown away and made again from the log.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from contexta.errors import ContextaError, StorageError
from contexta_daemon.batches import BadBatchError, DecodedBatch, decode
from contexta_daemon.log import LoggedBatch, Position

from .database import CatalogDamagedError, connect_reader, open_database
from .entries import Entries
from .names import Names, Session
from .ranges import pack_ids
from .schema import HAS_METRICS
from .scopes import Scopes
from .stored import store_record
from .tally import Tallies, time_range

_log = logging.getLogger(__name__)
BEGINNING = Position(0, 0)

# What one entry may raise without being our bug: it is set aside, and the rest of its batch is applied.
_ENTRY_ERRORS = (ContextaError, ValueError, OverflowError, sqlite3.IntegrityError)


@dataclass(frozen=True, slots=True)
class PendingArtifact:
    """A registered file whose hash is not known yet, and what it looked like when it was registered."""

    id: int
    ref: str
    session_id: bytes
    path: str
    size_bytes: int
    modified_ns: int
    inode: int
    scope_id: int


class Catalog:
    """Follows the log into SQLite. `follow` is called by one thread at a time; readers use connections of their own.

    `position` is what is durably applied: everything in the log before it, and nothing behind it.
    """

    name = "catalog"

    def __init__(self, path: Path) -> None:
        self.path = path
        self._applied = threading.Condition()
        self._open()

    def _open(self) -> None:
        self._is_whole = False
        self._connection = open_database(self.path)
        self._names = Names(self._connection)
        self._tallies = Tallies()
        self._scopes = Scopes(self._connection, self._names)
        self._entries = Entries(self._connection, self._names, self._scopes, self._tallies)
        row = self._connection.execute("SELECT value FROM meta WHERE name = 'position'").fetchone()
        segment, _, offset = row[0].partition(":")
        self._position = Position(int(segment), int(offset))
        self._is_whole = True

    @property
    def position(self) -> Position:
        return self._position

    def close(self) -> None:
        """Close the write connection. Idempotent."""
        self._connection.close()

    def rebuild(self) -> None:
        """Throw everything away; the next follow starts at the beginning of the log.

        Raises StorageError or OSError when the disk refuses: then the next follow begins with trying it again.
        """
        self._is_whole = False
        with self._applied:
            self._position = BEGINNING  # of what is gone nothing is applied, whether or not the rest succeeds
        self._connection.close()
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        self._open()

    def attach(self, log_id: bytes, committed: Position) -> bool:
        """Say which log is followed, before the first follow. What was made of another log, or of more than this one
        holds (it was deleted), is thrown away. Returns whether it was. Raises StorageError when the disk refuses.
        """
        row = self._connection.execute("SELECT value FROM meta WHERE name = 'log_id'").fetchone()
        known = row[0] if row else None
        stale = self._position > committed or (self._position > BEGINNING and known != log_id)
        if stale:
            _log.warning("the catalog was made of another log: making it again from this one")
            self.rebuild()
        if stale or known != log_id:
            try:
                self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('log_id', ?)", (log_id,))
            except sqlite3.OperationalError as error:
                raise StorageError(f"the catalog {self.path} cannot be written: {error}", cause=error) from error
        return stale

    def follow(self, batches: Sequence[LoggedBatch], end: Position) -> None:
        """Apply batches and move to `end`, all or nothing. A batch that is none is set aside and noted."""
        if not self._is_whole:  # it was damaged, and could not be made again at once
            self.rebuild()
        connection = self._connection
        try:
            connection.execute("BEGIN IMMEDIATE")
            for batch in batches:
                self._apply(batch)
            self._tallies.flush(connection, self._names)
            connection.execute("UPDATE meta SET value = ? WHERE name = 'position'", (f"{end.segment}:{end.offset}",))
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._names.forget()
            self._scopes.forget()
            self._tallies.forget()
            if isinstance(error, sqlite3.DatabaseError) and _is_damage(error):
                self.rebuild()
                raise CatalogDamagedError(f"{self.path} was damaged and is made again: {error}") from error
            raise
        with self._applied:
            self._position = end
            self._applied.notify_all()

    def wait_applied(self, position: Position, *, timeout_s: float) -> bool:
        """Wait, in a thread, until everything before `position` is applied."""
        with self._applied:
            return self._applied.wait_for(lambda: self._position >= position, timeout_s)

    def connect(self) -> sqlite3.Connection:
        """Return a new read-only connection; the caller closes it."""
        return connect_reader(self.path)

    def stored_digests(self, refs: Sequence[str]) -> dict[str, bytes]:
        """Return the digest of each of these records that was put through the stores, by reference."""
        with closing(connect_reader(self.path)) as connection:
            return {
                ref: row[0]
                for ref in refs
                if (row := connection.execute("SELECT digest FROM stored_records WHERE ref = ?", (ref,)).fetchone())
            }

    def pending_artifacts(self) -> list[PendingArtifact]:
        """Everything that was registered to be hashed and is not, in the order of the log."""
        with closing(connect_reader(self.path)) as connection:
            rows = connection.execute(
                "SELECT a.id, a.ref, s.session_id, a.location, a.size_bytes, a.modified_ns, a.inode, a.scope "
                "FROM artifacts a JOIN sessions s ON s.id = a.session WHERE a.pending > 0 ORDER BY a.id"
            ).fetchall()
        return [
            PendingArtifact(row[0], row[1], row[2], row[3].removeprefix("path:"), *row[4:])
            for row in rows
        ]

    def has_pending_artifacts(self) -> bool:
        """Whether anything that was registered is still to be hashed."""
        with closing(connect_reader(self.path)) as connection:
            return connection.execute("SELECT 1 FROM artifacts WHERE pending > 0 LIMIT 1").fetchone() is not None

    def _apply(self, logged: LoggedBatch) -> None:
        session = self._session(logged)
        try:
            batch = decode(logged)
        except BadBatchError as error:
            self._set_aside(logged.position, 0, str(error))
            return
        kinds, scope_ids = self._apply_entries(session, logged, batch)
        scopes = [np.array(sorted(scope_ids), dtype=np.uint32)]
        keys: list[np.ndarray[tuple[int], np.dtype[np.uint32]]] = []
        for columns in batch.columns:
            distinct = self._tallies.add_columns(session.id, columns)
            scopes.append((distinct >> np.uint64(32)).astype(np.uint32))
            keys.append(distinct.astype(np.uint32))
        for rows in batch.rows:
            key_ids = self._names.group(session.id, rows.group_id)
            if key_ids is None or len(key_ids) != len(rows.value):
                self._set_aside(logged.position, rows.first_item, f"group {rows.group_id} is not defined like this")
                continue
            self._tallies.add_rows(session.id, rows, key_ids)
            scopes.append(np.unique(rows.scope_id).astype(np.uint32))
            keys.append(key_ids)
        wide = [entry.wide_metric.key_id for entry in batch.entries if entry.HasField("wide_metric")]
        if wide:
            keys.append(np.array(wide, dtype=np.uint32))
        if keys:
            kinds |= HAS_METRICS
        if kinds:
            self._index(session, logged, batch, kinds, np.unique(np.concatenate(scopes)), keys)

    def _apply_entries(self, session: Session, logged: LoggedBatch, batch: DecodedBatch) -> tuple[int, set[int]]:
        kinds, scope_ids = 0, set()
        for item, entry in enumerate(batch.entries):
            try:
                bits, scope_id = self._entries.apply(session, entry)
                if entry.HasField("record_stored"):
                    store_record(self._connection, self._tallies, entry.record_stored, item)
            except _ENTRY_ERRORS as error:
                self._set_aside(logged.position, item, str(error))
                continue
            if entry.HasField("session_opened"):
                session = self._names.session(session.session_id) or session
            kinds |= bits
            if scope_id:
                scope_ids.add(scope_id)
        return kinds, scope_ids

    def _index(
        self,
        session: Session,
        logged: LoggedBatch,
        batch: DecodedBatch,
        kinds: int,
        scope_ids: np.ndarray[tuple[int], np.dtype[np.uint32]],
        keys: list[np.ndarray[tuple[int], np.dtype[np.uint32]]],
    ) -> None:
        key_ids = np.unique(np.concatenate(keys)) if keys else np.empty(0, dtype=np.uint32)
        self._connection.execute(
            "INSERT INTO batches VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                logged.position.segment,
                logged.position.offset,
                session.id,
                kinds,
                logged.envelope.first_sequence,
                logged.envelope.count,
                *time_range(batch),
                pack_ids(scope_ids),
                pack_ids(key_ids),
            ),
        )

    def _session(self, logged: LoggedBatch) -> Session:
        envelope = logged.envelope
        items = envelope.first_sequence + envelope.count
        self._connection.execute(
            "INSERT INTO sessions (session_id, parent_session_id, host, pid, job_id, project_name, launcher, "
            "client_version, opened_ns, items) VALUES (?, x'', '', 0, '', '', '', '', ?, ?) "
            "ON CONFLICT (session_id) DO UPDATE SET items = max(items, excluded.items)",
            (envelope.session_id, envelope.appended_ns, items),
        )
        found = self._names.session(envelope.session_id)
        assert found is not None
        return found

    def _set_aside(self, position: Position, item: int, reason: str) -> None:
        _log.warning("set aside: batch at %s, item %d: %s", position, item, reason)
        self._connection.execute(
            "INSERT INTO set_aside VALUES (?, ?, ?, ?)", (position.segment, position.offset, item, reason[:1000])
        )


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


__all__ = ["BEGINNING", "Catalog", "PendingArtifact"]
