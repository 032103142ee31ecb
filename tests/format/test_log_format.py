"""The log's format stays what it is: golden files of each version, and every byte of a small log cut and flipped."""

from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path

import pytest
import xxhash
from log_writing import ALL, BEGINNING, body_of, session

from contexta_daemon.log import (
    Envelope,
    Log,
    LogCorruptError,
    LogReader,
    LogTruncatedError,
    PackedBody,
    Position,
    frame,
)
from contexta_daemon.log.envelope import PayloadError, SessionState, pack_body, unpack_body
from contexta_daemon.log.segment import HEADER_BYTES, SegmentHeader, SegmentReader, decode_header, encode_header

GOLDEN = Path(__file__).parent / "golden" / "log-v1"
LOG_ID = bytes(range(16))
NOW_NS = 1_767_225_600_000_000_000


def plain(body: bytes) -> PackedBody:
    """Not compressed, so that the bytes do not depend on the version of zstd."""
    return PackedBody(body, len(body), False)


def write_golden(path: Path, *, compressed: bool = True) -> None:
    """A log of two segments: the first sealed, the second not. Regenerate only for a new version of the format."""

    def envelope(number: int, first: int, count: int) -> Envelope:
        return Envelope(session(number), first, count, b"cursor-%d" % first, NOW_NS + first)

    log = Log(path, clock_ns=lambda: NOW_NS, new_id=lambda: LOG_ID)
    log.append([(envelope(1, 0, 3), plain(body_of(session(1), 0))), (envelope(2, 0, 1), plain(b""))])
    second = pack_body(b"m" * 500, level=1) if compressed else plain(b"m" * 500)
    log.append([(envelope(1, 3, 5), second)], closing=[session(2)])
    log.close()
    log = Log(path, clock_ns=lambda: NOW_NS + 1, new_id=lambda: LOG_ID)
    log.append([(envelope(3, 0, 2), plain(body_of(session(3), 0)))])


def read_all(path: Path) -> list[tuple[bytes, int, int, bytes]]:
    log = Log(path)
    return [
        (batch.envelope.session_id, batch.envelope.first_sequence, batch.envelope.count, batch.body)
        for batch in log.read(BEGINNING, limit_bytes=ALL)
    ]


EXPECTED = [
    (session(1), 0, 3, body_of(session(1), 0)),
    (session(2), 0, 1, b""),
    (session(1), 3, 5, b"m" * 500),
    (session(3), 0, 2, body_of(session(3), 0)),
]


def test_version_1_is_read(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "log")
    log = Log(tmp_path / "log")
    assert read_all(tmp_path / "log") == EXPECTED
    assert log.id == LOG_ID and log.recovery_notes == () and log.segments == 2
    assert log.sessions.get(session(1)) == SessionState(8, b"cursor-3", False, NOW_NS + 3)
    assert log.sessions.get(session(2)) == SessionState(1, b"", True, NOW_NS)
    assert log.sessions.get(session(3)) == SessionState(2, b"cursor-0", False, NOW_NS)


def test_version_1_is_written_byte_for_byte(tmp_path: Path) -> None:
    write_golden(tmp_path / "log", compressed=False)
    for name, golden in (("0000000001.seg", GOLDEN / "plain.bin"), ("0000000002.seg", GOLDEN / "0000000002.seg")):
        made = bytearray((tmp_path / "log" / name).read_bytes())
        kept = bytearray(golden.read_bytes())
        if name == "0000000002.seg":  # where the one before ends depends on how well zstd compressed there
            for data in (made, kept):
                data[48:56] = data[64:72] = data[120:128] = data[136:144] = bytes(8)
        assert made == kept


def test_the_drawing_is_the_format() -> None:
    """Reads the golden segment with nothing but what docs/format/log.md says."""
    data = (GOLDEN / "0000000001.seg").read_bytes()
    assert data[:72] == data[72:144] and data[:8] == b"CTXSEGM\n"
    assert struct.unpack("<I4x16sQQQqQ", data[8:72]) == (
        1,
        LOG_ID,
        1,
        0,
        0,
        NOW_NS,
        xxhash.xxh3_64_intdigest(data[:64]),
    )
    seed = xxhash.xxh3_64_intdigest(LOG_ID + (1).to_bytes(8, "little"))
    at, kinds = 144, []
    while at < len(data):
        magic, length, kind, _flags, check, checksum = struct.unpack_from("<4sIBBHQ", data, at)
        own = (seed + at) % 2**64
        assert magic == b"CTXF" and check == xxhash.xxh3_64_intdigest(data[at : at + 10], own) & 0xFFFF
        payload = data[at + 20 : at + 20 + length]
        assert checksum == xxhash.xxh3_64_intdigest(data[at : at + 12] + payload, own)
        kinds.append(kind)
        at += 20 + length
    assert at == len(data) and kinds == [2, 1, 1, 1, 3, 4]


def test_a_log_cut_at_every_byte_keeps_what_is_whole_and_takes_more(tmp_path: Path) -> None:
    last = GOLDEN / "0000000002.seg"
    for size in range(last.stat().st_size):
        path = tmp_path / str(size)
        shutil.copytree(GOLDEN, path)
        os.truncate(path / last.name, size)
        log = Log(path)
        assert read_all(path) == EXPECTED[:3]
        assert log.recovery_notes or size in (0, *frame_starts(path / last.name))
        log.append([(Envelope(session(3), 0, 2, b"", NOW_NS), plain(EXPECTED[3][3]))])
        assert [batch.body for batch in log.read(BEGINNING, limit_bytes=ALL)] == [body for *_, body in EXPECTED]


