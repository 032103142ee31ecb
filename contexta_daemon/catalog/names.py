"""What the ids of a session stand for: sessions, scopes, keys and groups, read from the catalog and remembered.

Rows that are looked up here never change once they are there, so a found one may be remembered for ever; what is not
there yet is looked up again. Memory is bounded by forgetting everything of a kind at a size.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .schema import BATCH, DEPLOYMENT, OPERATION, SAMPLE, STAGE

REMEMBERED = 50_000  # of each kind
REMEMBERED_BYTES = 16 << 20  # of keys, and of groups: one may have many kilobytes
MAX_RANK = (1 << 31) - 1  # columns and answers hold 32 bits, signed


@dataclass(frozen=True, slots=True)
class Session:
    """One capturing process."""

    id: int
    session_id: bytes
    rank: int | None
    project_name: str

    @property
    def short(self) -> str:
        """The 12 hex digits that stand for it in record references."""
        return self.session_id.hex()[:12]


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope as one session opened it, with the references of all that encloses it ("" where there is none)."""

    kind: int
    run: int  # row; 0: none
    target: int  # row of runs, scopes or deployments
    inherited: bool
    project: str  # the component of references
    run_ref: str = ""
    attempt: int = 0
    stage_ref: str = ""
    batch_ref: str = ""
    sample_ref: str = ""
    operation_ref: str = ""
    deployment_ref: str = ""

    @property
    def record_prefix(self) -> str:
        """`<project>.<run>.` of the references of records made here."""
        holder = self.run_ref or self.deployment_ref
        return f"{holder.partition(':')[2]}." if holder else f"{self.project}.no-run."


@dataclass(frozen=True, slots=True)
class Key:
    """A metric key with what the user said of it; `value_type` is float64, int64 or bool."""

    key: str
    unit: str
    value_type: str
    aggregation_scope: str
    summary_basis: str
    tags_json: str


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """What a status shows of a session's process; run_id: the newest run that it opened or joined."""

    host: str = ""
    pid: int = 0
    rank: int | None = None
    run_id: str = ""


_Id = TypeVar("_Id")
_Found = TypeVar("_Found")


class _Remembered(dict[_Id, _Found]):
    """What was found, by its id. Forgets all of it when it would be too much."""

    _bytes = 0

    def keep(self, key: _Id, found: _Found, *, size_bytes: int = 0) -> _Found:
        """Remember what was found, and return it. size_bytes: of what in it has no small bound."""
        if len(self) >= REMEMBERED or self._bytes + size_bytes > REMEMBERED_BYTES:
            self.clear()
        self[key] = found
        self._bytes += size_bytes
        return found

    def clear(self) -> None:
        super().clear()
        self._bytes = 0


_SCOPE = """
SELECT o.kind, o.run, o.target, o.inherited, coalesce(r.run_ref, ''), coalesce(r.attempt, 0),
       coalesce(s.stage_ref, ''), coalesce(s.batch_ref, ''), coalesce(s.ref, ''), coalesce(d.ref, '')
FROM session_scopes o
LEFT JOIN runs r ON r.id = o.run
LEFT JOIN scopes s ON s.id = o.target AND o.kind IN (2, 3, 4, 5)
LEFT JOIN deployments d ON d.id = o.target AND o.kind = 6
WHERE o.session = ? AND o.scope_id = ?
"""


