"""The folder of a log: names of segments, how they follow each other, and where damaged bytes are put aside."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import LogCorruptError, LogIOError, LogTruncatedError
from .files import Files, write_all
from .lean import FetchBodies, LeanReader, LeanSegments
from .segment import HEADER_BYTES, LEAN_VERSION, SegmentHeader, SegmentReader

SUFFIX = ".seg"
DAMAGED = "damaged"
_MADE_WITH_IT = 3  # records, the workspace, and where that lies: whoever made them may not have synced their names
_NOTHING_TO_SYNC = (errno.EROFS, errno.EINVAL)  # file systems that are only read know no sync
_NOT_OURS = (errno.EACCES, errno.EPERM)  # a folder of somebody else is older than the workspace in it
_KEPT_ASIDE = 64  # files in damaged/; a daemon killed often must not fill the disk with torn tails


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the log. Position(0, 0) is the beginning."""

    segment: int
    offset: int


def segment_name(number: int) -> str:
    return f"{number:010d}{SUFFIX}"


class LogDirectory:
    """`chain(end)` tells which segments count, and how far each; everything else in the folder is void."""

    def __init__(self, path: Path, files: Files, *, fetch: FetchBodies | None = None) -> None:
        """`fetch` finds the metrics of lean segments."""
        self.path = path
        self.files = files
        self._headers: dict[int, SegmentHeader | None] = {}
        self._lean = LeanSegments(fetch)
        self._names_settled = False
        self.half_headers: set[int] = set()  # of whose header one copy is damaged, as far as they were read

    def segment_path(self, number: int) -> Path:
        return self.path / segment_name(number)

    def settle_names(self) -> None:
        """Make the names durable by which the log is found, once. Raises OSError."""
        if self._names_settled:
            return
        for folder in (self.path, *self.path.absolute().parents[:_MADE_WITH_IT]):
            try:
                self.files.sync_dir(folder)
            except OSError as error:
                if error.errno not in (*_NOTHING_TO_SYNC, *_NOT_OURS):
                    raise
        self._names_settled = True

    def settle(self, number: int) -> None:
        """Make durable what an earlier process left in a segment. Raises LogIOError."""
        try:
            self.files.settle(self.segment_path(number))
        except OSError as error:
            if error.errno in _NOTHING_TO_SYNC:
                return
            message = f"cannot make durable what is there: {error}"
            raise LogIOError(message, errno=error.errno or 0, segment=number) from error

    def numbers(self) -> list[int]:
        """The numbers of all segment files, ascending. A folder that is not there has none."""
        try:
            names = self.files.listdir(self.path)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LogIOError(f"cannot list {self.path}: {error}", errno=error.errno or 0) from error
        stems = (name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX))
        return sorted(int(stem) for stem in stems if len(stem) == 10 and stem.isascii() and stem.isdigit())

    def open(self, number: int) -> SegmentReader | LeanReader:
        """Open a segment for reading, in whichever form it stands there."""
        segment = SegmentReader(self.files, self.segment_path(number), number)
        try:
            header = segment.header()
        except (LogCorruptError, LogTruncatedError):
            return segment
        return LeanReader(segment, header, self._lean) if header.version == LEAN_VERSION else segment

    def file_bytes(self, number: int) -> int:
        """Return the size of a segment's file; 0 where there is none."""
        try:
            return self.segment_path(number).stat().st_size
        except OSError:
            return 0

    def header(self, number: int) -> SegmentHeader | None:
        """A segment's header; None when it is damaged or cut short. Headers never change, so they are remembered."""
        if number not in self._headers:
            with self.open(number) as segment:
                try:
                    self._headers[number] = segment.header()
                except (LogCorruptError, LogTruncatedError):
                    return None
                if not segment.header_is_whole():
                    self.half_headers.add(number)
        return self._headers[number]

    def chain(self, end: Position, *, first: int = 0) -> list[tuple[int, int]]:
        """(number, end offset) of every segment that counts before `end`, ascending, from segment `first` on."""
        chain: list[tuple[int, int]] = []
        number, offset = end.segment, end.offset
        present = set(self.numbers())
        while number in present:
            chain.append((number, offset))
            if number <= first:
                break
            header = self.header(number)
            behind = number if header is None else header.previous
            if header is not None and (behind in present or behind == 0):
                number, offset = behind, header.previous_end
            else:  # the header is lost, or the file that it names: take the file before as it is
                number = max((other for other in present if other < behind), default=0)
                offset = self.size(number) if number else 0
        chain.reverse()
        return chain

    def log_id(self) -> bytes | None:
        """The id that all segments bear, from the newest that tells it."""
        for number in reversed(self.numbers()):
            header = self.header(number)
            if header is not None:
                return header.log_id
        return None

    def size(self, number: int) -> int:
        with self.open(number) as segment:
            return segment.size()

    def is_blank(self, number: int) -> bool:
        """Whether a segment holds nothing at all: shorter than its header, or only zeros there."""
        with self.open(number) as segment:
            head = segment.read(0, HEADER_BYTES)
        return len(head) < HEADER_BYTES or not any(head)

    def set_aside(self, segment: SegmentReader | LeanReader, offset: int, end: int, note: str) -> str:
        """Keep a copy of damaged bytes, unless they are zeros, with a note beside it; return what to tell people.

        Never raises OSError for the copy.
        """
        if not any(any(piece) for piece in segment.pieces(offset, end)):
            return note
        name = f"{segment.number:010d}-{offset}"
        folder = self.path / DAMAGED
        try:
            self.files.mkdir(folder)
            taken = sorted(self.files.listdir(folder))
            if f"{name}.bytes" not in taken:
                for old in taken[: max(0, len(taken) - 2 * _KEPT_ASIDE + 2)]:
                    self.files.unlink(folder / old)
                self._write(folder / f"{name}.bytes", segment.pieces(offset, end))
                self._write(folder / f"{name}.txt", [note.encode() + b"\n"])
        except OSError as error:
            return f"{note}; a copy could not be kept: {error}"
        return f"{note}; kept in {folder / name}.bytes"

    def remove(self, number: int) -> None:
        """Unlink a segment that never counted; leaving it does no harm."""
        self._headers.pop(number, None)
        with contextlib.suppress(OSError):
            self.files.unlink(self.segment_path(number))

    def _write(self, path: Path, pieces: Iterable[bytes]) -> None:
        fd = self.files.create(path)
        try:
            for piece in pieces:
                write_all(self.files, fd, [piece])
        finally:
            self.files.close(fd)


def is_full(error: OSError) -> bool:
    """Whether room on the disk is what is missing."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
