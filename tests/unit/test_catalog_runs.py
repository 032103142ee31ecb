import json
from contextlib import closing
from pathlib import Path

import pytest
from logged import (
    NS,
    FakeLog,
    entry,
    run_opened,
    scope_closed,
    scope_opened,
    session_ended,
    session_id_of,
    session_opened,
)

from contexta.v1 import capture_pb2 as pb
from contexta_daemon.catalog import Catalog


class Book:
    """A catalog and the log it follows."""

    def __init__(self, path: Path) -> None:
        self.log = FakeLog()
        self.catalog = Catalog(path)

    def add(self, *args, **kwargs):
        logged = self.log.add(*args, **kwargs)
        self.catalog.follow([logged], logged.end)

    def rows(self, sql, *bound):
        with closing(self.catalog.connect()) as connection:
            return connection.execute(sql, bound).fetchall()

    def runs(self, ref="run:p.r"):
        """(attempt, status) of each attempt."""
        states = ("open", "completed", "cancelled", "failed")
        found = self.rows("SELECT attempt, state FROM runs WHERE run_ref = ? ORDER BY attempt", ref)
        return [(attempt, states[state]) for attempt, state in found]


@pytest.fixture
def book(tmp_path):
    book = Book(tmp_path / "catalog.sqlite3")
    yield book
    book.catalog.close()


def test_a_run_is_open_until_its_session_closes_it(book):
    book.add(1, session_opened(), run_opened())
    assert book.runs() == [(1, "open")]
    book.add(1, scope_closed(1, time_ns=NS + 5 * 10**9))
    assert book.runs() == [(1, "completed")]
    assert book.rows("SELECT started_at, ended_at FROM runs") == [
        ("2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:05.000000Z")
    ]


def test_a_run_opened_again_after_it_ended_is_a_new_attempt(book):
    book.add(1, session_opened(), run_opened(), scope_closed(1), run_opened(2))
    assert book.runs() == [(1, "completed"), (2, "open")]


def test_another_process_of_no_relation_begins_a_new_attempt_while_the_older_is_open(book):
    book.add(1, session_opened(), run_opened())
    book.add(2, session_opened(), run_opened())
    assert book.runs() == [(1, "open"), (2, "open")]


def test_ranks_of_one_job_join_one_attempt_which_ends_with_the_last_of_them(book):
    for rank in range(3):
        book.add(rank, session_opened(job="j", rank=rank), run_opened())
    book.add(0, scope_closed(1))
    book.add(1, scope_closed(1, "failed"))
    assert book.runs() == [(1, "open")]
    book.add(2, scope_closed(1))
    assert book.runs() == [(1, "failed")]


def test_a_rank_that_comes_after_the_others_ended_still_joins_them(book):
    book.add(1, session_opened(job="j", rank=0), run_opened(), scope_closed(1))
    book.add(2, session_opened(job="j", rank=1), run_opened())
    assert book.runs() == [(1, "open")]
    book.add(2, scope_closed(1))
    assert book.runs() == [(1, "completed")]


def test_every_rank_that_runs_it_twice_is_in_both_attempts_whatever_the_order(book):
    for rank in (0, 1):
        book.add(rank, session_opened(job="j", rank=rank), run_opened())
    book.add(0, scope_closed(1), run_opened(2))
    book.add(1, scope_closed(1), run_opened(2))
    assert book.runs() == [(1, "completed"), (2, "open")]
    assert book.rows("SELECT count(*) FROM run_sessions GROUP BY run") == [(2,), (2,)]


def test_a_restarted_job_is_a_new_attempt(book):
    book.add(1, session_opened(job="a", rank=0), run_opened(), scope_closed(1))
    book.add(2, session_opened(job="b", rank=0), run_opened())
    assert book.runs() == [(1, "completed"), (2, "open")]


def test_resume_continues_the_newest_attempt_and_its_end_counts(book):
    book.add(1, session_opened(), run_opened(), session_ended(lost=True))
    assert book.runs() == [(1, "failed")]
    book.add(2, session_opened(), run_opened(resume=True))
    assert book.runs() == [(1, "open")]
    book.add(2, scope_closed(1))
    assert book.runs() == [(1, "completed")]
    assert book.rows("SELECT sum(lost) FROM run_sessions") == [(1,)]


def test_a_forked_child_joins_and_does_not_hold_the_run_open(book):
    book.add(1, session_opened(), run_opened())
    book.add(2, session_opened(parent=1), run_opened(inherited=True))
    book.add(1, scope_closed(1))
    assert book.runs() == [(1, "completed")]


def test_a_child_that_is_heard_of_before_its_parent_shares_the_attempt(book):
    book.add(2, session_opened(parent=1), run_opened(inherited=True))
    book.add(1, session_opened(), run_opened())
    assert book.runs() == [(1, "open")]


