"""Scopes opening and closing: merged by reference within a run attempt, whoever opens them and however often.

What several workers opened ended as its worst ending; what one worker opened again, or resumed, as the last one.
"""

from __future__ import annotations

import sqlite3

from contexta.contract import is_ref
from contexta.errors import ContextaError
from contexta.v1 import capture_pb2
from contexta_daemon.batches import format_ns

from .names import Names, Scope, Session, component
from .runs import ensure_project, leave_run, open_run
from .schema import BATCH, CANCELLED, COMPLETED, DEPLOYMENT, FAILED, OPEN, OPERATION, RUN, SAMPLE, STAGE, SUPERSEDED

_REF_KINDS = {
    RUN: "run", STAGE: "stage", BATCH: "batch", SAMPLE: "sample", OPERATION: "op", DEPLOYMENT: "deployment",
}  # fmt: skip
STATE_OF_STATUS = {"open": OPEN, "completed": COMPLETED, "cancelled": CANCELLED, "failed": FAILED}

_OPEN_SCOPE = """
INSERT INTO scopes (run, kind, ref, name, stage_ref, batch_ref, state, openings, started_at, started_ns, ord,
                    metadata_json, retention_class, redaction_profile)
VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run, ref) DO UPDATE SET
  openings = openings + excluded.openings,
  state = iif(excluded.openings, 0, state),
  ended_at = iif(excluded.openings, '', ended_at),
  ended_ns = iif(excluded.openings, NULL, ended_ns),
  started_at = iif(excluded.started_ns < started_ns, excluded.started_at, started_at),
  started_ns = min(started_ns, excluded.started_ns),
  metadata_json = iif(excluded.metadata_json != '', excluded.metadata_json, metadata_json)
RETURNING id, ord, worst > 1
"""
# How a scope ended for the other workers, each at its last opening; those whose place a resume took do not count.
_WORST_OF_OTHERS = """
SELECT coalesce(max(state), 0) FROM (
  SELECT x.state, max(x.scope_id) FROM session_scopes x JOIN run_sessions j ON j.run = x.run AND j.session = x.session
  WHERE x.run = ? AND x.kind = ? AND x.target = ? AND NOT x.inherited AND x.session != ? AND j.state != ?
  GROUP BY x.session
)
"""
_CLOSE_SCOPE = """
UPDATE scopes SET reason = iif(?1 > worst AND ?5 != '', ?5, reason), worst = max(worst, ?1),
  openings = max(openings - 1, 0),
  state = iif(openings <= 1, max(worst, ?1), 0),
  ended_at = iif(openings <= 1, ?2, ''), ended_ns = iif(openings <= 1, ?3, NULL)
WHERE id = ?4
"""


VANISHED = "the process vanished"
LAST_ORDER = (1 << 63) - 1  # that a column holds: a stage put with it would else be the last one for ever


class UnknownIdError(ContextaError):
    """An entry speaks of a scope, key or group that was never defined in its session, or of what nothing can be."""

    default_code = "unknown_id"


