"""What a sender reads from a spool: all that was committed, in order, once, whatever lies between."""

from __future__ import annotations

from pathlib import Path

import pytest
from plain_batches import plain_batch
from spool_writer import LockHolder, SpoolWriter

from contexta.v1 import capture_pb2
from contexta_client.capture import spool_format as fmt
from contexta_client.sender import batches, blocks, follow
from contexta_client.sender.batches import Batcher
from contexta_client.sender.cursor import Cursor
from contexta_client.sender.follow import SpoolReader


class Reading:
    """A reader of one spool, and what it has read."""

    def __init__(self, spool: SpoolWriter, cursor: Cursor | None = None) -> None:
        self.spool = spool
        self.reader = SpoolReader(spool.session_id, [spool.path])
        self.batcher = Batcher(self.reader, cursor or Cursor())
        self.batches: list[capture_pb2.Batch] = []
        self.now = 0.0

    def read(self, *, final: bool = False) -> list[float]:
        """Read up to where the writer is; return the values of single metrics that were new."""
        ends = self.reader.ends(final=final)
        new: list[float] = []
        while True:
            body = self.batcher.next(ends, self.now)
            if body is not None:
                batch = plain_batch(body.data)
                self.batches.append(batch)
                new += [value for columns in batch.columns for value in columns.value]
            if self.batcher.complete:
                return new

    @property
    def cursor(self) -> Cursor:
        return self.batcher.cursor

    @property
    def entries(self) -> list[capture_pb2.Entry]:
        return [entry for batch in self.batches for entry in batch.entries]

    @property
    def names(self) -> list[str]:
        return [entry.event.key for entry in self.entries]


@pytest.fixture
def spool(tmp_path: Path) -> SpoolWriter:
    return SpoolWriter(tmp_path)


def test_rows_are_read_in_order_over_blocks_and_only_once(spool: SpoolWriter) -> None:
    reading = Reading(spool)
    assert reading.read() == []
    for value in range(100):
        spool.row(float(value), capacity=16)
    assert reading.read() == [float(value) for value in range(100)]
    assert reading.read() == []
    spool.row(100.0)
    assert reading.read() == [100.0]


def test_rows_behind_a_hole_are_read_and_the_hole_when_it_is_filled(spool: SpoolWriter) -> None:
    reading = Reading(spool)
    spool.row(0.0)
    slot = spool.row(1.0, time=0)
    spool.row(2.0)
    assert reading.read() == [0.0, 2.0]
    assert reading.cursor.holes == ((0, 0, slot),)
    assert reading.read() == []
    spool.commit(slot)
    spool.row(3.0)
    assert reading.read() == [1.0, 3.0]
    assert reading.cursor.holes == ()


def test_an_abandoned_row_is_passed_over(spool: SpoolWriter) -> None:
    reading = Reading(spool)
    for value, time in ((0.0, 1), (1.0, fmt.VOID_TIME), (2.0, 1)):
        spool.row(value, time=time)
    assert reading.read() == [0.0, 2.0]
    assert reading.cursor.holes == ()
    slot = spool.row(3.0, time=0)
    spool.row(4.0)
    reading.read()
    spool.commit(slot, time=fmt.VOID_TIME)
    assert reading.read() == []
    assert (reading.cursor.holes, reading.cursor.torn) == ((), 0)


def test_the_holes_of_a_dead_writer_are_torn(spool: SpoolWriter) -> None:
    reading = Reading(spool)
    for value in range(6):
        spool.row(float(value), time=value % 2)
    assert reading.read(final=True) == [1.0, 3.0, 5.0]
    assert (reading.cursor.holes, reading.cursor.torn) == ((), 3)


def test_more_holes_than_a_cursor_holds_do_not_stop_the_reading(spool: SpoolWriter) -> None:
    reading = Reading(spool)
    for value in range(400):
        spool.row(float(value), time=value % 2, capacity=512)
    assert reading.read() == [float(value) for value in range(1, 400, 2)]
    assert (len(reading.cursor.holes), reading.cursor.torn) == (128, 72)
    assert len(reading.cursor.pack()) <= 4096


def test_a_hole_in_a_block_that_was_left_is_given_up_after_a_while(spool: SpoolWriter) -> None:
    reading = Reading(spool)
    for value in range(32):
        spool.row(float(value), time=int(value != 3), capacity=16)
    reading.read()
    spool.row(32.0)
    reading.read()
    assert len(reading.cursor.holes) == 1
    reading.now = batches.HOLE_PATIENCE_S + 1
    spool.row(33.0)
    reading.read()
    assert (reading.cursor.holes, reading.cursor.torn) == ((), 1)


