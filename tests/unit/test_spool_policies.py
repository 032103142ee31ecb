"""At the bound and without storage: the loop goes on, and every record that is not kept is counted."""

from __future__ import annotations

import logging
import shutil
import time
from pathlib import Path

import pytest
from capturing import Capturing

from contexta_client.capture import notices, spool_place
from contexta_client.capture import session as session_module
from contexta_client.capture import spool as spool_module
from contexta_client.capture import spool_format as fmt
from contexta_client.capture import stream as stream_module
from contexta_client.capture.journal import Journal
from contexta_client.capture.scopes import Scope
from contexta_client.capture.spool import DiskFullError


@pytest.fixture(autouse=True)
def _fresh_notices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_said", set())


def fill(run, calls: int) -> list:
    return [run.metric("loss", float(step), step=step) for step in range(calls)]


def test_at_the_bound_the_newest_are_dropped_and_counted_exactly(
    capturing: Capturing, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = capturing.recorder(spool_bytes=1 << 20)
    run = recorder.run("full")
    results = fill(run, 40_000)
    kept = sum(result.ok for result in results)
    assert 0 < kept < 40_000
    assert all(result.status == "dropped" and "bound" in result.reason for result in results[kept:])
    assert results[-1].dropped == 1
    content = capturing.one()
    assert content.values("loss") == [float(step) for step in range(kept)]
    assert content.words[fmt.DROPPED_METRICS] == 40_000 - kept
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "dropped" in caplog.text


def test_log_rows_dropped_at_the_bound_count_each_of_their_values(capturing: Capturing) -> None:
    recorder = capturing.recorder(spool_bytes=1 << 20)
    run = recorder.run("full")
    values = {f"key-{number}": float(number) for number in range(50)}
    results = [run.log(values, step=step) for step in range(4000)]
    kept = sum(result.ok for result in results)
    assert 0 < kept < 4000
    content = capturing.one()
    assert len(content.metrics) + content.words[fmt.DROPPED_METRICS] == 4000 * 50
    assert sum(result.dropped for result in results) == content.words[fmt.DROPPED_METRICS]


def test_scopes_still_open_and_close_at_the_bound(capturing: Capturing) -> None:
    recorder = capturing.recorder(spool_bytes=1 << 20)
    run = recorder.run("full")
    fill(run, 40_000)
    with run.stage("late"):
        pass
    run.close()
    content = capturing.one()
    assert [each.name for each in content.of("scope_opened")] == ["full", "late"]
    assert [each.status for each in content.of("scope_closed")] == ["completed", "completed"]


def test_scopes_close_where_events_have_used_up_the_room_of_all_other_entries(capturing: Capturing) -> None:
    recorder = capturing.recorder(spool_bytes=1 << 20)
    run = recorder.run("full")
    stages = [run.stage(f"s{number}") for number in range(100)]
    fill_with_events(run)
    for stage in stages:
        stage.close("failed", reason="x" * 500)
    assert not run.event("e", message="").ok
    run.close()
    content = capturing.one()
    assert [each.status for each in content.of("scope_closed")] == ["failed"] * 100 + ["completed"]
    recorder.stream().spool.words[fmt.RELEASED_BYTES] += 1 << 20
    with recorder.run("later") as later:
        assert later.event("e", message="there is room").ok
    assert [each.message for each in capturing.one().of("event")][-1] == "there is room"


def fill_with_events(run: Scope) -> None:
    for size in (2000, 0):
        while run.event("e", message="x" * size).ok:
            pass


@pytest.mark.parametrize("frees", [True, False])
def test_closings_are_written_while_the_end_waits_and_counted_where_they_never_find_room(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch, frees: bool
) -> None:
    recorder = capturing.recorder(spool_bytes=1 << 20)
    run = recorder.run("full")
    fill_with_events(run)
    spool = recorder.stream().spool
    spool.bound_bytes = 0  # the room for closings alone is used up too
    dropped, words = spool.words[fmt.DROPPED_ENTRIES], spool.words

    def sender_looks(heartbeat: int) -> bool:
        words[fmt.SETTLE_DONE] = words[fmt.SETTLE_REQUESTED]
        spool.bound_bytes = frees << 21
        return True

    monkeypatch.setattr(recorder.sender, "ensure", sender_looks)
    recorder.close()
    content = capturing.one()
    assert content.ended
    assert [each.status for each in content.of("scope_closed")] == ["completed"] * frees
    assert content.words[fmt.DROPPED_ENTRIES] - dropped == (not frees)
    assert content.words[fmt.SETTLE_REQUESTED] == 1 + frees  # what was asked for before did not speak of the closing


def test_a_closing_that_finds_no_room_is_written_once_there_is_some(capturing: Capturing) -> None:
    recorder = capturing.recorder(spool_bytes=1 << 20)
    run = recorder.run("full")
    stage = run.stage("train")
    fill_with_events(run)
    spool = recorder.stream().spool
    spool.bound_bytes = 0  # the room for closings alone is used up too
    stage.close()
    assert not capturing.one().of("scope_closed")
    spool.bound_bytes = 2 << 20
    run.event("e", message="there is room")
    assert [each.status for each in capturing.one().of("scope_closed")] == ["completed"]


def test_events_dropped_at_the_bound_are_counted_apart(capturing: Capturing) -> None:
    recorder = capturing.recorder(spool_bytes=1 << 20)
    run = recorder.run("full")
    results = [run.event("note", message="x" * 1000) for _ in range(2000)]
    kept = sum(result.ok for result in results)
    content = capturing.one()
    assert len(content.of("event")) == kept
    assert content.words[fmt.DROPPED_ENTRIES] == 2000 - kept > 0
    assert content.words[fmt.DROPPED_METRICS] == 0


def test_an_entry_that_is_too_large_is_dropped_and_counted(capturing: Capturing) -> None:
    run = capturing.recorder().run("large")
    result = run.event("note", message="x" * (9 << 20))
    assert (result.status, result.dropped) == ("dropped", 1)
    assert "larger" in result.reason
    assert run.event("note", message="small").ok
    assert capturing.one().words[fmt.DROPPED_LARGE_ENTRIES] == 1


def test_the_block_policy_waits_for_room_up_to_its_time_and_then_drops(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = capturing.recorder(spool_bytes=1 << 20, on_full="block", block_timeout_s=0.1)
    run = recorder.run("full")
    naps: list[float] = []
    clock = [100.0]

    def nap(seconds: float) -> None:
        naps.append(seconds)
        clock[0] += seconds

    monkeypatch.setattr(stream_module, "sleep", nap)
    monkeypatch.setattr(stream_module, "monotonic", lambda: clock[0])
    while run.metric("loss", 1.0).ok:
        pass
    assert sum(naps) == pytest.approx(0.1)

    def nap_and_make_room(seconds: float) -> None:
        nap(seconds)
        recorder.stream().spool.words[fmt.RELEASED_BYTES] = 1 << 19

    monkeypatch.setattr(stream_module, "sleep", nap_and_make_room)
    naps.clear()
    assert run.metric("loss", 2.0).ok
    assert len(naps) == 1
    assert capturing.one().words[fmt.DROPPED_METRICS] == 1


def test_full_storage_drops_counts_and_resumes_when_there_is_room(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = capturing.recorder()
    run = recorder.run("disk")
    run.metric("loss", 0.0)
    now = [time.time_ns()]
    monkeypatch.setattr(spool_module, "monotonic_ns", lambda: now[0])

    def refuse(file: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(spool_module, "_preallocate", refuse)
        results = fill(run, 6000)
    lost = sum(not result.ok for result in results)
    assert lost == 6000 - 4095
    now[0] += spool_module.DISK_RETRY_NS
    assert run.metric("loss", 1.0).ok
    content = capturing.one()
    assert content.words[fmt.DROPPED_DISK_METRICS] == lost
    assert len(content.metrics) == 1 + 4095 + 1


def test_without_any_place_for_a_spool_calls_succeed_and_keep_nothing(
    capturing: Capturing, caplog: pytest.LogCaptureFixture
) -> None:
    capturing.spools.write_text("a file where the folder should be")
    recorder = capturing.recorder()
    with recorder.run("nowhere") as run, run.stage("train") as stage:
        result = stage.metric("loss", 1.0)
        assert stage.log({"a": 1.0, "b": 2.0}).dropped == 2
        assert stage.event("note", message="m").status == "dropped"
    assert (result.status, result.ok) == ("dropped", False)
    assert run.status == "completed"
    recorder.close()
    assert len(caplog.records) == 1
    assert "CONTEXTA_SPOOL_DIR" in caplog.text


def test_what_was_not_kept_for_want_of_a_spool_is_counted_by_the_first_one(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = capturing.recorder()
    with monkeypatch.context() as patched:
        patched.setattr(session_module, "RETRY_S", 0.0)
        patched.setattr(spool_place, "choose_root", no_place)
        run = recorder.run("late")
        lost = [run.metric("loss", 1.0), run.log({"a": 1.0, "b": 2.0}), run.event("note", message="m")]
        assert [each.dropped for each in lost] == [1, 2, 1]
    assert run.metric("loss", 2.0).ok
    content = capturing.one()
    assert (content.words[fmt.DROPPED_DISK_METRICS], content.words[fmt.DROPPED_DISK_ENTRIES]) == (3, 1)
    assert len(content.metrics) == 1


@pytest.mark.parametrize("kind", ["rows", "journal", "group1"])
def test_a_block_that_storage_does_not_let_be_named_drops_counts_and_resumes(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    recorder = capturing.recorder()
    run = recorder.run("disk")
    for _ in range(3):
        run.log({"a": 1.0, "b": 2.0})
    rename, failed = Path.rename, []

    def refuse(path: Path, target: Path) -> Path:
        if Path(target).name.startswith(f"{kind}-") and len(failed) < 3:
            failed.append(target)
            raise OSError(28, "No space left on device")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    lost = entries = 0
    for number in range(6000):
        lost += not run.metric("loss", float(number)).ok
        lost += run.log({"a": 1.0, "b": 2.0}).dropped
        entries += not run.event("note", message="m" * 20).ok
    assert failed and lost + entries == {"rows": 3, "journal": 3, "group1": 6}[kind]
    assert run.metric("loss", 1.0).ok and run.event("note", message="m").ok
    content = capturing.one()
    assert (content.words[fmt.DROPPED_DISK_METRICS], content.words[fmt.DROPPED_DISK_ENTRIES]) == (lost, entries)


def test_a_spool_whose_first_entry_is_refused_is_taken_back_and_all_is_counted(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "RETRY_S", 0.0)
    recorder = capturing.recorder()

    def refuse(file: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(spool_module, "_preallocate", refuse)
        run = recorder.run("disk")
        assert run.metric("loss", 1.0).dropped == 1
    assert run.metric("loss", 2.0).ok
    content = capturing.one()
    assert content.words[fmt.DROPPED_DISK_METRICS] == 1
    assert content.words[fmt.DROPPED_DISK_ENTRIES] == 0


def test_an_undeclared_scope_counts_what_it_loses_and_not_itself(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = capturing.recorder()
    run = recorder.run("disk")
    with monkeypatch.context() as patched:
        patched.setattr(Journal, "append", failing)
        stage = run.stage("train")
        assert stage.metric("loss", 1.0).dropped == 1
        assert stage.log({"a": 1.0, "b": 2.0}).dropped == 2
        assert stage.event("note", message="m").dropped == 1
    assert stage.metric("loss", 2.0).ok
    content = capturing.one()
    assert (content.words[fmt.DROPPED_METRICS], content.words[fmt.DROPPED_ENTRIES]) == (0, 0)
    assert (content.words[fmt.DROPPED_DISK_METRICS], content.words[fmt.DROPPED_DISK_ENTRIES]) == (3, 1)


@pytest.mark.parametrize("what", ["event", "whole number", "block", "row"])
def test_a_clock_set_back_does_not_put_off_the_look_at_the_outside_world(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    run = capturing.recorder(spool_bytes=1 << 20).run("look")
    for _ in range(2):
        run.log({"a": 1, "b": 2})
    rows = run.rows
    rows.check_at += 3600 * 10**9  # as it stands when the clock is set back by an hour
    far = rows.check_at
    if what == "event":
        run.event("note", message="m")
    elif what == "whole number":
        run.metric("n", 1)
    elif what == "row":
        run.log({"a": 1, "b": 2})
    else:
        fill(run, rows.block[1] + 1)
    assert rows.check_at < far


def no_place(*_: object) -> None:
    raise OSError(28, "No space left on device")


def failing(*_: object, **__: object) -> None:
    raise DiskFullError("No space left on device")


def test_a_spool_removed_while_in_use_is_noticed_and_a_new_one_begun(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    run = recorder.run("removed")
    stage = run.stage("train")
    stage.metric("loss", 1.0)
    first = recorder.session_id
    shutil.rmtree(capturing.one().path)
    recorder.stream().rows.check_at = 0
    stage.metric("loss", 2.0)  # is lost with the spool, and notices
    assert stage.metric("loss", 3.0).ok
    run.close()
    content = capturing.one()
    assert content.session_id != first
    assert content.of("session_opened")[0].parent_session_id == first
    assert content.values("loss") == [3.0]
    assert [(each.name, each.inherited) for each in content.of("scope_opened")] == [
        ("removed", False),
        ("train", False),
    ]
    assert [each.issue_key for each in content.of("degraded")] == ["spool-removed"]
    assert len(content.of("scope_closed")) == 2
