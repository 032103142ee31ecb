"""Which attempt of a run a session belongs to, and how an attempt ends. Decided in the order of the log.

A session that opens a run begins a new attempt or joins the newest one:

    no attempt yet                                        -> attempt 1
    begun by one of its sessions, inherited or before the attempt ended -> joins
    inherited, and the one that began it was not heard of -> a new attempt, which that one then joins
    it is the process that began one of its sessions, and nobody owns the attempt yet -> joins
    `resume`                                              -> joins, and takes the place of those that have ended
    the session itself is among them                      -> a new attempt
    a worker of the same job: of a rank not there yet, or while the attempt is open -> joins
    anything else                                         -> a new attempt

An attempt is open while a session that opened it itself (not inherited) has not closed it; then it is what its worst
ending was. A child that vanished with scopes of its own open fails it too.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from contexta.v1 import capture_pb2
from contexta_daemon.batches import format_ns

from .names import component
from .schema import COMPLETED, FAILED, OPEN, SUPERSEDED

_MAX_ANCESTORS = 64


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of runs."""

    id: int
    run_ref: str
    attempt: int


def newest_attempt(connection: sqlite3.Connection, run_ref: str) -> Attempt | None:
    row = connection.execute(
        "SELECT id, attempt FROM runs WHERE run_ref = ? ORDER BY attempt DESC LIMIT 1", (run_ref,)
    ).fetchone()
    return Attempt(row[0], run_ref, row[1]) if row else None


def attempt_of(connection: sqlite3.Connection, run_ref: str, number: int) -> Attempt | None:
    row = connection.execute("SELECT id FROM runs WHERE run_ref = ? AND attempt = ?", (run_ref, number)).fetchone()
    return Attempt(row[0], run_ref, number) if row else None


def open_run(
    connection: sqlite3.Connection, session: int, opened: capture_pb2.ScopeOpened, time_ns: int
) -> Attempt:
    """Apply that a session opened a run; return the attempt it now belongs to."""
    newest = newest_attempt(connection, opened.ref)
    if newest is not None and _joins(connection, newest, session, opened, time_ns):
        attempt = newest
        if opened.resume and not opened.inherited:
            _supersede(connection, attempt.id, session)
        _fill_in(connection, attempt.id, opened, time_ns)
    else:
        attempt = _begin(connection, opened, time_ns, 1 if newest is None else newest.attempt + 1)
    connection.execute(
        "INSERT INTO run_sessions (run, session, inherited, state) VALUES (?, ?, ?, 0) "
        "ON CONFLICT (run, session) DO UPDATE "
        "SET inherited = min(inherited, excluded.inherited), state = 0, reason = ''",
        (attempt.id, session, opened.inherited),
    )
    settle(connection, attempt.id)
    return attempt


def leave_run(
    connection: sqlite3.Connection,
    run: int,
    session: int,
    *,
    state: int,
    time_ns: int,
    lost: bool = False,
    reason: str = "",
) -> None:
    """Apply that a session closed a run, ended or vanished."""
    connection.execute(
        "UPDATE run_sessions SET state = ?, ended_ns = ?, lost = max(lost, ?), reason = iif(? != '', ?, reason) "
        "WHERE run = ? AND session = ?",
        (state, time_ns, lost, reason, reason, run, session),
    )
    settle(connection, run)


def settle(connection: sqlite3.Connection, run: int) -> None:
    """Make the status and end of an attempt follow from those of its sessions."""
    joined = connection.execute(
        "SELECT inherited, state, lost, ended_ns FROM run_sessions WHERE run = ?", (run,)
    ).fetchall()
    owners = [row for row in joined if not row[0]] or joined
    ended = [row for row in owners if row[1] != OPEN]
    if len(ended) < len(owners):
        connection.execute("UPDATE runs SET state = 0, ended_at = '', ended_ns = NULL WHERE id = ?", (run,))
        return
    state = max((row[1] for row in owners if row[1] != SUPERSEDED), default=COMPLETED)
    if any(lost for inherited, joined_state, lost, _ in joined if inherited and joined_state != SUPERSEDED):
        state = FAILED
    ended_ns = max(row[3] for row in ended)
    connection.execute(
        "UPDATE runs SET state = ?, ended_at = ?, ended_ns = ?, reason = coalesce((SELECT reason FROM run_sessions "
        "WHERE run = runs.id AND reason != '' AND state = ? ORDER BY ended_ns LIMIT 1), '') WHERE id = ?",
        (state, format_ns(ended_ns), ended_ns, state, run),
    )