class Scopes:
    """Applies scope entries on the catalog's write connection. One thread at a time."""

    def __init__(self, connection: sqlite3.Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self._next_order: dict[tuple[int, int, str], int] = {}

    def forget(self) -> None:
        """Drop what is remembered: what was written was rolled back."""
        self._next_order.clear()

    def require(self, session: Session, scope_id: int) -> Scope:
        """Return a scope of a session. Raises UnknownIdError."""
        scope = self._names.scope(session.id, scope_id)
        if scope is None:
            raise UnknownIdError(f"scope {scope_id} of session {session.short} is not defined")
        return scope

    def open(self, session: Session, opened: capture_pb2.ScopeOpened, time_ns: int) -> None:
        """Apply ScopeOpened. Raises UnknownIdError, also for an id that stands for something already: what was found by
        an id is never found elsewhere later."""
        if not opened.scope_id or self._names.scope(session.id, opened.scope_id) is not None:
            raise UnknownIdError(f"scope {opened.scope_id} of session {session.short} is not a new one")
        if not is_ref(opened.ref, kind=_REF_KINDS.get(opened.kind, "")):
            raise UnknownIdError(f"a scope of kind {opened.kind} cannot be {opened.ref[:80]!r}")
        if opened.kind == RUN:
            attempt = open_run(self._connection, session.id, opened, time_ns)
            scope = Scope(
                RUN, attempt.id, attempt.id, opened.inherited, component(opened.ref), opened.ref, attempt.attempt
            )
        elif opened.kind == DEPLOYMENT:
            scope = self._open_deployment(opened, time_ns)
        else:
            scope = self._open_inner(session, opened, time_ns)
        self._connection.execute(
            "INSERT OR REPLACE INTO session_scopes (session, scope_id, kind, run, target, inherited, state) "
            "VALUES (?, ?, ?, ?, ?, ?, 0)",
            (session.id, opened.scope_id, scope.kind, scope.run, scope.target, scope.inherited),
        )
        self._names.remember_scope(session.id, opened.scope_id, scope)

    def close(
        self, session: Session, scope_id: int, *, state: int, time_ns: int, lost: bool = False, reason: str = ""
    ) -> None:
        """Apply ScopeClosed. A second closing, or one by a session that only inherited the scope, does nothing."""
        scope = self.require(session, scope_id)
        changed = self._connection.execute(
            "UPDATE session_scopes SET state = ? WHERE session = ? AND scope_id = ? AND state = 0 AND inherited = 0",
            (state, session.id, scope_id),
        ).rowcount
        if not changed:
            return
        if scope.kind == RUN:
            leave_run(
                self._connection, scope.run, session.id, state=state, time_ns=time_ns, lost=lost, reason=reason
            )
        elif scope.kind == DEPLOYMENT:
            self._connection.execute(
                "UPDATE deployments SET state = ?, ended_at = ?, reason = ? WHERE id = ?",
                (state, format_ns(time_ns), reason, scope.target),
            )
        else:
            self._connection.execute(_CLOSE_SCOPE, (state, format_ns(time_ns), time_ns, scope.target, reason))

    def end_session(self, session: Session, *, lost: bool, time_ns: int) -> None:
        """Close what a session left open, innermost first: failed when it vanished, cancelled when it just ended."""
        left_open = self._connection.execute(
            "SELECT scope_id, run FROM session_scopes WHERE session = ? AND state = 0 AND inherited = 0 "
            "ORDER BY scope_id DESC",
            (session.id,),
        ).fetchall()
        state = FAILED if lost else CANCELLED
        for scope_id, _ in left_open:
            self.close(session, scope_id, state=state, time_ns=time_ns, lost=lost, reason=VANISHED if lost else "")
        failed_runs = {run for _, run in left_open} if lost else set()
        for (run,) in self._connection.execute(
            "SELECT run FROM run_sessions WHERE session = ? AND (state = 0 OR inherited = 1)", (session.id,)
        ).fetchall():
            lost_here = run in failed_runs
            ended_as = FAILED if lost_here else COMPLETED
            leave_run(self._connection, run, session.id, state=ended_as, time_ns=time_ns, lost=lost_here)

    def _open_inner(self, session: Session, opened: capture_pb2.ScopeOpened, time_ns: int) -> Scope:
        parent = self.require(session, opened.parent_id)
        stage_ref = opened.ref if opened.kind == STAGE else parent.stage_ref
        batch_ref = opened.ref if opened.kind == BATCH else parent.batch_ref
        order = self._order(parent.run, opened.kind, stage_ref if opened.kind == BATCH else "")
        row, kept_order, ended_badly = self._connection.execute(
            _OPEN_SCOPE,
            (
                parent.run,
                opened.kind,
                opened.ref,
                opened.name,
                stage_ref,
                batch_ref,
                0 if opened.inherited else 1,
                format_ns(time_ns),
                time_ns,
                order,
                opened.metadata_json,
                opened.retention_class,
                opened.redaction_profile,
            ),
        ).fetchone()
        if ended_badly and not opened.inherited:
            self._begin_anew(session, parent.run, opened.kind, row)
        if order is not None and kept_order == order:
            within = stage_ref if opened.kind == BATCH else ""
            self._next_order[parent.run, opened.kind, within] = min(order + 1, LAST_ORDER)
        return Scope(
            kind=opened.kind,
            run=parent.run,
            target=row,
            inherited=opened.inherited,
            project=parent.project,
            run_ref=parent.run_ref,
            attempt=parent.attempt,
            stage_ref=stage_ref,
            batch_ref=batch_ref,
            sample_ref=opened.ref if opened.kind == SAMPLE else "",
            operation_ref=opened.ref if opened.kind == OPERATION else "",
        )

    def _begin_anew(self, session: Session, run: int, kind: int, row: int) -> None:
        """Forget how a scope ended before that is opened again by who ended it so, or instead of that one."""
        (worst,) = self._connection.execute(_WORST_OF_OTHERS, (run, kind, row, session.id, SUPERSEDED)).fetchone()
        self._connection.execute(
            "UPDATE scopes SET worst = ?, reason = '' WHERE id = ? AND worst > ?", (worst, row, worst)
        )

    def _order(self, run: int, kind: int, stage_ref: str) -> int | None:
        """The next free place among siblings, from 0; samples and operations have none."""
        if kind not in (STAGE, BATCH):
            return None
        known = self._next_order.get((run, kind, stage_ref))
        if known is not None:
            return known
        within, bound = ("AND stage_ref = ?", (stage_ref,)) if stage_ref else ("", ())
        (highest,) = self._connection.execute(
            f"SELECT max(ord) FROM scopes WHERE run = ? AND kind = ? {within}", (run, kind, *bound)
        ).fetchone()
        if len(self._next_order) > 10_000:
            self._next_order.clear()
        return 0 if highest is None else min(int(highest) + 1, LAST_ORDER)

    def _open_deployment(self, opened: capture_pb2.ScopeOpened, time_ns: int) -> Scope:
        """A deployment opened again begins anew: the catalog shows its last one."""
        ensure_project(self._connection, opened.ref, opened.project_name, time_ns)
        restart = not opened.inherited
        (row,) = self._connection.execute(
            "INSERT INTO deployments (ref, project_name, name, state, started_at, started_ns, run_ref, artifact_ref, "
            "environment_ref, metadata_json, ord) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, "
            " (SELECT count(*) FROM deployments WHERE project_name = ?)) "
            "ON CONFLICT (ref) DO UPDATE SET ref = ref" + _DEPLOYMENT_AGAIN * restart + " RETURNING id",
            (
                opened.ref,
                opened.project_name or component(opened.ref),
                opened.name,
                format_ns(time_ns),
                time_ns,
                opened.run_ref,
                opened.artifact_ref,
                opened.environment_snapshot_ref,
                opened.metadata_json,
                opened.project_name or component(opened.ref),
            ),
        ).fetchone()
        project = component(opened.ref)
        return Scope(DEPLOYMENT, 0, row, opened.inherited, project, deployment_ref=opened.ref)


_DEPLOYMENT_AGAIN = """, state = 0, ended_at = '', reason = '',
  started_at = excluded.started_at, started_ns = excluded.started_ns,
  run_ref = excluded.run_ref, artifact_ref = excluded.artifact_ref, environment_ref = excluded.environment_ref,
  metadata_json = excluded.metadata_json"""