def test_forked_workers_that_are_heard_of_before_their_parent_are_in_its_attempt_not_in_the_one_before(book):
    book.add(1, session_opened(), run_opened(), scope_closed(1))
    later = NS + 60 * 10**9
    book.add(3, session_opened(parent=2), run_opened(inherited=True, time_ns=later))
    book.add(4, session_opened(parent=2), run_opened(inherited=True, time_ns=later))
    book.add(2, session_opened(), run_opened(time_ns=later))
    found = book.rows("SELECT attempt, count(*) FROM run_sessions JOIN runs ON id = run GROUP BY 1 ORDER BY 1")
    assert found == [(1, 1), (2, 3)]


def test_a_grandchild_that_opens_the_run_itself_joins(book):
    book.add(1, session_opened(), run_opened())
    book.add(2, session_opened(parent=1), run_opened(inherited=True))
    book.add(3, session_opened(parent=2), run_opened())
    assert book.runs() == [(1, "open")]


def test_a_child_that_opens_the_run_again_after_its_end_begins_a_new_attempt(book):
    book.add(1, session_opened(), run_opened(), scope_closed(1, time_ns=NS + 10))
    book.add(2, session_opened(parent=1), run_opened(time_ns=NS + 20))
    assert book.runs() == [(1, "completed"), (2, "open")]


def test_a_child_that_opened_the_run_before_its_end_joins_although_it_is_logged_later(book):
    book.add(1, session_opened(), run_opened(), scope_closed(1, time_ns=NS + 10))
    book.add(2, session_opened(parent=1), run_opened(time_ns=NS + 5), scope_closed(1, time_ns=NS + 30))
    assert book.runs() == [(1, "completed")]


def test_a_vanished_worker_fails_its_scopes_and_the_run_and_is_counted(book):
    book.add(1, session_opened(job="j", rank=0), run_opened())
    book.add(2, session_opened(job="j", rank=1), run_opened(), scope_opened(2, 1, "stage", "stage:p.r.train"))
    book.add(1, scope_closed(1))
    book.add(2, session_ended(lost=True))
    assert book.runs() == [(1, "failed")]
    assert book.rows("SELECT state FROM scopes") == [(3,)]
    assert book.rows("SELECT status FROM sessions ORDER BY id") == [("open",), ("lost",)]


def test_a_vanished_child_with_a_stage_of_its_own_fails_the_run(book):
    book.add(1, session_opened(), run_opened())
    book.add(2, session_opened(parent=1), run_opened(inherited=True), scope_opened(2, 1, "stage", "stage:p.r.load"))
    book.add(1, scope_closed(1))
    book.add(2, session_ended(lost=True))
    assert book.runs() == [(1, "failed")]


def test_a_process_that_ends_with_open_scopes_cancels_them(book):
    book.add(1, session_opened(), run_opened(), scope_opened(2, 1, "stage", "stage:p.r.train"), session_ended())
    assert book.runs() == [(1, "cancelled")]
    assert book.rows("SELECT state FROM scopes") == [(2,)]


def test_a_stage_opened_by_two_ranks_is_one_and_as_bad_as_the_worst(book):
    for rank in (0, 1):
        stage = scope_opened(2, 1, "stage", "stage:p.r.train")
        book.add(rank, session_opened(job="j", rank=rank), run_opened(), stage)
    book.add(0, scope_closed(2, "failed"))
    assert book.rows("SELECT state FROM scopes") == [(0,)]
    book.add(1, scope_closed(2))
    assert book.rows("SELECT state, ord FROM scopes") == [(3, 0)]


def ended(scope_id, status="completed", reason=""):
    closed = scope_closed(scope_id, status)
    closed.scope_closed.reason = reason
    return closed


def stage(scope_id=2):
    return scope_opened(scope_id, 1, "stage", "stage:p.r.train")


@pytest.mark.parametrize("first", ["failed", "vanished"])
def test_a_resumed_run_and_its_stages_are_what_became_of_them_in_the_end(book, first):
    end = [session_ended(lost=True)]
    if first == "failed":
        end = [ended(2, "failed", "MemoryError"), ended(1, "failed", "MemoryError"), session_ended()]
    book.add(1, session_opened(), run_opened(), stage(), scope_opened(3, 1, "stage", "stage:p.r.load"), *end)
    assert book.rows("SELECT state, reason != '' FROM runs") == [(3, 1)]
    book.add(2, session_opened(), run_opened(resume=True), stage())
    assert book.rows("SELECT state, reason FROM scopes WHERE name = 'train'") == [(0, "")]
    book.add(2, ended(2), ended(1))
    assert book.rows("SELECT state, reason FROM runs") == [(1, "")]
    assert book.rows("SELECT state, reason FROM scopes WHERE name = 'train'") == [(1, "")]
    assert book.rows("SELECT state FROM scopes WHERE name = 'load'")[0][0] != 1  # it was not opened again


