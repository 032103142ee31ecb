"""Segments of the log that let go of their metrics: read as before, or said to be damaged, and never anything else."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import numpy as np
import pytest
from lean_rig import SEGMENT_BYTES, LeanBench
from logged import columns, session_id_of

from contexta.v1 import capture_pb2 as pb
from contexta_daemon.batches import decode, skeleton_of
from contexta_daemon.catalog import Catalog
from contexta_daemon.columns import bodies, fetcher
from contexta_daemon.log import (
    Envelope,
    Log,
    LogCorruptError,
    LogDirectory,
    LogIOError,
    PackedBody,
    Position,
    frame,
    make_lean,
    pack_body,
)
from contexta_daemon.log.envelope import encode_batch, encode_checkpoint
from contexta_daemon.log.files import RealFiles
from contexta_daemon.log.lean import AS_IT_WAS, DIGEST_BYTES, PLACE, WHOLE, WITHOUT_METRICS
from contexta_daemon.log.segment import HEADER_BYTES, LEAN_VERSION, SegmentHeader, SegmentReader, SegmentWriter


@pytest.fixture
def bench(tmp_path: Path):
    made = LeanBench(tmp_path).fill()
    yield made
    made.close()


def test_a_log_without_its_metrics_reads_as_before(bench: LeanBench) -> None:
    before, bytes_before, sessions = bench.batches(), bench.log.real.bytes, bench.log.real.sessions
    assert bench.log.real.segments > 4
    made = bench.drop()
    assert len(made) == bench.log.real.segments - 1  # the last one is still being written
    assert all(each.after < each.before and each.batches for each in made)
    again = bench.log.opened()
    assert bench.batches() == before
    assert (again.damaged_frames, again.recovery_notes, again.committed) == (0, (), bench.log.real.committed)
    assert again.bytes < bytes_before and again.bytes == bench.log.real.bytes
    for session in (1, 2):
        assert again.sessions.get(session_id_of(session)) == sessions.get(session_id_of(session))
    for batch in before:
        assert again.read_at(batch.position) == bench.log.real.read_at(batch.position) == batch
        half = list(again.read(batch.position, limit_bytes=1))
        assert half[0] == batch
    assert bench.drop() == []  # nothing is left to be dropped


def test_a_batch_without_its_metrics_still_tells_its_entries(bench: LeanBench) -> None:
    before = bench.batches()
    bench.drop()
    shutil.rmtree(bench.folder)
    log = bench.log.opened()
    for batch in before:
        read = log.read_at(batch.position, metrics=False)
        assert decode(read).entries == decode(batch).entries
        assert (read.position, read.end, read.envelope) == (batch.position, batch.end, batch.envelope)
    assert log.damaged_frames == 0


def test_metrics_that_are_nowhere_are_damage_and_all_else_is_there(bench: LeanBench) -> None:
    before = bench.batches()
    bench.drop()
    shutil.rmtree(bench.folder)
    log = bench.log.opened()
    found = list(log.read(Position(0, 0), limit_bytes=1 << 60))
    lost = [each for each in before if each not in found]
    assert found == [each for each in before if each not in lost] and len(found) > 1
    assert all(decode(each).columns or decode(each).rows for each in lost)
    assert log.damaged_frames == len(lost) > 10
    with pytest.raises(LogCorruptError, match="not found there"):
        log.read_at(lost[0].position)


def test_catalog_and_columns_are_made_again_of_a_lean_log(bench: LeanBench, tmp_path: Path) -> None:
    rows, tables = sorted(map(repr, bench.rows())), tables_of(bench.catalog)
    bench.drop()
    bench.columns._folder.begin_again("")  # as for another version: the files are put away, and found there
    bench.close()
    shutil.rmtree(tmp_path / "metadata")
    again = LeanBench(tmp_path)
    again.log.real = again.log.opened()
    again.run()
    assert sorted(map(repr, again.rows())) == rows
    assert tables_of(again.catalog) == tables
    assert (tmp_path / "records" / "columns" / "old-1").is_dir()
    again.close()


def tables_of(catalog: Catalog) -> dict[str, list[str]]:
    connection = catalog.connect()
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: sorted(map(repr, map(tuple, connection.execute(f"SELECT * FROM {name}")))) for name in names}


def test_merged_files_have_what_the_log_lacks(bench: LeanBench, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bench.batches()
    bench.drop()
    monkeypatch.setattr("contexta_daemon.columns.merging.FAN_IN", 2)
    for _ in range(3):
        bench.log.add(1, columns=[columns([1.0, 2.0], series=(1, 1))])
        bench.run(flush_each=True)
        while bench.columns.merge():
            pass
    assert len(list(bench.folder.glob("*.parquet"))) == 1
    assert bench.batches()[: len(before)] == before


def test_a_damaged_file_of_columns_costs_the_metrics_that_are_damaged(bench: LeanBench) -> None:
    before = bench.batches()
    bench.drop()
    (path,) = bench.folder.glob("*.parquet")
    data = path.read_bytes()
    seen = set()
    for at in range(4, len(data) - 400, len(data) // 60):
        changed = bytearray(data)
        changed[at] ^= 0x11
        path.write_bytes(changed)
        found = bench.batches()
        assert all(each in before for each in found), at
        seen.add(len(found))
    assert max(seen) > min(seen)  # some flips cost less than everything
    path.write_bytes(data)
    assert bench.columns.check() == 0
    path.write_bytes(changed)
    assert bench.columns.check() == 1  # and put aside it is still looked into
    assert path.with_name(path.name + ".damaged").exists()
    assert len(bench.batches()) == len(found)


class NoAnswer:
    """A database whose disk does not answer."""

    def cursor(self) -> NoAnswer:
        return self

    def __enter__(self) -> NoAnswer:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def execute(self, *asked: object) -> None:
        raise duckdb.IOException("IO Error: Could not read from file: Input/output error")


def test_a_disk_that_does_not_answer_is_no_damage(bench: LeanBench, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bench.batches()
    bench.drop()
    log = bench.log.opened()
    with monkeypatch.context() as broken:
        broken.setattr(bodies, "connection", NoAnswer)
        with pytest.raises(LogIOError, match="Input/output error"):
            log.read_some(Position(0, 0), limit_bytes=1 << 60)
    assert log.read_some(Position(0, 0), limit_bytes=1 << 60)[0] == before
    assert log.damaged_frames == 0
    (path,) = bench.folder.glob("*.parquet")
    path.write_bytes(b"PAR1" + path.read_bytes())
    monkeypatch.setattr(bodies, "connection", NoAnswer)
    assert len(bench.batches()) < len(before)  # of a damaged file it is damage


def test_what_columns_do_not_have_to_the_last_bit_stays_in_the_log(tmp_path: Path) -> None:
    """A metric of a scope that was never defined is in no file; a body in another encoding cannot be made again."""
    bench = LeanBench(tmp_path)
    bench.fill(batches=4)
    values = list(np.random.default_rng(1).normal(size=60))
    bench.log.add(1, columns=[columns(values, series=(9, 1))])
    bench.log.add_body(1, in_another_order(columns(values, series=(1, 1))), len(values))
    kept = bench.batches()[-2:]
    while bench.log.real.segments < 3:
        bench.log.add(2, columns=[columns(values, series=(1, 1))])
    bench.run()
    before = bench.batches()
    bench.drop()
    shutil.rmtree(bench.folder)
    found = list(bench.log.opened().read(Position(0, 0), limit_bytes=1 << 60))
    assert all(each in found for each in kept)
    assert len(found) < len(before)
    bench.close()


def in_another_order(part: pb.RawMetricColumns) -> bytes:
    """A body of one part of columns, whose fields stand in the order in which no program of ours writes them."""
    fields = [pb.RawMetricColumns(**{name: getattr(part, name)}) for name in ("series", "step", "value", "time_ns")]
    body = b"".join(field.SerializeToString() for field in fields)
    return pb.RawBatch(columns=[part]).SerializeToString()[: -len(body)] + body


def test_a_damaged_segment_stays_as_it_is(bench: LeanBench) -> None:
    segments = sorted(bench.log.path.glob("*.seg"))
    data = bytearray(segments[1].read_bytes())
    data[len(data) // 2] ^= 1
    segments[1].write_bytes(data)
    made = bench.drop()
    assert len(made) == len(segments) - 2
    assert segments[1].read_bytes() == data
    assert list(bench.log.path.glob("*.new")) == []


def test_only_what_the_files_hold_whole_is_dropped(tmp_path: Path) -> None:
    bench = LeanBench(tmp_path)
    bench.fill(batches=10)
    at = bench.columns.position
    for _ in range(20):
        bench.log.add(1, columns=[columns(list(range(60)), series=(1, 1))])
    assert bench.log.real.committed.segment > at.segment
    assert [number for number, _ in bench.log.real.sealed(at)] == list(range(1, at.segment))
    assert len(bench.drop()) == at.segment - 1
    bench.close()


def test_a_flipped_byte_of_a_lean_segment_is_damage_of_one_batch_at_most(tmp_path: Path) -> None:
    bench = LeanBench(tmp_path, segment_bytes=SEGMENT_BYTES // 3)
    bench.fill(batches=6)
    before = bench.batches()
    assert bench.drop()
    path = min(bench.log.path.glob("*.seg"))
    data = path.read_bytes()
    for at in (*range(200), *range(200, len(data), 23)):  # header and first frames whole, then a byte of each field
        changed = bytearray(data)
        changed[at] ^= 0x10
        path.write_bytes(changed)
        log = bench.log.opened()
        found = list(log.read(Position(0, 0), limit_bytes=1 << 60))
        assert all(each in before for each in found), at
        assert len(before) - len(found) <= 1, at
        if len(found) < len(before):
            assert log.damaged_frames or log.recovery_notes, at
    bench.close()


ENVELOPE = Envelope(b"s" * 16, 0, 1, b"", 1)
DIGEST = bytes(DIGEST_BYTES)
UNDECODABLE = {
    "where the original ended": (frame.LEAN, b""),
    "a place": (frame.BATCH, b"short"),
    "a place behind which it ends": (frame.BATCH, PLACE.pack(300, 200, 0, AS_IT_WAS, 0)),
    "a place behind the end": (frame.BATCH, PLACE.pack(HEADER_BYTES, 1 << 60, 0, AS_IT_WAS, 0)),
    "a place before the first": (frame.BATCH, PLACE.pack(8, 300, 0, AS_IT_WAS, 0)),
    "an envelope": (frame.BATCH, PLACE.pack(HEADER_BYTES, 300, 0, WITHOUT_METRICS, 10) + DIGEST + b"junk" * 30),
    "a skeleton": (
        frame.BATCH,
        PLACE.pack(HEADER_BYTES, 300, 0, WITHOUT_METRICS, 1 << 31)
        + DIGEST
        + b"".join(encode_batch(ENVELOPE, PackedBody(b"x", 1, False))),
    ),
}


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize("what", UNDECODABLE)
def test_a_frame_that_does_not_decode_is_damage_and_keeps_nothing_from_being_served(
    tmp_path: Path, what: str, is_last: bool
) -> None:
    header = SegmentHeader(b"L" * 16, 1, 0, 0, 1, LEAN_VERSION)
    written(tmp_path, header, (frame.LEAN, WHOLE.pack(400)), UNDECODABLE[what])
    if not is_last:
        good = b"".join(encode_batch(Envelope(b"g" * 16, 0, 1, b"", 1), PackedBody(b"\x0a\x00", 2, False)))
        checkpoint = (frame.CHECKPOINT, encode_checkpoint([]))
        written(tmp_path, SegmentHeader(b"L" * 16, 2, 1, 400, 1), checkpoint, (frame.BATCH, good))
    log = Log(tmp_path, fetch=lambda batches: [None for _ in batches])
    batches, end = log.read_some(Position(0, 0), limit_bytes=1 << 20)
    assert [batch.envelope.session_id for batch in batches] == ([] if is_last else [b"g" * 16])
    assert end == log.committed and log.damaged_frames >= 1
    assert (tmp_path / "0000000001.seg").exists()
    with pytest.raises(LogCorruptError):
        log.read_at(Position(1, HEADER_BYTES))
    with pytest.raises(LogCorruptError):
        log.read_at(Position(1, HEADER_BYTES), metrics=False)
    next_position = log.append([(Envelope(b"n" * 16, 0, 1, b"", 1), pack_body(b"\x0a\x00", level=1))])
    assert next_position.segment == (2 if is_last else 3)
    log.close()


def test_a_segment_with_a_batch_that_does_not_decode_keeps_its_metrics(bench: LeanBench) -> None:
    log = bench.log.real
    number, end = log.sealed(bench.columns.position)[0]
    path = bench.log.path / f"{number:010d}.seg"
    with LogDirectory(bench.log.path, RealFiles()).open(number) as segment:
        assert isinstance(segment, SegmentReader)
        header = segment.header()
        frames = [(each.kind, each.payload) for each in segment.scan(log.id, start=HEADER_BYTES, end=end)]
    path.unlink()
    written(bench.log.path, header, *frames, (frame.BATCH, b"junk"))
    before = path.read_bytes()
    made = make_lean(
        LogDirectory(bench.log.path, RealFiles()), number, len(before),
        skeleton_of=skeleton_of, fetch=fetcher(bench.folder), may_replace=lambda: None,
    )  # fmt: skip
    assert made is None and path.read_bytes() == before
    assert list(bench.log.path.glob("*.new")) == []


def written(folder: Path, header: SegmentHeader, *frames: tuple[int, bytes]) -> None:
    """Write a segment of these frames, whose checksums hold."""
    writer = SegmentWriter(RealFiles(), folder / f"{header.number:010d}.seg", header)
    for kind, payload in frames:
        writer.add(kind, 0, [payload])
    writer.write()
    writer.sync()
    writer.close()
