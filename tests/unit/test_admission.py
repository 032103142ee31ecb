"""Who may append, and in which order."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

import anyio
import pytest
from ingesting import Ingest, ingesting
from log_writing import session

from contexta_daemon.ingest.refusals import (
    AdmissionFullError,
    BatchTooLargeError,
    ChecksumMismatchError,
    InvalidRequestError,
    RefusedError,
    SequenceGapError,
    SessionClosedError,
    StorageFailedError,
)
from contexta_daemon.log import MAX_BODY_BYTES

A, B = session(1), session(2)


async def refused(call, kind: type[RefusedError]) -> RefusedError:
    with pytest.raises(kind) as raised:
        await call
    return raised.value


def test_batches_are_durable_when_acknowledged_and_again_when_sent_again(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        assert await ingest.append(A, 0, 3, b"one", cursor=b"c1") == 3
        assert ingest.bodies() == [b"one"]
        assert await ingest.append(A, 3, 2, b"two") == 5
        assert await ingest.append(A, 0, 3, b"one") == 5
        assert await ingest.append(A, 3, 2, b"two") == 5
        assert ingest.bodies() == [b"one", b"two"]
        assert ingest.admission.admitted_bytes == 0 and ingest.admission.is_idle

    ingesting(tmp_path, play)


def test_batches_that_come_early_wait_for_their_turn(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        async with anyio.create_task_group() as tasks:
            for first in (6, 3, 9):
                tasks.start_soon(ingest.append, A, first, 3, b"%d" % first)
            await anyio.wait_all_tasks_blocked()
            assert ingest.bodies() == []
            tasks.start_soon(ingest.append, A, 0, 3, b"0")
        assert ingest.bodies() == [b"0", b"3", b"6", b"9"]

    ingesting(tmp_path, play)


def test_a_gap_that_nobody_fills_is_said_with_where_to_go_on(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        await ingest.append(A, 0, 3)
        gap = await refused(ingest.append(A, 5, 1), SequenceGapError)
        assert gap.expected_sequence == 3 and gap.retryable
        assert ingest.admission.admitted_bytes == 0 and ingest.admission.is_idle

    ingesting(tmp_path, play, early_wait_s=0.05)


def test_a_batch_that_overlaps_in_part_is_a_gap(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        await ingest.append(A, 0, 3)
        assert (await refused(ingest.append(A, 2, 3), SequenceGapError)).expected_sequence == 3
        assert (await refused(ingest.append(A, 0, 4), SequenceGapError)).expected_sequence == 3

    ingesting(tmp_path, play)


def test_a_batch_sent_twice_at_once_is_stored_once_and_acknowledged_twice(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(ingest.append, A, 0, 3, b"once")
        assert ingest.bodies() == [b"once"] and ingest.admission.admitted_bytes == 0

    ingesting(tmp_path, play)


def test_a_batch_sent_twice_at_once_is_refused_twice_when_it_cannot_be_written(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        codes: list[str] = []

        async def append() -> None:
            codes.append((await refused(ingest.append(A, 0, 3, b"once"), StorageFailedError)).code)

        ingest.files.broken = OSError(errno.EIO, "no")
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(append)
        assert codes == ["storage_failed"] * 3 and ingest.admission.is_idle
        ingest.files.broken = None
        await ingest.writable()
        assert await ingest.append(A, 0, 3, b"once") == 3

    ingesting(tmp_path, play)


def test_over_its_bytes_it_refuses_with_a_delay_and_never_queues(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        ingest.files.hold = threading.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ingest.append, A, 0, 1, b"x" * 6_000)
            tasks.start_soon(ingest.append, B, 0, 1, b"x" * 6_000)
            await anyio.wait_all_tasks_blocked()
            full = await refused(ingest.append(A, 1, 1, b"x" * 6_000), AdmissionFullError)
            assert full.retryable and full.retry_after_ms > 0
            assert ingest.admission.admitted_bytes <= 16_000 and ingest.admission.rejected == 1
            ingest.files.hold.set()
        assert await ingest.append(A, 1, 1, b"x" * 6_000) == 2
        assert ingest.admission.admitted_bytes == 0

    ingesting(tmp_path, play, limit_bytes=16_000)


def test_a_body_larger_than_the_quota_is_taken_when_nothing_else_waits(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        assert await ingest.append(A, 0, 1, b"x" * 100_000) == 1

    ingesting(tmp_path, play, limit_bytes=16_000)


def test_early_batches_leave_room_for_the_one_they_wait_for(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        results: list[object] = []

        async def early(first: int) -> None:
            try:
                results.append(await ingest.append(A, first, 1, b"x" * 4_000))
            except RefusedError as error:
                results.append(error.code)

        async with anyio.create_task_group() as tasks:
            for first in range(1, 5):
                tasks.start_soon(early, first)
            await anyio.wait_all_tasks_blocked()
            assert results == ["admission_full"] * 3
            assert await ingest.append(A, 0, 1, b"x" * 6_000) == 1
        assert results[3:] == [2]

    ingesting(tmp_path, play, limit_bytes=16_000)


def test_a_closed_session_takes_nothing_new(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        await ingest.append(A, 0, 3)
        assert (await refused(ingest.admission.close_session(A, 4), SequenceGapError)).expected_sequence == 3
        await ingest.admission.close_session(A, 3)
        await ingest.admission.close_session(A, 3)
        assert not (await refused(ingest.append(A, 3, 1), SessionClosedError)).retryable
        assert await ingest.append(A, 0, 3) == 3  # what is stored is acknowledged even then
        await ingest.admission.close_session(B, 0)
        assert (await refused(ingest.admission.close_session(B, 9), SequenceGapError)).expected_sequence == 0

    ingesting(tmp_path, play)


def test_the_closing_of_a_session_waits_for_the_items_that_are_on_their_way(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        ingest.files.hold = threading.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ingest.append, A, 0, 3)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(ingest.admission.close_session, A, 3)
            await anyio.wait_all_tasks_blocked()
            ingest.files.hold.set()
        state = ingest.log.sessions.get(A)
        assert state is not None and (state.closed, state.next_sequence) == (True, 3)

    ingesting(tmp_path, play)


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({"session_id": b"short"}, InvalidRequestError),
        ({"count": 0}, InvalidRequestError),
        ({"first": (1 << 63) - 1, "count": 2}, InvalidRequestError),
        ({"cursor": b"c" * 4097}, InvalidRequestError),
        ({"checksum": 1}, ChecksumMismatchError),
        ({"checksum": 0}, ChecksumMismatchError),
        ({"body": b"\0" * (MAX_BODY_BYTES + 1)}, BatchTooLargeError),
        ({"body": b"\0" * MAX_BODY_BYTES, "checksum": 1}, ChecksumMismatchError),
    ],
)
def test_a_wrong_request_is_refused_and_leaves_nothing(tmp_path: Path, given: dict, kind: type[RefusedError]) -> None:
    async def play(ingest: Ingest) -> None:
        await refused(ingest.append(**{"session_id": A, "first": 0, "count": 1, **given}), kind)
        assert ingest.admission.admitted_bytes == 0 and ingest.admission.is_idle and ingest.bodies() == []

    ingesting(tmp_path, play)


def test_a_caller_that_goes_away_leaves_its_batch_and_no_debt(tmp_path: Path) -> None:
    async def play(ingest: Ingest) -> None:
        ingest.files.hold = threading.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ingest.append, A, 0, 1, b"taken")
            tasks.start_soon(ingest.append, A, 5, 1, b"early")
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        ingest.files.hold.set()
        assert await ingest.append(A, 1, 1, b"next") == 2
        assert ingest.bodies() == [b"taken", b"next"] and ingest.admission.admitted_bytes == 0

    ingesting(tmp_path, play)
