"""The spool's blocks: rows, log rows and journal, switched without loss, also by a nested call."""

from __future__ import annotations

import itertools
import os
import struct
from pathlib import Path
from threading import RLock

import pytest
from spool_reader import read_spool

from contexta_client.capture import journal as journal_module
from contexta_client.capture import rows as rows_module
from contexta_client.capture import spool as spool_module
from contexta_client.capture import spool_format as fmt
from contexta_client.capture.entry_encoding import encode_entry
from contexta_client.capture.groups import Groups
from contexta_client.capture.journal import Journal
from contexta_client.capture.rows import Rows
from contexta_client.capture.spool import DiskFullError, Spool, SpoolFullError


@pytest.fixture
def spool(tmp_path: Path):
    made = Spool(tmp_path, os.urandom(16), bound_bytes=64 << 20)
    yield made
    made.release()


def event(text: str) -> bytes:
    return encode_entry("event", 1, {"message": text})


def messages(spool: Spool) -> list[str]:
    return [each.message for each in read_spool(spool.path).of("event")]


def rows_of(spool: Spool) -> Rows:
    return Rows(spool, RLock(), lambda now: None)


def test_a_new_spool_is_private_says_who_writes_it_and_is_open(spool: Spool) -> None:
    content = read_spool(spool.path)
    assert content.pid == os.getpid()
    assert content.words[fmt.WRITER_STATE] == fmt.OPEN
    assert content.words[fmt.CREATED_NS] > 0
    assert spool.path.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in spool.path.iterdir())
    assert not list(spool.path.glob(".*"))


@pytest.mark.parametrize("name", ["lockf", "_make_header"])
def test_a_spool_that_cannot_be_made_leaves_nothing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool_module.fcntl if name == "lockf" else Spool, name, refuse)
    with pytest.raises(OSError, match="No space"):
        Spool(tmp_path, os.urandom(16), bound_bytes=64 << 20)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_of_a_spool_is_held_as_long_as_its_process_lives(tmp_path: Path) -> None:
    import subprocess
    import sys

    spool = Spool(tmp_path, os.urandom(16), bound_bytes=1 << 20)
    try_it = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'r+b')\n"
        "try: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB); print('free')\n"
        "except OSError: print('held')\n"
    )

    def state() -> str:
        arguments = [sys.executable, "-c", try_it, str(spool.path / "lock")]
        return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()

    assert state() == "held"
    (spool.path / "header").read_bytes()  # closing any descriptor of a locked file would free its lock
    assert state() == "held"
    block = spool.make_block(fmt.BlockHeader(kind=fmt.JOURNAL, group=0, values=0, number=0, capacity=4096))
    block.publish()
    assert state() == "held"
    spool.release()
    assert state() == "free"


def test_rows_go_through_several_blocks_in_order(spool: Spool) -> None:
    rows = rows_of(spool)
    Journal(spool, RLock()).append(encode_entry("key_defined", 1, {"key_id": 7, "key": "loss"}))
    total = 4096 + 16384 + 100
    for step in range(total):
        rows.append(3 << 32 | 7, step / 8, fmt.encode_step(step))
    content = read_spool(spool.path)
    assert [metric.step for metric in content.metrics] == list(range(total))
    assert [metric.value for metric in content.metrics] == [step / 8 for step in range(total)]
    assert {metric.scope for metric in content.metrics} == {3}
    assert sorted(file.name for file in spool.path.glob("rows-*")) == ["rows-0", "rows-1", "rows-2"]
    assert content.words[fmt.CREATED_BYTES] == sum(
        file.stat().st_size for file in spool.path.iterdir() if file.name != "header"
    )


