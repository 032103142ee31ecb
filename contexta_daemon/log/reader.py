"""Reading a log: the half that needs no writer, usable in another process that knows how far to read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from . import frame
from .directory import LogDirectory, Position
from .envelope import Envelope, PayloadError, decode_batch
from .errors import LogCorruptError
from .files import Files, RealFiles
from .lean import FetchBodies, LeanReader
from .segment import HEADER_BYTES, Damage, Frame

_MAX_REMEMBERED_DAMAGE = 10_000


@dataclass(frozen=True, slots=True)
class LoggedBatch:
    """One batch of the log; `body` is the serialized Batch, unpacked. `end` is where to read on.

    `skeleton`: `body` is all of it but the metrics, in the form of contexta_daemon/batches/skeleton.py.
    """

    position: Position
    end: Position
    envelope: Envelope
    body: bytes
    skeleton: bool = False


class LogReader:
    """Reads batches in the order in which they were committed. Thread-safe. Damaged frames are skipped and counted."""

    def __init__(self, path: Path, *, files: Files | None = None, fetch: FetchBodies | None = None) -> None:
        """`fetch` finds the metrics of lean segments."""
        self.directory = LogDirectory(path, files or RealFiles(), fetch=fetch)
        self._log_id: bytes | None = None
        self._chain: tuple[int, list[tuple[int, int]]] = (0, [])
        self._damaged: set[Position] = set()
        self._lock = threading.Lock()

    @property
    def damaged_frames(self) -> int:
        """Damaged frames met so far, each counted once."""
        return len(self._damaged)

    def read(self, start: Position, *, end: Position, limit_bytes: int) -> Iterator[LoggedBatch]:
        """Batches from `start` up to `end`, until `limit_bytes` of bodies were given (at least one batch if any)."""
        given = 0
        for number, segment_end in self._segments(start, end):
            offset = start.offset if number == start.segment else HEADER_BYTES
            if offset >= segment_end:
                continue
            with self.directory.open(number) as segment:
                for found in segment.scan(self._id(), start=offset, end=segment_end):
                    batch = self._batch(number, found)
                    if batch is None:
                        continue
                    yield batch
                    given += len(batch.body)
                    if given >= limit_bytes:
                        return

    def read_some(self, start: Position, *, end: Position, limit_bytes: int) -> tuple[list[LoggedBatch], Position]:
        """The same as a list, and where to read on: `end` when all was read."""
        batches = list(self.read(start, end=end, limit_bytes=limit_bytes))
        if sum(len(batch.body) for batch in batches) < limit_bytes:
            return batches, max(start, end)
        return batches, batches[-1].end

    def read_at(self, position: Position, *, metrics: bool = True) -> LoggedBatch:
        """The batch at a position that `read` gave. Raises LogError when it cannot be read (any more).

        `metrics=False`: they are not looked at, so they are not to be looked for either.
        """
        with self.directory.open(position.segment) as segment:
            if not metrics and isinstance(segment, LeanReader):
                without = segment.without_metrics(position.offset)
                if without is not None:
                    lean, end = without
                    ends = Position(position.segment, end)
                    return LoggedBatch(position, ends, lean.envelope, lean.skeleton, skeleton=True)
            found = segment.frame(self._id(), position.offset)
        batch = self._batch(position.segment, found)
        if batch is None:
            raise LogCorruptError("there is no batch", segment=position.segment, offset=position.offset)
        return batch

    def _batch(self, number: int, found: Frame | Damage) -> LoggedBatch | None:
        position = Position(number, found.offset)
        if isinstance(found, Damage):
            self._note_damage(position)
            return None
        if found.kind != frame.BATCH:
            return None
        try:
            envelope, body = decode_batch(found.payload, compressed=bool(found.flags & frame.COMPRESSED))
        except PayloadError:
            self._note_damage(position)
            return None
        return LoggedBatch(position, Position(number, found.end), envelope, body)

    def _note_damage(self, position: Position) -> None:
        with self._lock:
            if len(self._damaged) < _MAX_REMEMBERED_DAMAGE:
                self._damaged.add(position)

    def _segments(self, start: Position, end: Position) -> list[tuple[int, int]]:
        """The chain up to `end`, remembered for as long as the last segment stays the same."""
        last, chain = self._chain
        if last != end.segment or (chain and start.segment < chain[0][0]):
            chain = self.directory.chain(end, first=start.segment)
            self._chain = (end.segment, chain)
        return [
            (number, end.offset if number == end.segment else segment_end)
            for number, segment_end in chain
            if number >= start.segment
        ]

    def _id(self) -> bytes:
        if self._log_id is None:
            self._log_id = self.directory.log_id()
        return self._log_id or b""
