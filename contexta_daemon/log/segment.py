"""One segment: its header's bytes, writing frames to it, and scanning it. Drawn in docs/format/log.md.

The header stands twice at the beginning of the file, so that one damaged byte never costs a whole segment. It names the
segment before it and how much of that one counts: what a failed write or sync may have left behind there is thereby
void for ever, without touching the old file.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import xxhash

from . import frame
from .errors import LogCorruptError, LogIOError, LogTruncatedError
from .files import Files, write_all

MAGIC = b"CTXSEGM\n"
VERSION, LEAN_VERSION = 1, 2  # a lean segment let go of its metrics: see lean.py
_COPY = struct.Struct("<8sI4x16sQQQqQ")  # magic, version, log id, number, previous number, previous end, created, check
_CHECK_BYTES = 8
HEADER_COPY_BYTES = _COPY.size
HEADER_BYTES = 2 * HEADER_COPY_BYTES
_WINDOW_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SegmentHeader:
    """`previous` is 0 for the first; what stands in it from `previous_end` on does not count."""

    log_id: bytes
    number: int
    previous: int
    previous_end: int
    created_ns: int
    version: int = VERSION


@dataclass(frozen=True, slots=True)
class Frame:
    """A valid frame: where it begins and ends in its segment, and what it holds."""

    offset: int
    end: int
    kind: int
    flags: int
    payload: bytes

    @property
    def is_after_sync(self) -> bool:
        """Whether all that stands before it was durable when it was written: damage there is not of a crash."""
        return bool(self.flags & frame.AFTER_SYNC) or self.kind == frame.FOOTER


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes from `offset` to `end` that are no valid frame. `payload` is there when only it is damaged."""

    offset: int
    end: int
    truncated: bool
    kind: int = 0
    payload: bytes = b""


def encode_header(header: SegmentHeader) -> bytes:
    copy = _COPY.pack(
        MAGIC, header.version, header.log_id, header.number, header.previous, header.previous_end,
        header.created_ns, 0,
    )[:-_CHECK_BYTES]  # fmt: skip
    copy += xxhash.xxh3_64_intdigest(copy).to_bytes(_CHECK_BYTES, "little")
    return copy * 2


def decode_header(data: bytes, *, number: int) -> SegmentHeader:
    """The header in the first bytes of segment `number`, from whichever copy is good."""
    if len(data) < HEADER_COPY_BYTES:
        raise LogTruncatedError("the segment ends within its header", segment=number, offset=len(data))
    for at in (0, HEADER_COPY_BYTES):
        copy = data[at : at + HEADER_COPY_BYTES]
        if len(copy) < HEADER_COPY_BYTES:
            continue
        magic, version, log_id, own, previous, previous_end, created_ns, check = _COPY.unpack(copy)
        if magic != MAGIC or xxhash.xxh3_64_intdigest(copy[:-_CHECK_BYTES]) != check:
            continue
        if version not in (VERSION, LEAN_VERSION):
            known = f"{VERSION} or {LEAN_VERSION}"
            raise LogCorruptError(f"the segment has format version {version}, not {known}", segment=number, offset=8)
        if own != number or previous >= number:
            raise LogCorruptError(f"the file holds segment {own} under another's name", segment=number, offset=32)
        return SegmentHeader(log_id, own, previous, previous_end, created_ns, version)
    raise LogCorruptError("both copies of the segment's header are damaged", segment=number, offset=0)


class SegmentWriter:
    """Appends frames to a new file. `end` counts what was written; after any error the segment is not used again."""

    def __init__(self, files: Files, path: Path, header: SegmentHeader) -> None:
        self.number = header.number
        self.path = path
        self.created_ns = header.created_ns
        self.end = 0
        self.sync_failed = False
        self._synced = False  # all that was written, and something was
        self.batches = self.items = self.first_ns = self.last_ns = 0
        self._files = files
        self._seed = frame.segment_seed(header.log_id, header.number, version=header.version)
        self._pending: list[bytes | memoryview] = [encode_header(header)]
        self._pending_end = HEADER_BYTES
        self._fd = files.create(path)

    def add(self, kind: int, flags: int, payload: Sequence[bytes]) -> tuple[int, int]:
        """Take a frame for the next write; return where it begins and ends."""
        start = self._pending_end
        if self._synced:
            flags, self._synced = flags | frame.AFTER_SYNC, False
        head = frame.encode_header(kind, flags, payload, seed=self._seed, offset=start)
        self._pending += [head, *payload]
        self._pending_end = start + len(head) + sum(len(part) for part in payload)
        return start, self._pending_end

    def write(self) -> None:
        """Write all that was taken, in as few calls as can be."""
        pending, self._pending = self._pending, []
        write_all(self._files, self._fd, pending)
        self.end = self._pending_end

    def sync(self) -> None:
        """Make durable what was written. After a failure the system may have dropped it: never asked again."""
        assert not self.sync_failed
        self.sync_failed = True
        self._files.sync(self._fd)
        self.sync_failed = False
        self._synced = True

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._files.close(fd)


