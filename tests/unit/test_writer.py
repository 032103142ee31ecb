"""Group commit, and what happens while the disk refuses."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import anyio
import pytest
from ingesting import Ingest, ingesting
from log_writing import session

from contexta.v1 import capture_pb2
from contexta_daemon.ingest import writer
from contexta_daemon.ingest.refusals import DrainingError, RefusedError, StorageFailedError, StorageFullError
from contexta_daemon.log import Log

A = session(1)


def test_what_waits_while_the_disk_syncs_goes_with_one_sync(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        await ingest.append(A, 0, 1)
        ingest.files.calls.clear()
        ingest.files.hold = threading.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ingest.append, A, 1, 1)
            await anyio.wait_all_tasks_blocked()
            for number in range(2, 40):
                tasks.start_soon(ingest.append, session(number), 0, 1)
            await anyio.wait_all_tasks_blocked()
            ingest.files.hold.set()
        assert ingest.files.calls.count("sync") == 2 and ingest.writer.items == 40
        assert ingest.committed == 3

    ingesting(tmp_path, play)


@pytest.mark.parametrize(("durability", "syncs"), [("fsync", 4), ("interval", 1), ("none", 1)])
def test_how_often_is_synced_follows_the_policy(tmp_path: Path, durability: str, syncs: int) -> None:
    async def play(ingest: Ingest) -> None:
        for number in range(4):
            await ingest.append(A, number, 1)
        assert ingest.files.calls.count("sync") == syncs  # a new segment is always synced
        assert len(ingest.bodies()) == 4

    ingesting(tmp_path, play, durability=durability)


def test_by_interval_what_was_written_is_synced_soon_after(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SYNC_INTERVAL_S", 0.01)

    async def play(ingest: Ingest) -> None:
        await ingest.append(A, 0, 1)
        before = ingest.files.calls.count("sync")
        await ingest.append(A, 1, 1)
        with anyio.fail_after(60):
            while ingest.files.calls.count("sync") == before:  # noqa: ASYNC110 - it syncs by the clock
                await anyio.sleep(0.01)

    ingesting(tmp_path, play, durability="interval")


def test_large_and_small_bodies_keep_their_order(tmp_path: Path) -> None:
    bodies = [os.urandom(10) * (20_000 if number % 3 else 1) for number in range(20)]

    async def play(ingest: Ingest) -> None:
        async with anyio.create_task_group() as tasks:
            for number, body in enumerate(bodies):
                tasks.start_soon(ingest.append, A, number, 1, body)
        assert ingest.bodies() == bodies

    ingesting(tmp_path, play, limit_bytes=16 << 20)


@pytest.mark.parametrize(
    ("number", "kind", "code"),
    [(errno.ENOSPC, StorageFullError, "storage_full"), (errno.EROFS, StorageFailedError, "storage_failed")],
)
def test_a_disk_that_refuses_is_said_and_tried_again_until_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, kind: type[RefusedError], code: str
) -> None:
    monkeypatch.setattr(writer, "PROBE_S", 0.02)

    async def play(ingest: Ingest) -> None:
        await ingest.append(A, 0, 1, b"before")
        ingest.files.broken = OSError(number, os.strerror(number))
        for _ in range(3):
            with pytest.raises(kind) as refused:
                await ingest.append(A, 1, 1, b"after")
            assert refused.value.code == code and refused.value.retryable and refused.value.retry_after_ms > 0
            assert str(tmp_path) in ingest.writer.problem
        assert ingest.admission.admitted_bytes == 0
        ingest.files.broken = None
        await ingest.writable()
        assert await ingest.append(A, 1, 1, b"after") == 2
        assert ingest.bodies() == [b"before", b"after"]
        assert len(list((tmp_path / "log").glob("*.seg"))) == 2

    ingesting(tmp_path, play)


def test_when_a_write_fails_all_that_waits_is_refused_and_can_come_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(writer, "PROBE_S", 0.02)

    async def play(ingest: Ingest) -> None:
        codes: list[str] = []

        async def append(number: int) -> None:
            try:
                await ingest.append(A, number, 1, b"%d" % number)
            except RefusedError as error:
                codes.append(error.code)

        await ingest.append(A, 0, 1, b"0")
        ingest.files.hold = threading.Event()
        ingest.files.break_at, ingest.files.how = len(ingest.files.calls) + 1, errno.EIO  # the next sync
        async with anyio.create_task_group() as tasks:
            for number in (1, 2, 3):
                tasks.start_soon(append, number)
            await anyio.wait_all_tasks_blocked()
            ingest.files.hold.set()
        assert codes == ["storage_failed"] * 3 and ingest.bodies() == [b"0"]
        await ingest.writable()
        for number in (1, 2, 3):
            await ingest.append(A, number, 1, b"%d" % number)
        assert ingest.bodies() == [b"0", b"1", b"2", b"3"]

    ingesting(tmp_path, play)


def test_stopping_writes_what_was_admitted_and_takes_nothing_more(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        ingest.files.hold = threading.Event()
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(ingest.append, A, number, 1)
            await anyio.wait_all_tasks_blocked()
            ingest.writer.stop()
            with pytest.raises(DrainingError):
                await ingest.append(A, 3, 1)
            ingest.files.hold.set()

    ingesting(tmp_path, play)
    log = Log(tmp_path / "log")
    assert (state := log.sessions.get(A)) is not None and state.next_sequence == 3


def test_nothing_is_acknowledged_in_a_workspace_that_is_gone(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(writer, "PROBE_S", 0.02)
    ours = [True]

    async def play(ingest: Ingest) -> None:
        await ingest.append(A, 0, 1)
        ours[0] = False
        with pytest.raises(StorageFailedError, match="deleted or moved"):
            await ingest.append(A, 1, 1)
        files = sorted(path.name for path in (tmp_path / "log").iterdir())
        await anyio.sleep(0.1)
        assert ingest.writer.problem and sorted(path.name for path in (tmp_path / "log").iterdir()) == files

    ingesting(tmp_path, play, is_ours=lambda: ours[0])


def test_what_was_written_while_the_workspace_went_is_not_acknowledged(tmp_path: Path) -> None:
    answers = iter([True, True, True])  # before and behind the first append, and before the second

    async def play(ingest: Ingest) -> None:
        await ingest.append(A, 0, 1)
        with pytest.raises(StorageFailedError, match="deleted or moved"):
            await ingest.append(A, 1, 1)
        assert ingest.committed == 1

    ingesting(tmp_path, play, is_ours=lambda: next(answers, False))


def test_the_daemons_own_entries_go_into_a_session_of_their_own(tmp_path: Path) -> None:
    hashed = capture_pb2.Entry(time_ns=1, artifact_hashed=capture_pb2.ArtifactHashed(ref="artifact:p.r.a"))

    async def play(ingest: Ingest) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(ingest.internal.append_internal, [hashed, hashed])
        await ingest.internal.close()
        entries = [entry for body in ingest.bodies() for entry in capture_pb2.Batch.FromString(body).entries]
        kinds = [entry.WhichOneof("kind") for entry in entries]
        assert kinds == ["session_opened", *["artifact_hashed"] * 6, "session_ended"]
        state = ingest.log.sessions.get(ingest.internal.session_id)
        assert state is not None and state.closed and state.next_sequence == 8

    ingesting(tmp_path, play)


def test_the_daemons_own_entries_go_in_as_many_batches_as_they_need(tmp_path: Path) -> None:
    hashed = capture_pb2.ArtifactHashed(ref="artifact:p.r.a", detail="x" * (3 << 20))
    entry = capture_pb2.Entry(time_ns=1, artifact_hashed=hashed)

    async def play(ingest: Ingest) -> None:
        await ingest.internal.append_internal([entry] * 5)
        bodies = [capture_pb2.Batch.FromString(body) for body in ingest.bodies()]
        assert len(bodies) > 2 and sum(len(body.entries) for body in bodies) == 6

    ingesting(tmp_path, play)


@pytest.mark.parametrize("bytes_", [4, writer.PACK_IN_WRITER_BYTES])
def test_nobody_waits_on_when_the_writer_fails_as_nobody_thought_it_could(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bytes_: int
) -> None:
    def fails(body: bytes, *, level: int) -> None:
        raise MemoryError

    monkeypatch.setattr(writer, "pack_body", fails)
    refused: list[RefusedError] = []

    async def append(ingest: Ingest, number: int) -> None:
        with anyio.CancelScope(shield=True):  # as whoever holds the order of a session waits
            try:
                await ingest.append(session(number), 0, 1, b"x" * bytes_)
            except RefusedError as error:
                refused.append(error)

    async def play(ingest: Ingest) -> None:
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(append, ingest, number)

    with pytest.raises(BaseExceptionGroup) as caught:
        ingesting(tmp_path, play)
    assert caught.value.subgroup(MemoryError)
    assert [type(error) for error in refused] == [DrainingError] * 3


def test_the_next_daemon_closes_the_own_session_of_one_that_was_killed(tmp_path: Path) -> None:
    sessions: list[bytes] = []

    async def play(ingest: Ingest) -> None:
        await ingest.internal.append_internal([capture_pb2.Entry(time_ns=1)])
        sessions.append(ingest.internal.session_id)

    ingesting(tmp_path, play)
    ingesting(tmp_path, play)
    log = Log(tmp_path / "log")
    assert [log.sessions.get(session_id).closed for session_id in sessions] == [True, False]
