"""Frames that are whole and say what no log says, and segments that end long before they are said to."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import pytest
from breakable_files import BreakableFiles
from log_writing import ALL, BEGINNING, Notebook, make_batch, open_log, session

from contexta_daemon.log import Log, PackedBody, frame
from contexta_daemon.log.envelope import MAX_SEQUENCE, PayloadError, SessionState, decode_checkpoint, encode_checkpoint
from contexta_daemon.log.segment import SegmentHeader, encode_header

NOT_A_BATCH, NOT_A_CLOSING = (frame.BATCH, b"x" * 20), (frame.SESSION_CLOSED, b"x" * 20)


def write_after(log: Log, frames: list[tuple[int, bytes]]) -> None:
    """Put a segment of hostile frames, whose checksums hold, behind a log that was closed."""
    number = log.committed.segment + 1
    header = SegmentHeader(log.id, number, log.committed.segment, log.committed.offset, 0)
    data, seed = encode_header(header), frame.segment_seed(log.id, number)
    for kind, payload in frames:
        data += frame.encode_header(kind, 0, [payload], seed=seed, offset=len(data)) + payload
    (log.path / f"{number:010d}.seg").write_bytes(data)


@pytest.mark.parametrize("hostile", [NOT_A_BATCH, NOT_A_CLOSING])
def test_a_whole_frame_that_does_not_decode_keeps_nobody_from_the_rest(tmp_path: Path, hostile) -> None:
    log = open_log(tmp_path, BreakableFiles())
    kept = Notebook()
    kept.append(log, [session(1)])
    log.close()
    write_after(log, [(frame.CHECKPOINT, encode_checkpoint(log.sessions.items())), hostile])
    again = open_log(tmp_path, BreakableFiles())
    assert again.damaged_frames == 1
    assert len(list((tmp_path / "damaged").glob("*.bytes"))) == 1
    kept.append(again, [session(1)])
    kept.check(again)


@pytest.mark.parametrize(("count", "first"), [(0, 5), (1, MAX_SEQUENCE), ((1 << 32) - 1, (1 << 64) - 1)])
def test_items_that_no_session_has_are_damage(tmp_path: Path, count: int, first: int) -> None:
    log = open_log(tmp_path, BreakableFiles())
    log.append([make_batch(session(1), 0)])
    log.close()
    payload = struct.pack("<16sQIIqHxx", session(2), first, count, 0, 0, 0)
    payload += frame.xxhash.xxh3_64_digest(payload)[:3:-1]
    write_after(log, [(frame.BATCH, payload)])
    again = open_log(tmp_path, BreakableFiles())
    assert again.sessions.get(session(2)) is None
    again.append([make_batch(session(1), 3)])  # writes a checkpoint of all sessions
    assert [batch.envelope.first_sequence for batch in again.read(BEGINNING, limit_bytes=ALL)] == [0, 3]
    assert again.damaged_frames == 1


def test_a_checkpoint_with_more_items_than_a_session_can_have_is_none() -> None:
    state = SessionState(MAX_SEQUENCE + 1, b"", False, 0)
    with pytest.raises(PayloadError):
        decode_checkpoint(encode_checkpoint([(session(1), state)]))


def test_what_a_segment_lacks_is_not_looked_for_byte_by_byte(tmp_path: Path) -> None:
    log = open_log(tmp_path, BreakableFiles(), segment_bytes=1 << 20)
    for number in range(40):
        body = random.Random(number).randbytes(60_000)
        log.append([(make_batch(session(1), number * 3)[0], PackedBody(body, len(body), False))])
    log.close()
    first = min(tmp_path.glob("*.seg"))
    before = list(log.read(BEGINNING, limit_bytes=ALL))
    lost = sum(batch.position.segment == 1 for batch in before)
    assert lost > 10
    os.truncate(first, 5_000)  # the next segment's header still says that all of it counts
    files = BreakableFiles()
    again = Log(tmp_path, files=files)
    assert again.sessions.get(session(1)).next_sequence == 120
    assert list(again.read(BEGINNING, limit_bytes=ALL)) == before[lost:]
    assert again.damaged_frames == 1
    assert files.calls.count("pread") < 60