def test_group_rows_travel_key_by_key(spool: SpoolWriter) -> None:
    spool.entry("key_defined", key_id=1, key="a")
    spool.entry("key_defined", key_id=2, key="b")
    spool.entry("group_defined", group_id=3, key_id=[1, 2])
    for step in range(40):
        spool.group_row(3, [float(step), -float(step)], step=fmt.encode_step(step), scope=7)
    reading = Reading(spool)
    reading.read()
    rows = [each for batch in reading.batches for each in batch.rows]
    assert {each.group_id for each in rows} == {3}
    assert [step for each in rows for step in each.step] == [step + 1 for step in range(40)]
    assert {scope for each in rows for scope in each.scope_id} == {7}
    first = [value for each in rows for value in list(each.value)[: len(each.time_ns)]]
    second = [value for each in rows for value in list(each.value)[len(each.time_ns) :]]
    assert first == [float(step) for step in range(40)]
    assert second == [-float(step) for step in range(40)]


def test_values_are_bit_exact(spool: SpoolWriter) -> None:
    exact = [float("nan"), float("inf"), -0.0, 5e-324, 0.1]
    for value in exact:
        spool.row(value, series=7 << 32 | 9, step=-3, time=123)
    reading = Reading(spool)
    assert [value.hex() for value in reading.read()] == [value.hex() for value in exact]
    columns = reading.batches[0].columns[0]
    assert (set(columns.series), set(columns.step), set(columns.time_ns)) == ({7 << 32 | 9}, {-3}, {123})


# --- the journal ---


def test_entries_pass_as_they_are_over_blocks(spool: SpoolWriter) -> None:
    written = [spool.entry("event", key=f"e{number}", capacity=256) for number in range(50)]
    reading = Reading(spool)
    reading.read()
    assert [entry.SerializeToString() for entry in reading.entries] == written


def test_a_damaged_frame_is_counted_and_the_next_is_read(spool: SpoolWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "SUSPECT_S", -1.0)
    spool.entry("event", key="before")
    spool.frame(b"damaged", checksum=1)
    spool.entry("event", key="after")
    reading = Reading(spool)
    reading.read()
    reading.read()
    assert reading.names == ["before", "after"]
    assert reading.cursor.unreadable == 1


def test_a_frame_that_is_seen_half_committed_is_waited_for(spool: SpoolWriter) -> None:
    spool.entry("event", key="first")
    body = capture_pb2.Entry(event=capture_pb2.EventCaptured(key="late")).SerializeToString()
    spool.frame(body, length=3)
    reading = Reading(spool)
    reading.read()
    assert (reading.names, reading.cursor.unreadable) == (["first"], 0)
    memory = spool._blocks[fmt.JOURNAL, 0][1]
    fmt.FRAME_HEADER.pack_into(memory, reading.cursor.journal[1], len(body), blocks.zlib.crc32(body))
    reading.read()
    assert (reading.names, reading.cursor.unreadable) == (["first", "late"], 0)


def test_a_length_that_leads_out_of_its_block_costs_the_rest_of_it(spool: SpoolWriter) -> None:
    spool.entry("event", key="first", capacity=128)
    spool.frame(b"x" * 8, length=100_000)
    spool.entry("event", key="in the next", capacity=128, message="m" * 100)
    reading = Reading(spool)
    reading.read(final=True)
    assert reading.names == ["first", "in the next"]
    assert reading.cursor.unreadable == 1


def test_an_abandoned_frame_is_passed_over(spool: SpoolWriter) -> None:
    spool.frame(b"abandoned", length=9 | fmt.FRAME_VOID)
    spool.entry("event", key="after")
    reading = Reading(spool)
    reading.read()
    assert (reading.names, reading.cursor.unreadable) == (["after"], 0)


def test_bytes_that_only_pretend_to_define_something_are_not_sent(spool: SpoolWriter) -> None:
    spool.frame(b"\x12\xff\xff\xff\xff\xff\xff")
    spool.entry("event", key="after")
    reading = Reading(spool)
    reading.read()
    assert (reading.names, reading.cursor.unreadable) == (["after"], 1)


def test_a_writer_killed_between_two_journal_blocks_loses_neither(spool: SpoolWriter) -> None:
    spool.entry("event", key="first")
    spool.block(fmt.JOURNAL, capacity=4096)
    spool._places[fmt.JOURNAL, 0] = 0
    spool.entry("event", key="second")
    reading = Reading(spool)
    reading.read()
    assert reading.names == ["first"]
    reading.read(final=True)
    assert reading.names == ["first", "second"]


