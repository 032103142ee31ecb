"""How much one batch takes: never more than the daemon does, and all that was committed comes in the end."""

from __future__ import annotations

from pathlib import Path

import pytest
from plain_batches import plain_batch
from spool_writer import SpoolWriter

from contexta.v1 import capture_pb2
from contexta_client.capture import spool_format as fmt
from contexta_client.sender import batches
from contexta_client.sender.batches import Batcher
from contexta_client.sender.cursor import Cursor
from contexta_client.sender.follow import SpoolReader
from contexta_client.sender.losses import dropped_entries

LIMIT = 8 << 20  # of the daemon
LARGEST = LIMIT - (64 << 10)  # of an entry


@pytest.fixture
def spool(tmp_path: Path) -> SpoolWriter:
    return SpoolWriter(tmp_path)


@pytest.fixture
def batcher(spool: SpoolWriter) -> Batcher:
    return Batcher(SpoolReader(spool.session_id, [spool.path]), Cursor())


def bodies(batcher: Batcher, *, final: bool = False) -> list[bytes]:
    """Read up to where the writer is."""
    ends = batcher.reader.ends(final=final)
    found = []
    while True:
        body = batcher.next(ends, 0.0)
        found += [body.data] if body is not None else []
        if batcher.complete:
            return found


def values(found: list[bytes]) -> list[float]:
    return [value for data in found for columns in plain_batch(data).columns for value in columns.value]


def groups(found: list[bytes]) -> list[capture_pb2.MetricRows]:
    return [rows for data in found for rows in plain_batch(data).rows]


def test_the_largest_entry_travels_alone(spool: SpoolWriter, batcher: Batcher) -> None:
    for size in (500_000, LARGEST - 100, 500_000):
        spool.entry("event", key="big", message="m" * size)
    found = bodies(batcher)
    assert len(found) == 3
    assert max(map(len, found)) < LIMIT


def test_an_entry_that_no_batch_can_carry_is_counted_and_what_follows_it_comes(
    spool: SpoolWriter, batcher: Batcher
) -> None:
    spool.entry("event", key="before", message="m")
    spool.entry("key_defined", key_id=1, key="k", tags_json="t" * LARGEST)
    spool.entry("event", key="after", message="m")
    found = bodies(batcher)
    assert [entry.event.key for data in found for entry in plain_batch(data).entries] == ["before", "after"]
    (dropped,) = map(capture_pb2.Entry.FromString, dropped_entries(batcher.reader.words, batcher.cursor))
    assert (dropped.dropped.reason, dropped.dropped.entries_total) == ("too_large", 1)
    assert Cursor.unpack(batcher.cursor.pack()).too_large == 1


def test_the_largest_entry_travels_without_the_rows_that_wait(spool: SpoolWriter, batcher: Batcher) -> None:
    spool.entry("event", key="big", message="m" * (LARGEST - 100))
    for value in range(3_000):
        spool.row(float(value), step=value * 7919, time=1 + value * 104729, capacity=4096)
    found = bodies(batcher)
    assert [len(plain_batch(data).entries) for data in found] == [1, 0]
    assert max(map(len, found)) < LIMIT
    assert values(found) == [float(value) for value in range(3_000)]


def test_a_batch_has_a_bounded_number_of_items(
    spool: SpoolWriter, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "MAX_ITEMS", 50)
    for value in range(300):
        spool.row(float(value), capacity=128)
    for step in range(40):
        spool.group_row(1, [float(step)] * 7, step=step)
    found = bodies(batcher)
    assert values(found) == [float(value) for value in range(300)]
    for batch in map(plain_batch, found):
        assert sum(len(each.value) for each in (*batch.columns, *batch.rows)) <= 56
    assert sum(len(each.time_ns) for each in groups(found)) == 40


def late_wide_rows(spool: SpoolWriter, batcher: Batcher) -> None:
    """Five rows of seven values that were holes at the last look, and are committed now."""
    for _ in range(5):
        spool.group_row(1, [1.0] * 7, time=0)
    spool.group_row(1, [0.0] * 7)
    assert len(groups(bodies(batcher))) == 1
    assert len(batcher.cursor.holes) == 5
    memory, size = spool._blocks[fmt.GROUP, 1][1], fmt.group_row_bytes(7)
    for row in range(5):
        memory[row * size : (row + 1) * size].cast("q")[9] = 1


@pytest.mark.parametrize("final", [False, True])
def test_rows_that_were_late_are_bounded_too_and_none_is_forgotten(
    spool: SpoolWriter, batcher: Batcher, monkeypatch: pytest.MonkeyPatch, final: bool
) -> None:
    monkeypatch.setattr(batches, "MAX_ITEMS", 10)
    late_wide_rows(spool, batcher)
    found = bodies(batcher, final=final)
    assert [len(rows.value) for data in found for rows in [*plain_batch(data).rows]] == [7] * 5
    assert len(found) == 3
    assert (batcher.cursor.holes, batcher.cursor.torn) == ((), 0)


def test_rows_that_were_late_are_not_given_up_behind_the_last_words_of_their_writer(
    spool: SpoolWriter, batcher: Batcher
) -> None:
    late_wide_rows(spool, batcher)
    for _ in range(3):
        spool.entry("event", key="big", message="m" * 700_000)
    found = bodies(batcher, final=True)
    assert sum(len(rows.time_ns) for rows in groups(found)) == 5
    assert (batcher.cursor.holes, batcher.cursor.torn) == ((), 0)