def test_an_exception_between_claim_and_commit_voids_the_row(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = rows_of(spool)
    Journal(spool, RLock()).append(encode_entry("key_defined", 1, {"key_id": 1, "key": "loss"}))
    rows.append(1, 1.0, 0)

    def interrupted() -> int:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(rows_module, "time_ns", interrupted)
        rows.append(1, 2.0, 0)
    rows.append(1, 3.0, 0)
    content = read_spool(spool.path)
    assert [metric.value for metric in content.metrics] == [1.0, 3.0]
    assert (content.voids, content.holes) == (1, 0)
    assert content.words[fmt.VOIDED_METRICS] == 1


def test_an_exception_right_after_a_claim_is_found_and_voided(spool: Spool) -> None:
    rows = rows_of(spool)
    Journal(spool, RLock()).append(encode_entry("key_defined", 1, {"key_id": 1, "key": "loss"}))
    rows.append(1, 1.0, 0)
    rows.block[0]()  # a claim whose index never reached its caller
    rows.abandon(rows.block, -1)
    rows.append(1, 2.0, 0)
    content = read_spool(spool.path)
    assert [metric.value for metric in content.metrics] == [1.0, 2.0]
    assert (content.voids, content.holes) == (1, 0)


def test_a_counter_need_not_be_one_that_can_be_pickled(spool: Spool) -> None:
    """Since Python 3.14 itertools' cannot."""

    class Count(itertools.count):
        def __reduce_ex__(self, protocol: object) -> tuple:
            raise TypeError("cannot pickle 'itertools.count' object")

        __reduce__ = __reduce_ex__

    rows = rows_of(spool)
    Journal(spool, RLock()).append(encode_entry("key_defined", 1, {"key_id": 1, "key": "loss"}))
    rows.append(1, 1.0, 0)
    rows.block = block = (Count(1).__next__, *rows.block[1:])
    block[0]()
    rows.abandon(block, -1)
    rows.append(1, 2.0, 0)
    content = read_spool(spool.path)
    assert [metric.value for metric in content.metrics] == [1.0, 2.0]
    assert (content.voids, content.holes) == (1, 0)


def test_abandoning_never_voids_a_committed_row(spool: Spool) -> None:
    rows = rows_of(spool)
    Journal(spool, RLock()).append(encode_entry("key_defined", 1, {"key_id": 1, "key": "loss"}))
    rows.append(1, 1.0, 0)
    rows.abandon(rows.block, 0)
    rows.abandon(rows.block, -1)
    rows.abandon(rows.block, 10**9)
    content = read_spool(spool.path)
    assert len(content.metrics) == 1
    assert content.words[fmt.VOIDED_METRICS] == 0


def test_a_nested_call_while_a_block_is_switched_shares_the_new_block(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = rows_of(spool)
    Journal(spool, RLock()).append(encode_entry("key_defined", 1, {"key_id": 1, "key": "loss"}))
    for at in ("make_block", "publish", "columns"):
        claim, capacity, *_ = rows.block
        for _ in range(capacity - rows_module.claimed(claim)):  # fill it
            rows.append(1, 0.0, 0)
        nested = iter([True])

        def nest(nested=nested) -> None:
            if next(nested, False):
                rows.append(1, 1.0, 0)

        def hooked(original, nest=nest):
            def call(*arguments, **options):
                result = original(*arguments, **options)
                nest()
                return result

            return call

        with monkeypatch.context() as patched:
            if at == "make_block":
                patched.setattr(spool, "make_block", hooked(spool.make_block))
            elif at == "publish":
                patched.setattr(spool_module.Block, "publish", hooked(spool_module.Block.publish))
            else:
                patched.setattr(rows_module, "_columns", hooked(rows_module._columns))
            rows.append(1, 2.0, 0)
    content = read_spool(spool.path)
    assert sorted(value for value in content.values("loss") if value) == [1.0] * 3 + [2.0] * 3
    assert content.holes == 0


def test_the_journal_goes_on_in_the_next_block_with_an_end_in_the_one_before(spool: Spool) -> None:
    journal = Journal(spool, RLock())
    texts = [f"{number}-" + "x" * (number % 700) for number in range(2000)]
    for text in texts:
        journal.append(event(text))
    assert messages(spool) == texts
    assert len(list(spool.path.glob("journal-*"))) > 2


def test_a_frame_larger_than_a_block_gets_its_own(spool: Spool) -> None:
    journal = Journal(spool, RLock())
    texts = ["a", "b" * (1 << 20), "c", "d" * 300_000, "e"]
    for text in texts:
        journal.append(event(text))
    assert messages(spool) == texts


def test_frames_that_just_fit_and_just_do_not_are_all_read_back(tmp_path: Path) -> None:
    for spare in range(40):
        spool = Spool(tmp_path, os.urandom(16), bound_bytes=8 << 20)
        journal = Journal(spool, RLock())
        first = journal_module.FIRST_BYTES - 2 * fmt.FRAME_HEADER_BYTES - spare
        overhead = len(event("x" * first)) - first
        texts = ["x" * (first - overhead), "y", "z"]
        for text in texts:
            journal.append(event(text))
        assert messages(spool) == texts, spare
        spool.release()


def test_an_append_nested_anywhere_in_an_append_loses_and_doubles_nothing(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal handler may capture between any two steps: here each step that can be hooked is one."""
    lock = RLock()
    journal = Journal(spool, lock)
    numbers = itertools.count()
    expected = []
    depth = 0

    def append(size: int) -> None:
        text = f"{next(numbers)}-" + "x" * size
        journal.append(event(text))
        expected.append(text)

    def nest() -> None:
        nonlocal depth
        if depth == 0 and next(chances):
            depth += 1
            append(next(sizes))
            depth -= 1

    sizes = itertools.cycle([1, 5000, 30_000, 60_000, 3])
    chances = itertools.cycle([True, False, False, True, False])

    def hooked(original):
        def call(*arguments, **options):
            result = original(*arguments, **options)
            nest()
            return result

        return call

    for target, name in (
        (journal_module, "_walk"),
        (journal_module, "crc32"),
        (spool, "make_block"),
        (spool_module.Block, "publish"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(target, name, hooked(getattr(target, name)))
            for size in (10, 40_000, 2000, 64_000, 10, 200_000, 10) * 5:
                append(size)
    assert sorted(messages(spool)) == sorted(expected)


def test_an_exception_in_the_middle_of_an_append_leaves_the_journal_whole(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(spool, RLock())
    journal.append(event("before"))

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("crc32", "_walk"):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(journal_module, name, interrupted)
            journal.append(event("never" * 20))
    journal.append(event("after"))
    assert messages(spool) == ["before", "after"]


def test_log_rows_keep_their_values_bits_and_order(spool: Spool) -> None:
    lock = RLock()
    journal = Journal(spool, lock)
    for key_id, key in enumerate("abc", 1):
        journal.append(encode_entry("key_defined", 1, {"key_id": key_id, "key": key}))
    groups = Groups(spool, lock)
    signature = (tuple("abc"), (float,) * 3)
    assert not groups.recurs(signature)
    assert groups.recurs(signature)
    group = groups.define(
        signature,
        lambda number: journal.append(encode_entry("group_defined", 1, {"group_id": number, "key_id": [1, 2, 3]})),
    )
    odd_nan = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_DEAD_BEEF))[0]
    for step in range(3000):
        while True:
            claim, capacity, memory = block = group.block
            index = claim()
            if index < capacity:
                break
            group.switch(block)
        group.pack(memory, index * group.row_bytes, step + 0.5, odd_nan, -0.0, step + 1, 9, 1000 + step)
    content = read_spool(spool.path)
    assert content.group_rows == 3000
    assert content.values("a") == [step + 0.5 for step in range(3000)]
    assert {struct.pack("<d", value) for value in content.values("b")} == {struct.pack("<Q", 0x7FF8_0000_DEAD_BEEF)}
    assert {struct.pack("<d", value) for value in content.values("c")} == {struct.pack("<d", -0.0)}
    assert len(list(spool.path.glob("group1-*"))) > 1


def test_a_group_row_abandoned_before_its_time_is_void_and_a_committed_one_is_not(spool: Spool) -> None:
    groups = Groups(spool, RLock())
    group = groups.define((("a", "b"), (float, float)), lambda number: None)
    group.switch(group.block)
    claim, _, memory = group.block
    assert group.abandon(group.block, claim())
    group.pack(memory, claim() * group.row_bytes, 1.0, 2.0, 0, 1, 5)
    assert not group.abandon(group.block, 1)
    assert spool.words[fmt.VOIDED_METRICS] == 2


def test_no_block_is_made_beyond_the_bound_and_the_journal_may_use_the_reserve(tmp_path: Path) -> None:
    spool = Spool(tmp_path, os.urandom(16), bound_bytes=1 << 20)
    rows = rows_of(spool)
    with pytest.raises(SpoolFullError):
        while True:
            rows.append(1, 1.0, 0)
    assert spool.waiting_bytes() <= (1 << 20) - spool_module.RESERVE_BYTES
    journal = Journal(spool, RLock())
    journal.append(encode_entry("key_defined", 1, {"key_id": 1, "key": "loss"}))
    written = 0
    with pytest.raises(SpoolFullError):
        while True:
            journal.append(event("x" * 1000))
            written += 1
    assert written > 150
    assert spool.waiting_bytes() <= 1 << 20
    spool.words[fmt.RELEASED_BYTES] += 512 << 10  # the sender made room
    journal.append(event("again"))
    rows.append(1, 2.0, 0)
    assert messages(spool)[-1] == "again"
    spool.release()


def test_failing_storage_is_asked_again_only_after_a_while(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    now = [10**18]

    def refuse(file: int, size: int) -> None:
        asked.append(size)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spool_module, "monotonic_ns", lambda: now[0])
    rows = rows_of(spool)
    with monkeypatch.context() as patched:
        patched.setattr(spool_module, "_preallocate", refuse)
        for _ in range(5):
            with pytest.raises(DiskFullError):
                rows.append(1, 1.0, 0)
        assert len(asked) == 1
        now[0] += spool_module.DISK_RETRY_NS
        with pytest.raises(DiskFullError):
            rows.append(1, 1.0, 0)
        assert len(asked) == 2
    now[0] += spool_module.DISK_RETRY_NS
    rows.append(1, 1.0, 0)
    assert not list(spool.path.glob(".*"))
    assert spool.words[fmt.CREATED_BYTES] == (spool.path / "rows-0").stat().st_size


def test_a_spool_that_was_removed_is_noticed(spool: Spool) -> None:
    assert spool.exists()
    (spool.path / "header").unlink()
    assert not spool.exists()
