"""The log: one writer appends, any thread reads what is committed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from . import frame
from .directory import Position
from .envelope import (
    Envelope,
    Footer,
    PackedBody,
    encode_batch,
    encode_checkpoint,
    encode_footer,
    encode_session_closed,
)
from .errors import LogClosedError, LogIOError
from .files import Files, RealFiles
from .lean import FetchBodies
from .reader import LoggedBatch, LogReader
from .recovery import recover
from .segment import SegmentHeader, SegmentWriter
from .sessions import SessionTable

DEFAULT_SEGMENT_BYTES = 64 << 20


class Log:
    """Append-only and ordered. Always true:

    - Everything before `committed` was written and, unless `sync=False` was asked for, synced; readers see no more.
    - What is found when it is opened was made durable first: a process that was killed may have left it in memory only.
    - A file on which a write or a sync failed is never written or synced again: what it holds behind `committed` is
      void, said so by the header of the next segment, into which the caller's retry goes.
    - The first write of a process goes to a new segment, made when it is needed, so that opening changes nothing and
      works on a read-only disk.
    """

    def __init__(
        self,
        path: Path,
        *,
        files: Files | None = None,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
        clock_ns: Callable[[], int] = time.time_ns,
        new_id: Callable[[], bytes] = lambda: os.urandom(16),
        fetch: FetchBodies | None = None,
    ) -> None:
        """Open the log in a folder, recovering what is there. Raises LogIOError when it cannot be read.

        `fetch` finds the metrics of lean segments.
        """
        self._files = files or RealFiles()
        self._reader = LogReader(path, files=self._files, fetch=fetch)
        self._directory = self._reader.directory
        self._segment_bytes = segment_bytes
        self._clock_ns = clock_ns
        found = recover(self._directory)
        self.id = found.log_id or new_id()
        self.recovery_notes = tuple(found.notes)
        self.sessions: SessionTable = found.sessions
        self.committed = found.end
        self._recovered_damage = found.damaged_frames
        self._tail = found.end  # the last segment that counts, and its end
        self._next_number = found.next_number
        self._writer: SegmentWriter | None = None
        self._dirty = False
        self._unsyncable: OSError | None = None  # why what was appended without a sync will never be synced
        self._closed = False
        chain = self._directory.chain(found.end) if found.end.segment else []
        self._sealed = dict(chain)  # number -> bytes

    # --- writing: one thread at a time ---

    def append(
        self, batches: Sequence[tuple[Envelope, PackedBody]], *, closing: Sequence[bytes] = (), sync: bool = True
    ) -> Position:
        """Commit batches, then the closing of sessions, with one write and one sync; return the new `committed`.

        Raises LogIOError: then none of it counts, nothing else changed, and the same may be appended again.
        """
        self._check_open()
        now_ns = self._clock_ns()
        try:
            writer = self._writer or self._begin(now_ns)
            for envelope, body in batches:
                flags = frame.COMPRESSED if body.compressed else 0
                writer.add(frame.BATCH, flags, encode_batch(envelope, body))
            for session_id in closing:
                writer.add(frame.SESSION_CLOSED, 0, [encode_session_closed(session_id, now_ns)])
            self._write(writer, sync=sync)
        except OSError as error:
            raise self._abandon("cannot write", error) from error
        for envelope, _ in batches:
            self.sessions.applied(envelope)
        for session_id in closing:
            self.sessions.closed(session_id, now_ns)
        _count(writer, batches)
        self.committed = self._tail = Position(writer.number, writer.end)
        if writer.end >= self._segment_bytes:
            self._seal()
        return self.committed

    def sync(self) -> None:
        """Make durable what was appended with `sync=False`. Raises LogIOError, also for an append that failed and took
        the chance to do so with it; the next append begins a new segment."""
        self._check_open()
        if error := self._unsyncable:
            self._unsyncable = None
            raise LogIOError(f"cannot sync: {error}", errno=error.errno or 0)
        if self._writer is None or not self._dirty:
            return
        try:
            self._writer.sync()
            self._dirty = False
        except OSError as error:
            self._dirty = False  # and never asked for again
            raise self._abandon("cannot sync", error) from error

    def probe(self) -> None:
        """After a failure: find out whether a new segment can be written. Raises LogIOError when not."""
        self._check_open()
        if self._writer is not None:
            return
        try:
            self._write(self._begin(self._clock_ns()), sync=True)
        except OSError as error:
            raise self._abandon("cannot write", error) from error

    def close(self) -> None:
        """Seal the segment that is being written. Idempotent."""
        if not self._closed:
            self._closed = True
            self._seal()

    # --- reading: any thread ---

    def read(self, start: Position, *, limit_bytes: int) -> Iterator[LoggedBatch]:
        """Committed batches from `start` on, until `limit_bytes` of bodies were given (at least one if any)."""
        return self._reader.read(start, end=self.committed, limit_bytes=limit_bytes)

    def read_some(self, start: Position, *, limit_bytes: int) -> tuple[list[LoggedBatch], Position]:
        """The same as a list, and the position to read on from."""
        return self._reader.read_some(start, end=self.committed, limit_bytes=limit_bytes)

    def read_at(self, position: Position, *, metrics: bool = True) -> LoggedBatch:
        """The batch at a position that `read` gave; see LogReader.read_at."""
        return self._reader.read_at(position, metrics=metrics)

    @property
    def path(self) -> Path:
        return self._directory.path

    @property
    def damaged_frames(self) -> int:
        """Damaged frames that recovery or reading met."""
        return max(self._recovered_damage, self._reader.damaged_frames)

    @property
    def segments(self) -> int:
        return len(self._sizes())

    @property
    def bytes(self) -> int:
        """Bytes that it takes on disk; what was left behind its end by a failed write counts for nothing."""
        return sum(min(end, self._directory.file_bytes(number)) for number, end in self._sizes().items())

    def sealed(self, before: Position) -> list[tuple[int, int]]:
        """(number, end) of the segments that do not change and lie whole before a position, ascending. Thread-safe."""
        number = min(before.segment, self.committed.segment)
        return sorted((each, end) for each, end in self._sizes().items() if each < number)

    def is_lean(self, number: int) -> bool:
        """Whether a segment let go of its metrics."""
        with self._directory.open(number) as segment:
            return segment.is_lean

    def bytes_from(self, position: Position) -> int:
        """Bytes of log from a position to `committed`."""
        if position >= self.committed:
            return 0  # a footer may stand behind `committed`; nobody has to read it
        total = sum(size for number, size in self._sizes().items() if number > position.segment)
        return total + max(0, self._sizes().get(position.segment, 0) - position.offset)

    # --- within ---

    def _begin(self, now_ns: int) -> SegmentWriter:
        number, self._next_number = self._next_number, self._next_number + 1  # a number is never used twice
        self._files.mkdir(self.path)
        self._directory.settle_names()
        header = SegmentHeader(self.id, number, self._tail.segment, self._tail.offset, now_ns)
        self._writer = SegmentWriter(self._files, self._directory.segment_path(number), header)
        self._writer.add(frame.CHECKPOINT, 0, [encode_checkpoint(self.sessions.checkpoint(now_ns))])
        return self._writer

    def _write(self, writer: SegmentWriter, *, sync: bool) -> None:
        is_new = writer.end == 0
        writer.write()
        if sync or is_new:
            writer.sync()
        if is_new:
            self._files.sync_dir(self.path)
        self._dirty = not (sync or is_new)

    def _seal(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        footer = Footer(writer.batches, writer.items, writer.first_ns, writer.last_ns)
        dirty, self._dirty = self._dirty, False
        try:
            if dirty:
                writer.sync()
                dirty = False
            writer.add(frame.FOOTER, 0, [encode_footer(footer)])
            writer.write()
            writer.sync()
            self._tail = Position(writer.number, writer.end)
        except OSError as error:
            # The footer tells nothing that is not known without it; the next header says where this one ends.
            self._unsyncable = error if dirty else self._unsyncable
        finally:
            self._sealed[writer.number] = self._tail.offset
            with contextlib.suppress(OSError):
                writer.close()

    def _abandon(self, what: str, error: OSError) -> LogIOError:
        """Leave the segment for ever. What it holds behind `committed` is void; the room is given back if possible."""
        writer, self._writer = self._writer, None
        dirty, self._dirty = self._dirty, False
        if writer is None:
            return LogIOError(f"{what}: {error}", errno=error.errno or 0, segment=self._next_number - 1)
        try:
            if dirty and not writer.sync_failed:  # what was appended without a sync stays in this file
                writer.sync()
                dirty = False
        except OSError:
            pass
        if dirty:
            self._unsyncable = error
        with contextlib.suppress(OSError):
            writer.close()
        if writer.number == self._tail.segment:
            self._sealed[writer.number] = self._tail.offset
            with contextlib.suppress(OSError):
                self._files.truncate(writer.path, self._tail.offset)
        else:
            self._directory.remove(writer.number)
        return LogIOError(f"{what}: {error}", errno=error.errno or 0, segment=writer.number, offset=writer.end)

    def _sizes(self) -> dict[int, int]:
        sizes = dict(self._sealed)
        if self.committed.segment:
            sizes[self.committed.segment] = max(self.committed.offset, sizes.get(self.committed.segment, 0))
        return sizes

    def _check_open(self) -> None:
        if self._closed:
            raise LogClosedError("the log is closed")


def _count(writer: SegmentWriter, batches: Sequence[tuple[Envelope, PackedBody]]) -> None:
    for envelope, _ in batches:
        writer.batches += 1
        writer.items += envelope.count
        writer.first_ns = writer.first_ns or envelope.appended_ns
        writer.last_ns = envelope.appended_ns


# What followers and questions need of a log; the reader alone serves another process.
ReadableLog = Log | LogReader
