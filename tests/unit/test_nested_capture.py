"""Capture calls that come in the middle of others: from signal handlers, finalizers, loggers and other threads."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from capturing import Capturing

from contexta.capture.results import CaptureResult
from contexta.errors import ClosedScopeError
from contexta_client.capture import capture_calls, notices, scope_life, scope_opening, session
from contexta_client.capture import spool as spool_module
from contexta_client.capture import spool_format as fmt
from contexta_client.capture import stream as stream_module
from contexta_client.capture.journal import Journal
from contexta_client.capture.scopes import Scope, StageScope
from contexta_client.capture.session import Recorder
from contexta_client.capture.spool import DiskFullError, Spool

FILES = {each.__file__ for each in (capture_calls, scope_life, scope_opening, session, stream_module)}


def free_for_others(lock: threading.RLock) -> bool:
    """Return whether another thread gets a lock now."""
    got: list[bool] = []

    def ask() -> None:
        got.append(lock.acquire(blocking=False))
        if got[0]:
            lock.release()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    return got[0]


def interrupted(call: Callable[[], Any], at: int, nested: Callable[[], object]) -> tuple[Any, bool]:
    """Make a call, with another nested in it at the beginning or end number `at` of a call in FILES: only there does
    Python run signal handlers. Return the call's result, and whether there was such a place."""
    left = at

    def profile(frame: FrameType, *_: object) -> None:
        nonlocal left
        if frame.f_code.co_filename in FILES:
            left -= 1
            if left == -1:
                sys.setprofile(None)
                nested()

    sys.setprofile(profile)
    try:
        result = call()
    finally:
        sys.setprofile(None)
    return result, left < 0