def test_a_stage_that_is_tried_again_is_what_its_last_try_was(book):
    book.add(1, session_opened(), run_opened(), stage(), ended(2, "failed", "ValueError"), stage(3), ended(3))
    assert book.rows("SELECT state, reason FROM scopes") == [(1, "")]
    book.add(1, stage(4), ended(4, "failed", "KeyError"), stage(5), ended(5, "cancelled", "stopped"))
    assert book.rows("SELECT state, reason FROM scopes") == [(2, "stopped")]


def test_what_a_rank_tries_again_is_still_as_bad_as_the_worst_of_the_others(book):
    for rank in (0, 1):
        book.add(rank, session_opened(job="j", rank=rank), run_opened(), stage(), ended(2, "failed", f"of {rank}"))
    book.add(1, stage(3), ended(3))
    assert book.rows("SELECT state FROM scopes") == [(3,)]
    book.add(0, stage(3), ended(3))
    assert book.rows("SELECT state, reason FROM scopes") == [(1, "")]


def test_closing_twice_changes_nothing(book):
    book.add(1, session_opened(), run_opened(), scope_closed(1), scope_closed(1, "failed"))
    assert book.runs() == [(1, "completed")]


@pytest.mark.parametrize("ref", ["", "r", "run:", "run:p.r.s", "stage:p.r.s", "run:p.R", "run:p." + "r" * 64])
def test_what_is_no_reference_of_a_run_opens_none(book, ref):
    book.add(1, session_opened(), run_opened(1, ref))
    book.add(2, session_opened(), run_opened(1, "run:p.good"))
    assert book.rows("SELECT run_ref FROM runs") == [("run:p.good",)]
    assert book.rows("SELECT item FROM set_aside") == [(1,)]


def test_an_id_that_stands_for_a_scope_stands_for_no_other_later(book):
    """What was registered in a run by its id would else be looked for in another one, and hashed again for ever."""
    made = pb.ArtifactRegistered(
        scope_id=1, ref="artifact:p.r.m", artifact_kind="m", path="/x", exists=True, compute_hash=True
    )
    again = [run_opened(1, "run:p.q"), run_opened(1), run_opened(0, "run:p.s")]
    book.add(1, session_opened(), run_opened(1), entry(artifact_registered=made), *again)
    assert book.rows("SELECT item FROM set_aside") == [(3,), (4,), (5,)]
    assert book.rows("SELECT run_ref, attempt FROM runs") == [("run:p.r", 1)]
    hashed = pb.ArtifactHashed(ref=made.ref, session_id=session_id_of(1), scope_id=1)
    book.add(9, entry(artifact_hashed=hashed))
    assert book.catalog.pending_artifacts() == []


def test_a_stage_behind_the_last_place_that_there_is_is_kept(book):
    put = {"stage_execution_ref": "stage:p.r.last", "run_ref": "run:p.r", "stage_name": "last", "status": "completed",
           "started_at": "2026-01-01T00:00:00Z", "order_index": 2**63 - 1}  # fmt: skip
    model = pb.ModelStored(model="StageExecution", ref="stage:p.r.last", json=json.dumps(put))
    book.add(1, session_opened(), run_opened(), entry(model_stored=model))
    book.add(1, scope_opened(2, 1, "stage", "stage:p.r.a"), scope_opened(3, 1, "stage", "stage:p.r.b"))
    assert book.rows("SELECT ref FROM scopes ORDER BY ord, id") == [
        ("stage:p.r.last",), ("stage:p.r.a",), ("stage:p.r.b",),
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["", "relative/x", "/" + "x" * 40_000])
def test_an_artifact_that_can_lie_nowhere_is_set_aside(book, path):
    made = pb.ArtifactRegistered(scope_id=1, ref="artifact:p.r.m", path=path, exists=True, compute_hash=True)
    book.add(1, session_opened(), run_opened(), entry(artifact_registered=made))
    assert book.rows("SELECT item FROM set_aside") == [(2,)]


@pytest.mark.parametrize("ref", ["", "artifact:p.r", "model", "run:p.r"])
def test_what_is_no_reference_of_an_artifact_registers_none(book, ref):
    made = pb.ArtifactRegistered(scope_id=1, ref=ref, artifact_kind="m", path="/x", exists=True)
    book.add(1, session_opened(), run_opened(), entry(artifact_registered=made))
    assert book.rows("SELECT count(*) FROM artifacts") == [(0,)]
    assert book.rows("SELECT item FROM set_aside") == [(2,)]
