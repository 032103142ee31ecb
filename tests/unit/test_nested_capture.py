"""Capture calls that come in the middle of others: from signal handlers, finalizers, loggers and other threads."""

from __future__ import annotations

import logging
import threading

import pytest
from capturing import Capturing

from contexta_client.capture import notices
from contexta_client.capture import spool as spool_module
from contexta_client.capture.journal import Journal
from contexta_client.capture.spool import DiskFullError, Spool


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


def test_who_writes_to_the_stream_holds_the_lock_of_the_recorder_too(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a second lock, a call nested in an append would wait for a thread that waits for the append."""
    recorder = capturing.recorder()
    run = recorder.run("locks")
    real, free = Spool.make_block, []

    def make_block(self: Spool, header: object) -> object:
        free.append(free_for_others(recorder.lock))
        return real(self, header)

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

    def refuse(*_: object) -> None:
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
