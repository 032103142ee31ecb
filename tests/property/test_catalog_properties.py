"""The catalog against a simple model: which attempt each session is in, and how each attempt ended."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from logged import FakeLog, columns, key_defined, run_opened, scope_closed, session_ended, session_opened

from contexta_daemon.catalog import Catalog

SESSIONS = 5
WORST = {"completed": 1, "cancelled": 2, "failed": 3}


@dataclass
class ModelAttempt:
    number: int
    job_of: dict = field(default_factory=dict)  # session -> (job, rank)
    state: dict = field(default_factory=dict)  # session -> "open" or how it closed

    @property
    def status(self):
        if "open" in self.state.values():
            return 0
        counted = [WORST[state] for state in self.state.values() if state != "superseded"]
        return max(counted, default=1)


class Model:
    """Every session is a process of its own, of a job or of none; ids of scopes count up in each."""

    def __init__(self):
        self.attempts = []
        self.open_scopes = {}  # session -> {scope id: attempt}
        self.next_id = {}

    def open(self, session, job, rank, resume):
        newest = self.attempts[-1] if self.attempts else None
        if newest is None or not self._joins(newest, session, job, rank, resume):
            newest = ModelAttempt(len(self.attempts) + 1)
            self.attempts.append(newest)
        elif resume:
            for other, state in newest.state.items():
                same_job = job and newest.job_of[other][0] == job and other != session
                if state != "open" and not same_job:
                    newest.state[other] = "superseded"
        newest.job_of[session] = (job, rank)
        newest.state[session] = "open"
        scope_id = self.next_id[session] = self.next_id.get(session, 0) + 1
        self.open_scopes.setdefault(session, {})[scope_id] = newest
        return scope_id

    def _joins(self, newest, session, job, rank, resume):
        if resume:
            return True
        if session in newest.state:
            return False
        ranks = [other_rank for other_job, other_rank in newest.job_of.values() if job and other_job == job]
        if not ranks:
            return False
        return rank not in ranks or "open" in newest.state.values()

    def close(self, session, scope_id, status):
        attempt = self.open_scopes[session].pop(scope_id)
        attempt.state[session] = status

    def end(self, session, lost):
        for attempt in self.open_scopes.pop(session, {}).values():
            attempt.state[session] = "failed" if lost else "cancelled"


@st.composite
def histories(draw):
    sessions = [
        draw(st.tuples(st.sampled_from(["", "j", "k"]), st.integers(0, 2)), label=f"session {n}")
        for n in range(SESSIONS)
    ]
    steps = draw(
        st.lists(
            st.tuples(
                st.integers(0, SESSIONS - 1),
                st.sampled_from(["open", "open", "close", "close", "end", "lost", "resume", "metrics"]),
                st.sampled_from(sorted(WORST)),
            ),
            max_size=25,
        )
    )
    return sessions, steps


def play(sessions, steps):
    """Return the log of a history and the model of it."""
    log, model, begun, ended = FakeLog(), Model(), set(), set()
    for session, action, status in steps:
        job, rank = sessions[session]
        if session in ended:
            continue
        if session not in begun:
            begun.add(session)
            log.add(session, session_opened(job=job, rank=rank if job else None), key_defined(1, "x"))
        scopes = model.open_scopes.get(session, {})
        if action in ("open", "resume") and not scopes:  # a client closes a run before it opens it again
            scope_id = model.open(session, job, rank if job else None, action == "resume")
            log.add(session, run_opened(scope_id, resume=action == "resume"))
        elif action == "close" and scopes:
            scope_id = min(scopes)
            model.close(session, scope_id, status)
            log.add(session, scope_closed(scope_id, status))
        elif action in ("end", "lost"):
            ended.add(session)
            model.end(session, action == "lost")
            log.add(session, session_ended(lost=action == "lost"))
        elif action == "metrics" and scopes:
            log.add(session, columns=[columns([1.0, 2.0], series=(min(scopes), 1))])
    return log, model


@settings(max_examples=60, deadline=None)
@given(histories())
def test_attempts_and_their_ends_are_those_of_the_model(tmp_path_factory, history):
    log, model = play(*history)
    catalog = Catalog(tmp_path_factory.mktemp("c") / "catalog.sqlite3")
    if log.batches:
        catalog.follow(log.batches, log.committed)
    with closing(catalog.connect()) as connection:
        found = connection.execute("SELECT attempt, state, newest FROM runs ORDER BY attempt").fetchall()
    catalog.close()
    newest = len(model.attempts)
    assert found == [(a.number, a.status, int(a.number == newest)) for a in model.attempts]


@settings(max_examples=30, deadline=None)
@given(histories(), st.integers(1, 6))
def test_followed_step_by_step_it_is_the_same_as_made_at_once(tmp_path_factory, history, step):
    log, _ = play(*history)
    folder = tmp_path_factory.mktemp("c")
    dumps = []
    for name, size in (("steps", step), ("once", len(log.batches) or 1)):
        catalog = Catalog(folder / name)
        for start in range(0, len(log.batches), size):
            part = log.batches[start : start + size]
            catalog.follow(part, part[-1].end)
        catalog.close()
        with closing(sqlite3.connect(folder / name)) as connection:
            dumps.append(list(connection.iterdump()))
    assert dumps[0] == dumps[1]