def _joins(
    connection: sqlite3.Connection, newest: Attempt, session: int, opened: capture_pb2.ScopeOpened, time_ns: int
) -> bool:
    members = {
        row[0]: row[1:]
        for row in connection.execute(
            "SELECT s.id, s.session_id, s.job_id, s.rank, j.state, j.inherited "
            "FROM run_sessions j JOIN sessions s ON s.id = j.session WHERE j.run = ?",
            (newest.id,),
        )
    }
    session_id, job_id, rank = connection.execute(
        "SELECT session_id, job_id, rank FROM sessions WHERE id = ?", (session,)
    ).fetchone()
    ids = {member[0] for member in members.values()}
    ancestors = _ancestors(connection, session_id)
    if ids & ancestors and (opened.inherited or _was_open(connection, newest, time_ns)):
        return True
    owned = any(not inherited for *_, inherited in members.values())
    if not owned and any(session_id in _ancestors(connection, member) for member in ids):
        return True
    if opened.inherited:
        # Its parent's opening may be logged later: wait for it in an attempt that nobody owns yet, with its siblings.
        return not ancestors or (not owned and any(ancestors & _ancestors(connection, member) for member in ids))
    if opened.resume:
        return True
    if session in members:
        return False
    of_job = [member for member in members.values() if job_id and member[1] == job_id]
    if not of_job:
        return False
    is_new_rank = rank is not None and all(member[2] != rank for member in of_job)
    return is_new_rank or any(state == OPEN for *_, state, _ in members.values())


def _was_open(connection: sqlite3.Connection, attempt: Attempt, time_ns: int) -> bool:
    """Whether an attempt had not ended at a time: a child's records may be logged behind the end of its parent's."""
    (ended_ns,) = connection.execute("SELECT ended_ns FROM runs WHERE id = ?", (attempt.id,)).fetchone()
    return ended_ns is None or time_ns <= ended_ns


def _ancestors(connection: sqlite3.Connection, session_id: bytes) -> set[bytes]:
    found: set[bytes] = set()
    current = session_id
    while len(found) < _MAX_ANCESTORS:
        row = connection.execute("SELECT parent_session_id FROM sessions WHERE session_id = ?", (current,)).fetchone()
        if row is None or not row[0] or row[0] in found:
            break
        current = row[0]
        found.add(current)
    return found


def _supersede(connection: sqlite3.Connection, run: int, session: int) -> None:
    """A resume takes the place of what ended before it; ranks of its own job that already ended again stay."""
    connection.execute(
        "UPDATE run_sessions SET state = ? WHERE run = ? AND state NOT IN (?, ?) AND session NOT IN ("
        " SELECT other.id FROM sessions other, sessions own WHERE own.id = ? AND own.job_id != '' "
        " AND other.job_id = own.job_id AND other.id != own.id)",
        (SUPERSEDED, run, OPEN, SUPERSEDED, session),
    )


def _begin(
    connection: sqlite3.Connection, opened: capture_pb2.ScopeOpened, time_ns: int, attempt: int
) -> Attempt:
    ensure_project(connection, opened.ref, opened.project_name, time_ns)
    connection.execute("UPDATE runs SET newest = 0 WHERE run_ref = ? AND newest = 1", (opened.ref,))
    cursor = connection.execute(
        "INSERT INTO runs (run_ref, attempt, project_name, name, state, started_at, started_ns, tags_json, "
        "metadata_json, dataset_ref, code_revision, config_snapshot_json) VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)",
        (
            opened.ref,
            attempt,
            opened.project_name or component(opened.ref),
            opened.name,
            format_ns(time_ns),
            time_ns,
            opened.tags_json,
            opened.metadata_json,
            opened.dataset_ref,
            opened.code_revision,
            opened.config_snapshot_json,
        ),
    )
    assert cursor.lastrowid is not None
    return Attempt(cursor.lastrowid, opened.ref, attempt)


def _fill_in(
    connection: sqlite3.Connection, run: int, opened: capture_pb2.ScopeOpened, time_ns: int
) -> None:
    """Let a joining session add what the first one did not say; a run began when its first session began it."""
    connection.execute(
        "UPDATE runs SET tags_json = iif(tags_json = '', ?, tags_json), "
        "metadata_json = iif(metadata_json = '', ?, metadata_json), "
        "dataset_ref = iif(dataset_ref = '', ?, dataset_ref), "
        "code_revision = iif(code_revision = '', ?, code_revision), "
        "config_snapshot_json = iif(config_snapshot_json = '', ?, config_snapshot_json) WHERE id = ?",
        (
            opened.tags_json,
            opened.metadata_json,
            opened.dataset_ref,
            opened.code_revision,
            opened.config_snapshot_json,
            run,
        ),
    )
    connection.execute(
        "UPDATE runs SET started_at = ?, started_ns = ? WHERE id = ? AND started_ns > ?",
        (format_ns(time_ns), time_ns, run, time_ns),
    )


def ensure_project(connection: sqlite3.Connection, child_ref: str, name: str, time_ns: int) -> None:
    """Make the project of a run or deployment known, as of its first child."""
    project = component(child_ref)
    connection.execute(
        "INSERT OR IGNORE INTO projects (project_ref, name, created_at, created_ns) VALUES (?, ?, ?, ?)",
        (f"project:{project}", name or project, format_ns(time_ns), time_ns),
    )
