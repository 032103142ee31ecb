"""Puts of many callers share commits; a record is stored once; what cannot be stored is told to who put it."""

from collections.abc import Sequence

import anyio
import pytest

from contexta.v1 import capture_pb2 as pb
from contexta_daemon.catalog.stored import digest_of
from contexta_daemon.ingest import puts
from contexta_daemon.ingest.puts import Puts, RecordConflictError, TooManyPutsError
from contexta_daemon.ingest.refusals import BatchTooLargeError, DrainingError, RefusedError, StorageFullError


class Log:
    """What was appended, one list a commit; `stored` is what the catalog knows by then."""

    def __init__(self) -> None:
        self.commits: list[list[pb.Entry]] = []
        self.stored: dict[str, bytes] = {}
        self.error: Exception | None = None
        self.room = 1000  # commits
        self.open = anyio.Event()
        self.open.set()

    async def append(self, entries: Sequence[pb.Entry]) -> None:
        await self.open.wait()
        if self.error is not None:
            raise self.error
        if len(self.commits) >= self.room:
            raise StorageFullError("no room")
        self.commits.append(list(entries))
        for entry in entries:
            if entry.HasField("record_stored"):
                self.stored[entry.record_stored.ref] = digest_of(entry.record_stored)

    def digests(self, refs: Sequence[str]) -> dict[str, bytes]:
        return {ref: self.stored[ref] for ref in refs if ref in self.stored}


def play(scene, *, run: bool = True) -> Log:
    async def main() -> Log:
        log = Log()

        async def caught_up() -> None:
            return None

        made = Puts(log.append, caught_up=caught_up, stored_digests=log.digests, clock_ns=lambda: 1)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                if run:
                    tasks.start_soon(made.run)
                await scene(made, log)
                tasks.cancel_scope.cancel()
        return log

    return anyio.run(main)


def model(number: int) -> pb.ModelStored:
    return pb.ModelStored(model="Run", ref=f"run:p.r{number}", json="{}")


def record(name: str, text: str = "{}") -> pb.RecordStored:
    return pb.RecordStored(ref=f"record:p.r.{name}", record_type="metric", json=text)


def test_what_waits_together_is_committed_together() -> None:
    async def scene(made: Puts, log: Log) -> None:
        log.open = anyio.Event()  # the first commit takes its time, and the others gather behind it
        async with anyio.create_task_group() as tasks:
            for number in range(1000):
                tasks.start_soon(made.put_models, [model(number)])
            await anyio.wait_all_tasks_blocked()
            log.open.set()

    log = play(scene)
    assert len(log.commits) <= 2
    assert sum(map(len, log.commits)) == 1000


def test_a_record_put_again_is_stored_once_also_by_two_at_a_time() -> None:
    async def scene(made: Puts, log: Log) -> None:
        assert await made.put_records([record("a"), record("b"), record("a")]) == set()
        assert await made.put_records([record("a"), record("c")]) == {"record:p.r.a"}
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(made.put_records, [record("d")])

    log = play(scene)
    refs = [entry.record_stored.ref for commit in log.commits for entry in commit]
    assert [refs.count(f"record:p.r.{name}") for name in "abcd"] == [1, 1, 1, 1]


def test_other_content_under_a_stored_reference_is_refused_and_nothing_of_its_call_is_stored() -> None:
    async def scene(made: Puts, log: Log) -> None:
        await made.put_records([record("a")])
        with pytest.raises(RecordConflictError, match="use another reference"):
            await made.put_records([record("b"), record("a", '{"x":1}')])
        with pytest.raises(RecordConflictError):
            await made.put_records([record("c"), record("c", '{"x":1}')])

    assert len(play(scene).commits) == 1


def test_a_full_disk_is_told_to_everyone_and_the_next_put_is_tried_again() -> None:
    async def scene(made: Puts, log: Log) -> None:
        log.error = StorageFullError("no room")
        for _ in range(2):
            with pytest.raises(StorageFullError):
                await made.put_models([model(1)])
        log.error = None
        await made.put_models([model(1)])

    assert len(play(scene).commits) == 1


def test_what_is_durable_is_told_so_when_a_later_part_of_the_commit_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(puts, "MAX_APPEND_BYTES", 1000)
    told: dict[int, Exception | None] = {}

    async def scene(made: Puts, log: Log) -> None:
        async def put(number: int) -> None:
            told[number] = None
            try:
                await made.put_records([record(f"{number}-{each}") for each in range(5)])
            except StorageFullError as error:
                told[number] = error

        log.room = 2
        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(put, number)

    log = play(scene)
    stored = {int(ref.rpartition(".")[2].split("-")[0]) for ref in log.stored}
    assert 0 < len(stored) < 20
    assert {number for number, error in told.items() if error is None} == stored


def test_a_put_that_the_end_cuts_off_is_not_taken_for_stored() -> None:
    told: list[RefusedError] = []

    async def scene(made: Puts, log: Log) -> None:
        async def put() -> None:
            with pytest.raises(DrainingError) as refused:
                await made.put_models([model(1)])
            told.append(refused.value)

        log.open = anyio.Event()
        async with anyio.create_task_group() as callers, anyio.create_task_group() as running:
            running.start_soon(made.run)
            callers.start_soon(put)
            await anyio.wait_all_tasks_blocked()
            running.cancel_scope.cancel()

    play(scene, run=False)
    assert told and told[0].retryable


def test_what_is_too_much_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(puts, "MAX_APPEND_BYTES", 1000)
    monkeypatch.setattr(puts, "MAX_WAITING_BYTES", 1500)

    async def scene(made: Puts, log: Log) -> None:
        with pytest.raises(BatchTooLargeError, match="put fewer"):
            await made.put_models([model(number) for number in range(100)])
        log.open = anyio.Event()
        refused = []

        async def put(number: int) -> None:
            try:
                await made.put_models([model(number)] * 10)
            except TooManyPutsError as error:
                refused.append(error)

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(put, number)
            await anyio.wait_all_tasks_blocked()
            log.open.set()
        assert refused and all(error.retryable for error in refused)

    play(scene)
