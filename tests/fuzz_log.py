"""Fuzzing the log: payloads of frames, segment files of any bytes, and frames that are whole and hostile."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import xxhash
from log_writing import ALL, BEGINNING, make_batch, session

from contexta_daemon.log import Log, LogReader, frame
from contexta_daemon.log.envelope import (
    PayloadError,
    decode_batch,
    decode_checkpoint,
    decode_session_closed,
    encode_checkpoint,
)
from contexta_daemon.log.segment import SegmentHeader, encode_header

LOG_ID = b"a log for fuzz.."
NOW_NS = 2_000_000
ENVELOPE_BYTES, CURSOR_LENGTH_AT = 44, 40  # docs/format/log.md
KINDS = sorted(frame.KINDS)


class Payloads:
    """A kind, flags, and a payload whose checksum holds: it is decoded, or refused as no payload."""

    name = "payload"

    def __init__(self, folder: Path) -> None:
        del folder

    def run(self, data: bytes) -> bool:
        kind, flags, payload = KINDS[data[0] % len(KINDS)] if data else 1, data[1:2] == b"\1", data[2:]
        try:
            if kind == frame.BATCH:
                envelope, body = decode_batch(payload, compressed=flags)
                assert len(envelope.session_id) == 16 and isinstance(body, bytes)
            elif kind == frame.CHECKPOINT:
                sessions = decode_checkpoint(payload)
                encode_checkpoint(list(sessions.items()))  # what was read can be written again
            elif kind == frame.SESSION_CLOSED:
                decode_session_closed(payload)
        except PayloadError:
            return False
        return True

    def close(self) -> None:
        pass


class _Logs:
    """A log of two whole segments behind which the last one comes from the fuzzer."""

    def __init__(self, folder: Path) -> None:
        self.whole = folder / "whole"
        self.path = folder / "log"
        log = Log(self.whole, segment_bytes=200, clock_ns=lambda: NOW_NS, new_id=lambda: LOG_ID)
        log.append([make_batch(session(1), 0)])
        log.append([make_batch(session(1), 3)])
        log.close()
        self.committed = log.committed
        self.kept = [batch.body for batch in log.read(BEGINNING, limit_bytes=ALL)]
        self.last = max(self.whole.glob("*.seg"))
        self.last_number = int(self.last.stem)

    def check(self, *, keeps: int) -> bool:
        """Open the log, read it, append to it, and open it again; whether anything was found damaged or cut."""
        log = Log(self.path, clock_ns=lambda: NOW_NS)
        said = bool(log.recovery_notes)
        found = list(log.read(BEGINNING, limit_bytes=ALL))
        assert [batch.body for batch in found[:keeps]] == self.kept[:keeps]
        for batch in found:
            assert log.read_at(batch.position) == batch
        state = log.sessions.get(session(9))
        more = make_batch(session(9), state.next_sequence if state and not state.closed else 0)
        log.append([more])
        log.close()
        again = Log(self.path, clock_ns=lambda: NOW_NS)
        after = list(again.read(BEGINNING, limit_bytes=ALL))
        assert [batch.body for batch in after[:-1]] == [batch.body for batch in found]
        assert after[-1].envelope == more[0]
        assert list(LogReader(self.path).read(BEGINNING, end=again.committed, limit_bytes=ALL)) == after
        return said

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.rmtree(self.whole, ignore_errors=True)


class Segments(_Logs):
    """The bytes of the last segment's file, as they are. What stands in the segments before is kept."""

    name = "segment"

    def run(self, data: bytes) -> bool:
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(self.whole, self.path)
        (self.path / self.last.name).write_bytes(data)
        # The last segment's header says how much of the one before counts, so that one frame may go with it.
        return not self.check(keeps=1)


class Frames(_Logs):
    """What somebody writes who knows the format, with checksums that hold: a new last segment that says to follow
    (u32 segment, u64 end), and its frames, each (kind, flags, u16 length, payload)."""

    name = "frames"

    def run(self, data: bytes) -> bool:
        shutil.rmtree(self.path, ignore_errors=True)
        shutil.copytree(self.whole, self.path)
        number = self.last_number + 1
        previous, end = int.from_bytes(data[:4], "little") % number, int.from_bytes(data[4:12], "little")
        header = SegmentHeader(LOG_ID, number, previous, end, NOW_NS)
        seed, parts = frame.segment_seed(LOG_ID, number), [encode_header(header)]
        for kind, flags, payload in frames_of(data[12:]):
            offset = sum(map(len, parts))
            parts += [frame.encode_header(kind, flags, [payload], seed=seed, offset=offset), payload]
        (self.path / f"{number:010d}.seg").write_bytes(b"".join(parts))
        follows = (previous, end) == (self.last_number, self.committed.offset)
        return not self.check(keeps=len(self.kept) if follows else 0)


def frames_of(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at + 2 : at + 4], "little")
        kind, payload = KINDS[data[at] % len(KINDS)], data[at + 4 : at + 4 + length]
        yield kind, data[at + 1], _signed(payload) if kind == frame.BATCH else payload
        at += 4 + length


def _signed(payload: bytes) -> bytes:
    """A batch whose envelope has the check that its bytes need."""
    if len(payload) < ENVELOPE_BYTES:
        return payload
    end = ENVELOPE_BYTES + int.from_bytes(payload[CURSOR_LENGTH_AT : CURSOR_LENGTH_AT + 2], "little")
    check = xxhash.xxh3_64_intdigest(payload[:end]) & 0xFFFFFFFF
    return payload[:end] + check.to_bytes(4, "little") + payload[end + 4 :]