def test_definitions_stand_before_the_rows_that_use_them(spool: SpoolWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_JOURNAL_BYTES", 100)
    for key_id in range(1, 30):
        spool.entry("key_defined", key_id=key_id, key=f"k{key_id}")
        spool.row(float(key_id), series=1 << 32 | key_id)
    reading = Reading(spool)
    assert reading.read() == [float(key_id) for key_id in range(1, 30)]
    known: set[int] = set()
    for batch in reading.batches:
        known |= {entry.key_defined.key_id for entry in batch.entries}
        assert {series & 0xFFFFFFFF for columns in batch.columns for series in columns.series} <= known


# --- blocks that are missing or damaged ---


def test_a_damaged_block_is_counted_once_and_the_next_is_read(spool: SpoolWriter) -> None:
    for value in range(48):
        spool.row(float(value), capacity=16)
    (spool.path / "rows-1").write_bytes(b"no block at all")
    reading = Reading(spool)
    assert reading.read() == [float(value) for value in (*range(16), *range(32, 48))]
    reading.read()
    assert reading.cursor.unreadable == 1


@pytest.mark.parametrize("name", ["rows-0", "journal-0"])
def test_a_damaged_last_block_of_a_dead_writer_is_counted(spool: SpoolWriter, name: str) -> None:
    spool.row(1.0)
    spool.entry("event", key="e")
    (spool.path / name).write_bytes(b"")
    reading = Reading(spool)
    reading.read()
    assert reading.cursor.unreadable == 0
    reading.read(final=True)
    reading.read(final=True)
    assert reading.cursor.unreadable == 1


def test_reading_goes_on_exactly_where_a_cursor_stands(spool: SpoolWriter) -> None:
    spool.begin()
    for value in range(40):
        spool.row(float(value), time=int(value != 5), capacity=16)
    first = Reading(spool)
    assert len(first.read()) == 39
    for value in range(40, 60):
        spool.row(float(value), capacity=16)
    spool.entry("event", key="new")
    again = Reading(spool, Cursor.unpack(first.cursor.pack()))
    assert again.read() == [float(value) for value in range(40, 60)]
    assert again.names == ["new"]
    assert again.cursor.open_scopes == 1
    assert again.cursor.began
    assert again.cursor.holes == ((0, 0, 5),)


def test_open_scopes_are_those_that_the_session_opened_and_did_not_close(spool: SpoolWriter) -> None:
    spool.begin()
    spool.entry("scope_opened", scope_id=2, parent_id=1, kind=2, ref="stage:demo.one.a", name="a")
    spool.entry("scope_opened", scope_id=3, kind=1, ref="run:demo.parents", name="p", inherited=True)
    spool.entry("scope_closed", scope_id=2, status="completed")
    reading = Reading(spool)
    reading.read()
    assert reading.cursor.open_scopes == 1


def test_what_a_folder_of_many_groups_costs_is_not_paid_at_every_look(spool: SpoolWriter) -> None:
    spool.row(1.0)
    reading = Reading(spool)
    reading.read()
    listings = []
    reading.reader._listed_ns += follow.MTIME_GRAIN_NS * 2  # as if the last listing were not so close to the change
    original = follow.os.listdir
    follow.os.listdir = lambda path: listings.append(path) or original(path)
    try:
        for value in range(20):
            spool.row(float(value))
            reading.read()
    finally:
        follow.os.listdir = original
    assert listings == []


def test_a_writer_is_gone_when_its_lock_is_free(tmp_path: Path) -> None:
    holder = LockHolder()
    spool = SpoolWriter(tmp_path, holder=holder)
    reader = SpoolReader(spool.session_id, [spool.path])
    assert not reader.writer_is_gone()
    assert not reader.writer_is_gone()
    spool.vanish()
    assert reader.writer_is_gone()
    reader.close()
    holder.close()


def test_a_group_row_of_an_impossible_scope_spoils_only_itself(spool: SpoolWriter) -> None:
    spool.begin()
    spool.entry("group_defined", group_id=1, key_id=[1])
    spool.group_row(1, [1.0])
    spool.group_row(1, [2.0], scope=1 << 33)
    spool.group_row(1, [3.0])
    reading = Reading(spool)
    reading.read()
    assert [list(rows.value) for batch in reading.batches for rows in batch.rows] == [[1.0, 3.0]]
    assert reading.cursor.unreadable == 1


@pytest.mark.parametrize("name", ["group0-0", "group4294967295-0", "rows-4294967295", "group1-99999999999", "rows-x"])
def test_a_file_of_a_name_that_no_block_has_is_left_alone(spool: SpoolWriter, name: str) -> None:
    spool.begin()
    spool.row(1.5)
    (spool.path / name).write_bytes(b"x" * 100)
    reading = Reading(spool)
    assert reading.read(final=True) == [1.5]
    assert reading.cursor.unreadable == 0
    reading.cursor.pack()