def frame_starts(path: Path) -> list[int]:
    """Offsets at which a frame of the golden's second segment begins: a cut there leaves no trace."""
    with SegmentReader(Log(path.parent)._files, GOLDEN / path.name, 2) as segment:
        return [each.offset for each in segment.scan(LOG_ID, start=0, end=segment.size())]


@pytest.mark.parametrize("name", ["0000000001.seg", "0000000002.seg"])
def test_every_flipped_byte_is_found_and_costs_at_most_one_frame(tmp_path: Path, name: str) -> None:
    whole = (GOLDEN / name).read_bytes()
    for offset in range(len(whole)):
        path = tmp_path / f"{offset}"
        path.mkdir()
        for golden in GOLDEN.glob("*.seg"):
            shutil.copy(golden, path)
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << offset % 8
        (path / name).write_bytes(damaged)
        log = Log(path)
        found = read_all(path)
        list(log.read(BEGINNING, limit_bytes=ALL))
        assert [each for each in EXPECTED if each in found] == found and len(found) >= len(EXPECTED) - 1
        assert log.recovery_notes or log.damaged_frames, offset
        shutil.rmtree(path)


def test_a_damaged_byte_in_the_header_of_the_only_segment_costs_nothing(tmp_path: Path) -> None:
    whole = (GOLDEN / "0000000001.seg").read_bytes()
    for offset in range(0, HEADER_BYTES, 5):
        damaged = bytearray(whole)
        damaged[offset] ^= 1
        (tmp_path / "0000000001.seg").write_bytes(damaged)
        assert read_all(tmp_path) == EXPECTED[:3], offset
        assert Log(tmp_path).id == LOG_ID


def test_truncated_corrupt_and_foreign_segments_are_different_errors(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "log")
    reader = LogReader(tmp_path / "log")
    end = Position(2, (GOLDEN / "0000000002.seg").stat().st_size)
    batch = next(iter(reader.read(BEGINNING, end=end, limit_bytes=1)))
    segment = tmp_path / "log" / "0000000001.seg"
    whole = segment.read_bytes()
    segment.write_bytes(whole[: batch.end.offset - 1])
    with pytest.raises(LogTruncatedError) as truncated:
        reader.read_at(batch.position)
    assert (truncated.value.segment, truncated.value.offset) == (1, batch.position.offset)
    segment.write_bytes(whole[: batch.end.offset - 1] + b"\xff" + whole[batch.end.offset :])
    with pytest.raises(LogCorruptError) as corrupt:
        reader.read_at(batch.position)
    assert (corrupt.value.segment, corrupt.value.offset) == (1, batch.position.offset)
    with pytest.raises(LogCorruptError):
        decode_header(whole[:HEADER_BYTES], number=7)
    with pytest.raises(LogTruncatedError):
        decode_header(whole[:71], number=1)


def test_an_unknown_version_is_refused() -> None:
    data = bytearray(encode_header(SegmentHeader(LOG_ID, 1, 0, 0, NOW_NS))[:72])
    data[8] = 3
    data[64:] = xxhash.xxh3_64_intdigest(bytes(data[:64])).to_bytes(8, "little")
    with pytest.raises(LogCorruptError, match="version 3"):
        decode_header(bytes(data * 2), number=1)


def test_bytes_within_a_body_are_never_taken_for_a_frame(tmp_path: Path) -> None:
    """A sender that knows the format can put whole frames into a body; damage before it must not wake them."""
    write_golden(tmp_path / "log")
    inner = (tmp_path / "log" / "0000000001.seg").read_bytes()[HEADER_BYTES:]
    log = Log(tmp_path / "log")
    log.append(
        [(Envelope(session(4), 0, 1, b"", 1), plain(inner * 3)), (Envelope(session(5), 0, 1, b"", 1), plain(b"x"))]
    )
    log.close()
    path = max((tmp_path / "log").glob("*.seg"))
    data = bytearray(path.read_bytes())
    data[data.index(inner[:40]) - 60] ^= 1  # in the header of the frame that holds them
    path.write_bytes(data)
    assert [each[0] for each in read_all(tmp_path / "log")[4:]] == [session(5)]


def test_a_body_that_unpacks_to_more_than_it_says_is_refused() -> None:
    bomb = pack_body(b"\0" * (8 << 20), level=1)
    assert bomb.compressed and len(bomb.data) < 2000
    for raw_bytes in (0, 100, (8 << 20) - 1, 1 << 31):
        with pytest.raises(PayloadError):
            unpack_body(bomb.data, raw_bytes=raw_bytes, compressed=True)
    with pytest.raises(PayloadError):
        unpack_body(b"no zstd at all", raw_bytes=14, compressed=True)
    assert unpack_body(bomb.data, raw_bytes=8 << 20, compressed=True) == b"\0" * (8 << 20)


def test_a_frame_is_valid_only_at_its_own_place() -> None:
    seed = frame.segment_seed(LOG_ID, 1)
    data = frame.encode_header(frame.BATCH, 0, [b"ab", b"c"], seed=seed, offset=144) + b"abc"
    header = frame.decode_header(data, seed=seed, offset=144)
    assert header is not None and frame.payload_is_valid(data, header, seed=seed, offset=144)
    assert frame.decode_header(data, seed=seed, offset=145) is None
    assert frame.decode_header(data, seed=frame.segment_seed(LOG_ID, 2), offset=144) is None