class SegmentReader:
    """An open segment file. Errors of the system become LogIOError with the place."""

    is_lean = False

    def __init__(self, files: Files, path: Path, number: int) -> None:
        self.number = number
        self.version = VERSION
        self._header = b""
        self._files = files
        try:
            self._fd = files.open(path)
        except OSError as error:
            raise LogIOError(f"cannot open {path}: {error}", errno=error.errno or 0, segment=number) from error

    def __enter__(self) -> SegmentReader:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # it was only read
            self._files.close(self._fd)

    def size(self) -> int:
        try:
            return self._files.size(self._fd)
        except OSError as error:
            raise LogIOError(f"cannot stat: {error}", errno=error.errno or 0, segment=self.number) from error

    def header(self) -> SegmentHeader:
        return decode_header(self._head(), number=self.number)

    def header_is_whole(self) -> bool:
        """Whether both copies of the header are there and the same."""
        data = self._head()
        return len(data) == HEADER_BYTES and data[:HEADER_COPY_BYTES] == data[HEADER_COPY_BYTES:]

    def _head(self) -> bytes:
        if len(self._header) < HEADER_BYTES:
            self._header = self.read(0, HEADER_BYTES)
        return self._header

    def read(self, offset: int, count: int) -> bytes:
        try:
            return self._files.pread(self._fd, count, offset)
        except OSError as error:
            message = f"cannot read {count} bytes: {error}"
            raise LogIOError(message, errno=error.errno or 0, segment=self.number, offset=offset) from error

    def pieces(self, offset: int, end: int) -> Iterator[bytes]:
        """The bytes up to `end`, or to the end of the file, a window at a time."""
        while offset < end and (piece := self.read(offset, min(_WINDOW_BYTES, end - offset))):
            yield piece
            offset += len(piece)

    def scan(self, log_id: bytes, *, start: int, end: int) -> Iterator[Frame | Damage]:
        """Every frame from `start` up to `end`; where there is none, the damage, and then the next valid frame."""
        seed = frame.segment_seed(log_id, self.number, version=self.version)
        window = _Window(self, end)
        at = max(start, HEADER_BYTES)
        while at < end:
            found = self._frame(window, at, seed)
            if isinstance(found, Damage):
                found_end = self._next_valid(window, at + 1, seed)
                yield Damage(at, found_end, found.truncated, found.kind, found.payload)
                at = found_end
            else:
                yield found
                at = found.end

    def frame(self, log_id: bytes, offset: int) -> Frame:
        """The frame that begins at `offset`."""
        seed = frame.segment_seed(log_id, self.number, version=self.version)
        found = self._frame(_Window(self, self.size()), offset, seed)
        if isinstance(found, Frame):
            return found
        if found.truncated:
            raise LogTruncatedError("the segment ends within a frame", segment=self.number, offset=offset)
        raise LogCorruptError("there is no valid frame", segment=self.number, offset=offset)

    def _frame(self, window: _Window, at: int, seed: int) -> Frame | Damage:
        head = window.get(at, frame.HEADER_BYTES)
        if len(head) < frame.HEADER_BYTES:
            return Damage(at, window.end, truncated=True)
        header = frame.decode_header(head, seed=seed, offset=at)
        if header is None:
            return Damage(at, window.end, truncated=False)
        data = window.get(at, header.frame_bytes)
        if len(data) < header.frame_bytes:
            return Damage(at, window.end, truncated=True)
        payload = bytes(data[frame.HEADER_BYTES :])
        if not frame.payload_is_valid(data, header, seed=seed, offset=at):
            return Damage(at, window.end, truncated=False, kind=header.kind, payload=payload)
        return Frame(at, at + header.frame_bytes, header.kind, header.flags, payload)

    def _next_valid(self, window: _Window, at: int, seed: int) -> int:
        while at < window.end:
            data = bytes(window.get(at, _WINDOW_BYTES))
            if len(data) < len(frame.MAGIC):  # the file ends before `end`, which its successor's header tells
                break
            found = data.find(frame.MAGIC)
            while found >= 0:
                if isinstance(self._frame(window, at + found, seed), Frame):
                    return at + found
                found = data.find(frame.MAGIC, found + 1)
            at += len(data) - len(frame.MAGIC) + 1
        return window.end


class _Window:
    """Bytes of a segment before `end`, read ahead in large pieces."""

    def __init__(self, segment: SegmentReader, end: int) -> None:
        self.end = end
        self._segment = segment
        self._start = 0
        self._data = memoryview(b"")

    def get(self, offset: int, count: int) -> memoryview:
        """Up to `count` bytes from `offset` on; fewer only before `end`."""
        count = max(0, min(count, self.end - offset))
        if offset < self._start or offset + count > self._start + len(self._data):
            ahead = min(max(count, _WINDOW_BYTES), self.end - offset)
            self._data = memoryview(self._segment.read(offset, ahead))
            self._start = offset
        return self._data[offset - self._start : offset - self._start + count]