class Names:
    """Looks up ids on one connection, which it does not own. For one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._sessions: _Remembered[bytes, Session] = _Remembered()
        self._scopes: _Remembered[tuple[int, int], Scope] = _Remembered()
        self._keys: _Remembered[tuple[int, int], Key] = _Remembered()
        self._groups: _Remembered[tuple[int, int], npt.NDArray[np.uint32]] = _Remembered()
        self._ranks: _Remembered[int, int | None] = _Remembered()

    def session(self, session_id: bytes) -> Session | None:
        found = self._sessions.get(session_id)
        if found is None:
            row = self._connection.execute(
                "SELECT id, rank, project_name FROM sessions WHERE session_id = ?", (session_id,)
            ).fetchone()
            if row is not None:
                found = self._sessions.keep(session_id, Session(row[0], session_id, row[1], row[2]))
        return found

    def rank(self, session: int) -> int | None:
        """Return the rank of a session's process, by the session's row."""
        if session not in self._ranks:
            row = self._connection.execute("SELECT rank FROM sessions WHERE id = ?", (session,)).fetchone()
            return self._ranks.keep(session, row[0] if row else None)
        return self._ranks[session]

    def scope(self, session: int, scope_id: int) -> Scope | None:
        found = self._scopes.get((session, scope_id))
        if found is None:
            row = self._connection.execute(_SCOPE, (session, scope_id)).fetchone()
            if row is not None:
                found = _scope(row)
                self.remember_scope(session, scope_id, found)
        return found

    def remember_scope(self, session: int, scope_id: int, scope: Scope) -> None:
        """Take in a scope that was just written, or found."""
        self._scopes.keep((session, scope_id), scope)

    def key(self, session: int, key_id: int) -> Key | None:
        found = self._keys.get((session, key_id))
        if found is None:
            row = self._connection.execute(
                "SELECT key, unit, value_type, aggregation_scope, summary_basis, tags_json FROM session_keys "
                "WHERE session = ? AND key_id = ?",
                (session, key_id),
            ).fetchone()
            if row is not None:
                found = self._keys.keep((session, key_id), Key(*row), size_bytes=sum(map(len, row)))
        return found

    def group(self, session: int, group_id: int) -> npt.NDArray[np.uint32] | None:
        """Return the key ids of a group, in the order of its values."""
        found = self._groups.get((session, group_id))
        if found is None:
            row = self._connection.execute(
                "SELECT key_ids FROM session_groups WHERE session = ? AND group_id = ?", (session, group_id)
            ).fetchone()
            if row is not None:
                key_ids = np.frombuffer(row[0], "<u4")
                found = self._groups.keep((session, group_id), key_ids, size_bytes=key_ids.nbytes)
        return found

    def artifact(self, session: int, ref: str, scope_id: int) -> int | None:
        """Return the row of what a session registered as `ref` in the run of a scope; for 0 in its newest run."""
        scope = self.scope(session, scope_id) if scope_id else None
        row = self._connection.execute(
            "SELECT id FROM artifacts WHERE ref = ? AND session = ? AND (?3 IS NULL OR run = ?3) ORDER BY run DESC",
            (ref, session, scope.run if scope else None),
        ).fetchone()
        return None if row is None else int(row[0])

    def forget_session(self, session_id: bytes) -> None:
        """Look a session up again: what it is was just told."""
        self._sessions.pop(session_id, None)
        self._ranks.clear()

    def forget(self) -> None:
        """Drop everything remembered: what was written was rolled back."""
        for remembered in (self._sessions, self._scopes, self._keys, self._groups, self._ranks):
            remembered.clear()


def _scope(row: tuple[int, int, int, int, str, int, str, str, str, str]) -> Scope:
    kind, run, target, inherited, run_ref, attempt, stage_ref, batch_ref, ref, deployment_ref = row
    return Scope(
        kind=kind,
        run=run,
        target=target,
        inherited=bool(inherited),
        project=component(run_ref or deployment_ref),
        run_ref=run_ref,
        attempt=attempt,
        stage_ref=stage_ref if kind in (STAGE, BATCH, SAMPLE, OPERATION) else "",
        batch_ref=batch_ref,
        sample_ref=ref if kind == SAMPLE else "",
        operation_ref=ref if kind == OPERATION else "",
        deployment_ref=deployment_ref if kind == DEPLOYMENT else "",
    )


def rank_of(number: int | None) -> int | None:
    """Return a number that was given as a rank; None when it is none."""
    return number if number is not None and 0 <= number <= MAX_RANK else None


def component(ref: str, index: int = 0) -> str:
    """Return one of the dot-joined components of a reference; "" when there is none."""
    parts = ref.partition(":")[2].split(".")
    return parts[index] if index < len(parts) else ""