def test_who_writes_to_the_stream_holds_the_lock_of_the_recorder_too(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a second lock, a call nested in an append would wait for a thread that waits for the append."""
    recorder = capturing.recorder()
    run = recorder.run("locks")
    real, free = Spool.make_block, []

    def make_block(self: Spool, header: object, **options: bool) -> object:
        free.append(free_for_others(recorder.lock))
        return real(self, header, **options)

    monkeypatch.setattr(Spool, "make_block", make_block)
    run.metric("rows", 1.0)
    run.event("journal", message="x" * 200_000)
    for _ in range(2):
        run.log({"a": 1.0, "b": 2.0})
    assert free == [False] * 3


@pytest.mark.parametrize("what", ["a scope", "a closing", "a session"])
def test_what_warns_of_a_refusal_does_not_hold_the_lock(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """A logger's handler has a lock of its own, and may capture what it is given."""
    monkeypatch.setattr(notices, "_said", set())
    recorder = capturing.recorder()
    free: list[bool] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            free.append(free_for_others(recorder.lock))

    def no_storage(*_: object) -> None:
        raise OSError(28, "No space left on device")

    def refuse(*_: object, **__: object) -> None:
        raise DiskFullError("No space left on device")

    run = None if what == "a session" else recorder.run("warned")
    handler = Handler()
    logging.getLogger("contexta").addHandler(handler)
    try:
        with monkeypatch.context() as patched:
            patched.setattr(spool_module, "_preallocate", no_storage)
            patched.setattr(Journal, "append", refuse)
            scope = recorder.run("warned") if run is None else run.stage("train")
            if what == "a closing":
                patched.setattr(notices, "_said", set())
                free.clear()
                scope.close()
    finally:
        logging.getLogger("contexta").removeHandler(handler)
    assert free == [True]


def test_a_scope_that_waits_for_room_lets_others_go_on(capturing: Capturing, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = capturing.recorder(spool_bytes=1 << 20, on_full="block", block_timeout_s=60.0)
    run = recorder.run("full")
    stream = recorder.stream()
    free: list[bool] = []

    def nap(seconds: float) -> None:
        free.append(free_for_others(recorder.lock))
        stream.spool.words[fmt.RELEASED_BYTES] += 1 << 20

    monkeypatch.setattr(stream_module, "sleep", nap)
    while not free:
        run.event("e", message="x" * 2000)
    free.clear()
    stream.spool.words[fmt.RELEASED_BYTES] = 0
    number = 0
    while not free:
        run.stage(f"{'x' * 200}-{number}")
        number += 1
    assert free == [True]
    assert len(capturing.one().of("scope_opened")) == 1 + number


def test_a_metric_nested_anywhere_in_an_opening_is_kept_and_the_scope_declared_once(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    run = recorder.run("nested")
    results: list[CaptureResult] = []
    at, more = 0, True
    while more:
        stage, more = interrupted(
            lambda at=at: run.stage(f"s{at}"), at, lambda: results.append(recorder.metric("gpu", float(len(results))))
        )
        stage.metric("loss", float(at))
        stage.close()
        at += 1
    assert at > 20
    content = capturing.one()
    assert [each.name for each in content.of("scope_opened")] == ["nested", *(f"s{number}" for number in range(at))]
    assert content.values("loss") == [float(number) for number in range(at)]
    assert all(each.ok for each in results)
    assert len(content.values("gpu")) == len(results) == at - 1


def test_calls_nested_anywhere_in_a_beginning_make_no_second_session_and_are_kept_or_counted(
    capturing: Capturing,
) -> None:
    at, more, lost_anywhere = 0, True, 0
    while more:
        recorder = capturing.recorder()
        results: list[CaptureResult] = []

        def nested(recorder: Recorder = recorder, results: list[CaptureResult] = results) -> None:
            if recorder.roots:
                results.append(recorder.metric("gpu", 0.5))
                results.append(recorder.metric("ticks", 3))
                results.append(recorder.event("e", message="m"))

        run, more = interrupted(lambda recorder=recorder: recorder.run("first"), at, nested)
        run.metric("loss", 1.0)
        recorder.close()
        content = capturing.one()
        assert len(content.of("session_opened")) == 1
        assert [each.name for each in content.of("scope_opened")] == ["first"]
        assert content.values("loss") == [1.0]
        words = content.words
        lost = sum(each.dropped for each in results)
        assert len(content.metrics) + len(content.of("event")) == 1 + sum(each.accepted for each in results)
        assert lost == sum(words[fmt.DROPPED_METRICS : fmt.DROPPED_DISK_ENTRIES + 1])
        assert all(each.ok or each.reason == stream_module.NESTED for each in results)
        lost_anywhere += lost
        shutil.rmtree(capturing.spools)
        at += 1
    assert at > 50
    assert lost_anywhere


def test_a_scope_that_a_nested_call_closes_is_closed_whatever_it_was_doing(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    run = recorder.run("closed")
    at, more = 0, True
    while more:
        stage = run.stage(f"s{at}")

        def batch(stage: StageScope = stage) -> Scope:
            try:
                return stage.batch("b")
            except ClosedScopeError:
                return stage

        opened, more = interrupted(batch, at, stage.close)
        assert not (opened.closed_ns and opened.group_scope_id)
        stage.close("cancelled")
        opened.close()
        at += 1
    content = capturing.one()
    declared = [each.scope_id for each in content.of("scope_opened")]
    closed = [each.scope_id for each in content.of("scope_closed")]
    assert sorted(closed) == sorted(set(declared) - {1})


def test_a_metric_in_whose_middle_its_scope_is_closed_raises_nothing_else_than_that(capturing: Capturing) -> None:
    run = capturing.recorder().run("closed")
    at, more = 0, True
    while more:
        stage = run.stage(f"s{at}")

        def metric(stage: Scope = stage, key: str = f"k{at}") -> object:
            try:
                return stage.metric(key, 1.0)
            except ClosedScopeError:
                return None

        _, more = interrupted(metric, at, stage.close)
        at += 1
    assert at > 20


def test_a_closing_that_is_owed_is_paid_once_also_when_a_nested_call_comes_right_behind_it(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = capturing.recorder(spool_bytes=1 << 20)
    run = recorder.run("owed")
    stages = [run.stage(name) for name in "ab"]
    for size in (2000, 0):
        while run.event("e", message="x" * size).ok:
            pass
    spool = recorder.stream().spool
    spool.bound_bytes = 0  # the room for closings alone is used up too
    for stage in stages:
        stage.close()
    spool.bound_bytes = 2 << 20
    real = Journal.append

    def append(journal: Journal, body: bytes, **options: bool) -> None:
        real(journal, body, **options)
        monkeypatch.setattr(Journal, "append", real)
        assert run.event("nested", message="m").ok

    monkeypatch.setattr(Journal, "append", append)
    assert run.event("outer", message="m").ok
    content = capturing.one()
    assert [each.scope_id for each in content.of("scope_closed")] == [2, 3]
    assert [each.key for each in content.of("event")][-2:] == ["nested", "outer"]
