"""The catalog killed while it follows: what is there is the effect of whole follows, and nothing else."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from logged import FakeLog, columns, key_defined, run_opened, scope_closed, scope_opened, session_opened

from contexta.errors import StorageError
from contexta_daemon.catalog import BEGINNING, Catalog, database
from contexta_daemon.catalog import catalog as catalog_module

BATCHES = 40


def scripted_log():
    log = FakeLog()
    log.add(1, session_opened(), run_opened(), scope_opened(2, 1, "stage", "stage:p.r.s"), key_defined(1, "x"))
    for number in range(BATCHES):
        scope_id = 3 + number
        log.add(
            1,
            scope_opened(scope_id, 2, "batch", f"batch:p.r.s.b-{number}"),
            scope_closed(scope_id),
            columns=[columns([float(number)] * 100, series=(scope_id, 1))],
        )
    return log


def dump(path):
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


class Damaged:
    """A connection that finds a damaged page where it is to write."""

    def __init__(self, connection):
        self._connection = connection

    def execute(self, statement, *bound):
        if statement.startswith("INSERT INTO sessions"):
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
            raise error
        return self._connection.execute(statement, *bound)

    def __getattr__(self, name):
        return getattr(self._connection, name)


@pytest.mark.parametrize("refused", ["unlink", "open_database"])
def test_one_that_cannot_be_made_again_at_once_is_made_again_when_it_can(tmp_path, monkeypatch, refused):
    log, catalog = scripted_log(), Catalog(tmp_path / "catalog.sqlite3")
    catalog.follow(log.batches[:3], log.batches[2].end)
    catalog._connection = Damaged(catalog._connection)
    with monkeypatch.context() as full:

        def refuse(*_, **__):
            raise OSError(errno.ENOSPC, "No space left on device")

        full.setattr(*((Path, refused) if refused == "unlink" else (catalog_module, refused)), refuse)
        batches = log.batches[3:]
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                catalog.follow(batches, log.committed)
            assert catalog.position == BEGINNING
            batches = list(log.read(catalog.position))
    catalog.follow(batches, log.committed)
    catalog.close()
    with closing(Catalog(tmp_path / "other.sqlite3")) as other:
        other.follow(log.batches, log.committed)
    assert dump(tmp_path / "catalog.sqlite3") == dump(tmp_path / "other.sqlite3")


KILLED = """
import os, signal, sqlite3, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_catalog_crash import scripted_log
from contexta.errors import StorageError
from contexta_daemon.catalog import Catalog, database
log, catalog = scripted_log(), Catalog(Path(sys.argv[1]))
statements = 0
def count(text):
    global statements
    statements += 1
    if statements == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
catalog._connection.set_trace_callback(count)
for batch in list(log.read(catalog.position)):
    catalog.follow([batch], batch.end)
"""


def test_killed_at_many_statements_the_catalog_ends_up_as_if_nothing_had_happened(tmp_path):
    log = scripted_log()
    undisturbed = Catalog(tmp_path / "undisturbed.sqlite3")
    for batch in log.batches:
        undisturbed.follow([batch], batch.end)
    undisturbed.close()
    path = tmp_path / "killed.sqlite3"
    here = str(Path(__file__).parent)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([here, str(Path(here).parent)])}
    kills = 0
    for at in (2, 7, 23, 61, 97, 143, 178):
        done = subprocess.run(
            [sys.executable, "-c", KILLED.format(tests=here), str(path), str(at)], env=environment, check=False
        )
        kills += done.returncode == -signal.SIGKILL
    assert kills >= 6
    catalog = Catalog(path)
    for batch in list(log.read(catalog.position)):
        catalog.follow([batch], batch.end)
    catalog.close()
    assert dump(path) == dump(tmp_path / "undisturbed.sqlite3")


def test_a_write_ahead_log_that_is_refused_once_is_asked_for_again(tmp_path, monkeypatch):
    refused = []

    class Refusing(sqlite3.Connection):
        def execute(self, text, *more):
            if "journal_mode = WAL" in text and not refused:
                refused.append(text)
                return super().execute("PRAGMA journal_mode")  # as SQLite answers when its sync failed
            return super().execute(text, *more)

    connect = sqlite3.connect
    monkeypatch.setattr(database.sqlite3, "connect", lambda *a, **named: connect(*a, factory=Refusing, **named))
    Catalog(tmp_path / "catalog.sqlite3").close()
    assert refused
    with closing(connect(tmp_path / "catalog.sqlite3")) as catalog:
        assert catalog.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_catalog_that_cannot_be_made_for_want_of_room_says_so_and_is_made_later(tmp_path, monkeypatch):
    def full(path):
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched, pytest.raises(StorageError, match="cannot be made: database or disk"):
        patched.setattr(database, "_connect", full)
        Catalog(tmp_path / "catalog.sqlite3")
    Catalog(tmp_path / "catalog.sqlite3").close()


def test_a_catalog_that_cannot_note_its_log_for_want_of_room_says_so_and_does_it_later(tmp_path):
    log, catalog = scripted_log(), Catalog(tmp_path / "catalog.sqlite3")
    catalog._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageError, match="cannot be written"):
        catalog.attach(b"l" * 16, log.batches[-1].end)
    catalog.close()
    again = Catalog(tmp_path / "catalog.sqlite3")
    assert again.attach(b"l" * 16, log.batches[-1].end) is False
    again.close()
