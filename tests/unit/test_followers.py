"""Followers: each at its own pace, from its own position, and none stops another."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import anyio
import pytest
from log_writing import BEGINNING, Notebook, open_log, session

from contexta_daemon import followers
from contexta_daemon.followers import Runner
from contexta_daemon.log import Log, LoggedBatch, Position
from contexta_daemon.log.files import RealFiles

WAIT_S = 60.0


class Collector:
    def __init__(self, name: str, position: Position = BEGINNING) -> None:
        self.name = name
        self.position = position
        self.sequences: list[int] = []
        self.error: Exception | None = None
        self.calls = 0
        self.damaged = False
        self.made_again = threading.Event()

    def follow(self, batches: Sequence[LoggedBatch], end: Position) -> None:
        self.calls += 1
        if self.damaged:
            self.damaged, self.position, self.sequences = False, BEGINNING, []
            self.made_again.set()
            raise ValueError("damaged: made again")
        if self.error is not None:
            raise self.error
        self.sequences += [batch.envelope.first_sequence for batch in batches]
        self.position = end


async def problem_of(runner: Runner, name: str) -> str:
    while not runner.problem(name):  # noqa: ASYNC110 - nothing tells of it, people look it up
        await anyio.sleep(0.01)
    return runner.problem(name)


def following(log: Log, collectors: list[Collector], play, **settings) -> Runner:
    runner = Runner(log, collectors, **settings)

    async def main() -> None:
        with anyio.fail_after(WAIT_S):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(runner.run)
                await play(runner)
                tasks.cancel_scope.cancel()

    anyio.run(main)
    return runner


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return open_log(tmp_path / "log", RealFiles())


def test_everything_committed_comes_to_each_once_and_in_order(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "READ_BYTES", 100)
    notebook, one, two = Notebook(), Collector("one"), Collector("two")
    for _ in range(5):
        notebook.append(log, [session(1)])

    async def play(runner: Runner) -> None:
        for _ in range(5):
            assert await runner.wait_applied("one", log.committed, WAIT_S)
            assert await runner.wait_applied("two", log.committed, WAIT_S)
            assert runner.lag_bytes("one") == 0
            notebook.append(log, [session(1)])
            runner.committed_moved()
        assert await runner.wait_applied("one", log.committed, WAIT_S)
        assert await runner.wait_applied("two", log.committed, WAIT_S)

    following(log, [one, two], play)
    assert one.sequences == two.sequences == list(range(0, 30, 3)) and one.calls > 5


def test_a_follower_goes_on_from_where_it_stands(log: Log) -> None:
    notebook = Notebook()
    notebook.append(log, [session(1)])
    late = Collector("late", log.committed)
    notebook.append(log, [session(1)])

    async def play(runner: Runner) -> None:
        await runner.wait_applied("late", log.committed, WAIT_S)

    following(log, [late], play)
    assert late.sequences == [3]


def test_a_failing_follower_is_tried_again_and_hinders_no_other(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "_FIRST_RETRY_S", 0.01)
    notebook, bad, good = Notebook(), Collector("bad"), Collector("good")
    bad.error = OSError(28, "No space left on device")
    notebook.append(log, [session(1)])

    async def play(runner: Runner) -> None:
        assert await runner.wait_applied("good", log.committed, WAIT_S)
        assert "No space left" in await problem_of(runner, "bad")
        assert runner.problem("good") == "" and runner.lag_bytes("bad") > 0
        bad.error = None
        assert await runner.wait_applied("bad", log.committed, WAIT_S)
        await anyio.wait_all_tasks_blocked()
        assert runner.problem("bad") == ""

    following(log, [bad, good], play)
    assert bad.sequences == good.sequences == [0]


def test_a_follower_that_begins_anew_gets_everything_again(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followers, "_FIRST_RETRY_S", 0.01)
    notebook, follower = Notebook(), Collector("catalog")
    notebook.append(log, [session(1)])

    async def play(runner: Runner) -> None:
        await runner.wait_applied("catalog", log.committed, WAIT_S)
        follower.damaged = True
        notebook.append(log, [session(1)])
        runner.committed_moved()
        assert await runner.wait_applied("catalog", log.committed, WAIT_S)

    following(log, [follower], play)
    assert follower.sequences == [0, 3]


def test_nothing_is_followed_in_a_workspace_that_is_gone(log: Log) -> None:
    notebook, follower = Notebook(), Collector("catalog")
    notebook.append(log, [session(1)])

    async def play(runner: Runner) -> None:
        assert "deleted or moved" in await problem_of(runner, "catalog")
        assert runner.applied("catalog") < log.committed

    following(log, [follower], play, is_ours=lambda: False)
    assert follower.calls == 0


def test_a_patient_one_lets_a_fast_growing_log_pass_until_somebody_wants_it(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "FAST_BYTES", 1)
    notebook, prompt, patient = Notebook(), Collector("prompt"), Collector("patient")
    notebook.append(log, [session(1)])

    async def play(runner: Runner) -> None:
        for _ in range(20):  # grows faster than it is looked at
            notebook.append(log, [session(1)])
            runner.committed_moved()
            assert await runner.wait_applied("prompt", log.committed, WAIT_S)
        assert not patient.calls
        assert await runner.wait_applied("patient", log.committed, WAIT_S)

    following(log, [prompt, patient], play, patient=["patient"])
    assert patient.sequences == prompt.sequences


def test_a_patient_one_goes_on_when_the_log_grows_slowly_again_or_after_a_bounded_time(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "FAST_BYTES", 1)
    monkeypatch.setattr(followers, "LOOK_S", 0.01)
    notebook, patient = Notebook(), Collector("patient")
    notebook.append(log, [session(1)])

    async def quiet(runner: Runner) -> None:
        while patient.position < log.committed:
            await anyio.lowlevel.checkpoint()

    following(log, [patient], quiet, patient=["patient"])

    monkeypatch.setattr(followers, "PATIENCE_S", 0.05)
    later = Collector("patient")

    async def busy(runner: Runner) -> None:
        while not later.calls:
            notebook.append(log, [session(1)])
            runner.committed_moved()
            await anyio.lowlevel.checkpoint()

    following(log, [later], busy, patient=["patient"])


def test_a_follower_that_failed_by_itself_begins_anew_when_called_though_there_is_nothing_new(log: Log) -> None:
    notebook, one = Notebook(), Collector("one")
    notebook.append(log, [session(1)])

    async def play(runner: Runner) -> None:
        assert await runner.wait_applied("one", log.committed, WAIT_S)
        one.damaged = True
        runner.call("one")
        assert await anyio.to_thread.run_sync(one.made_again.wait, WAIT_S)
        notebook.append(log, [session(1)])
        runner.committed_moved()
        assert await runner.wait_applied("one", log.committed, WAIT_S)

    following(log, [one], play)
    assert one.sequences == [0, 3]
