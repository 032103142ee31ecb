"""Opening the catalog's file. One that is damaged, of another version or not there is made anew: the log has it all."""

from __future__ import annotations

import logging
import os
import sqlite3
from pathlib import Path

from contexta.errors import StorageError

from .observations import from_json
from .schema import TABLES, VERSION

_log = logging.getLogger(__name__)
BUSY_TIMEOUT_S = 10.0
CHECKED_BYTES = 32 << 20  # a larger file would delay the start; damage in it is noticed when it is met


class CatalogDamagedError(StorageError):
    """SQLite found its file damaged while it was in use; it is made again from the log."""

    default_code = "catalog_damaged"
    default_retryable = True


def open_database(path: Path) -> sqlite3.Connection:
    """Return the write connection. Transactions are explicit (autocommit otherwise).

    Raises StorageError or OSError when the disk refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    connection = _open_existing(path) if path.exists() else None
    if connection is not None:
        return connection
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    try:
        connection = _connect(path)
        connection.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {VERSION};")
        connection.execute("INSERT INTO meta VALUES ('position', '0:0')")
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise StorageError(f"the catalog {path} cannot be made: {error}", cause=error) from error
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Return a connection that can only read, to be used by one thread at a time.

    It knows `folded(text)`, to compare without case: SQLite's lower() knows the letters of ASCII alone; and
    `same_json(text, text)`, to compare lists and mappings: SQLite has but their texts.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA query_only = ON")
    connection.create_function("folded", 1, str.casefold, deterministic=True)
    connection.create_function("same_json", 2, _same_json, deterministic=True)
    return connection


def _same_json(left: str, right: str) -> bool:
    return bool(from_json(left) == from_json(right))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    _log_ahead(connection, path)
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -16000")
    return connection


def _log_ahead(connection: sqlite3.Connection, path: Path) -> None:
    """Have the writer and the readers not wait for each other. SQLite refuses that without an error, once when a sync
    fails, and always where memory cannot be shared."""
    for _ in range(2):
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode == "wal":
            return
    _log.warning("SQLite keeps no write-ahead log for %s but %r: answers wait for what is written", path, mode)


def _open_existing(path: Path) -> sqlite3.Connection | None:
    connection = None
    try:
        connection = _connect(path)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        position = connection.execute("SELECT value FROM meta WHERE name = 'position'").fetchone()
        if version == VERSION and position is not None:
            found = "ok"
            if path.stat().st_size <= CHECKED_BYTES:
                (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found == "ok":
                return connection
            _log.warning("%s is damaged (%s): making it again from the log", path, found)
        else:
            _log.warning("%s is of version %s, this is %s: making it again from the log", path, version, VERSION)
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            if connection is not None:
                connection.close()
            raise StorageError(f"the catalog {path} cannot be opened: {error}", cause=error) from error
        _log.warning("%s is not a catalog (%s): making it again from the log", path, error)
    except sqlite3.DatabaseError as error:
        _log.warning("%s is damaged (%s): making it again from the log", path, error)
    if connection is not None:
        connection.close()
    return None
