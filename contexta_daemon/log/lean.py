"""Lean segments: sealed ones that let go of their metrics once the columns hold them. Drawn in docs/format/log.md.

A lean segment takes the name of the segment that it was made of. Each of its frames says where in that one it began
and ended, so that positions mean what they meant, and a reader is given the same frames as before: the bodies of
batches are put together again with numbers out of the columns, and compared by their digest. What cannot be had again
is damage, and so is a frame whose checksum holds and whose payload does not decode: it must not keep the rest of the
log from being served.
"""

from __future__ import annotations

import struct
import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import xxhash

from . import frame
from .envelope import Envelope, PayloadError, decode_envelope, unpack_body
from .errors import LogCorruptError, LogTruncatedError
from .segment import HEADER_BYTES, LEAN_VERSION, Damage, Frame, SegmentHeader, SegmentReader

GROUP_ITEMS = 1 << 19  # metrics that are looked up together
WHOLE = struct.Struct("<Q")  # where the original ended
PLACE = struct.Struct("<QQBBxxI")  # offset and end in the original, its flags, form, bytes of the skeleton unpacked
AS_IT_WAS, WITHOUT_METRICS = 0, 1  # forms
DIGEST_BYTES = 8
_INDEXES_KEPT, _GROUPS_KEPT = 8, 2

_UNKNOWN_END = (1 << 64) - 1
_UNDECODABLE = (struct.error, PayloadError)

_Key = TypeVar("_Key")
_Kept = TypeVar("_Kept")


@dataclass(frozen=True, slots=True)
class LeanBatch:
    """A batch without its metrics. `skeleton` is everything else of its body, in a form that the log does not know."""

    segment: int
    offset: int
    envelope: Envelope
    skeleton: bytes


# Returns the whole body of each; None where it cannot be had.
FetchBodies = Callable[[Sequence[LeanBatch]], Sequence[bytes | None]]
_Group = dict[int, tuple[LeanBatch, int]]  # place in the file -> batch, digest of its body


def digest_of(body: bytes) -> int:
    return xxhash.xxh3_64_intdigest(body)


@dataclass(slots=True)
class _Index:
    """The frames of a lean segment, in order: places in the original, in the file, and groups to look up together."""

    end: int = HEADER_BYTES
    offsets: array[int] = field(default_factory=lambda: array("Q"))
    ends: array[int] = field(default_factory=lambda: array("Q"))
    at: array[int] = field(default_factory=lambda: array("Q"))
    groups: array[int] = field(default_factory=lambda: array("I"))  # 0: nothing is to be looked up


class LeanSegments:
    """What is remembered of the lean segments of a log, for all its readers: indexes, and a few bodies."""

    def __init__(self, fetch: FetchBodies | None) -> None:
        """`fetch=None`: where there are no columns, a batch without its metrics is damage."""
        self._fetch = fetch
        self._indexing, self._fetching = threading.Lock(), threading.Lock()
        self._indexes: OrderedDict[int, _Index] = OrderedDict()
        self._bodies: OrderedDict[tuple[int, int], dict[int, bytes]] = OrderedDict()

    def index(self, number: int, make: Callable[[], _Index]) -> _Index:
        with self._indexing:
            return _remembered(self._indexes, number, make, _INDEXES_KEPT)

    def bodies(self, number: int, group: int, read: Callable[[], _Group]) -> dict[int, bytes]:
        """Return the bodies of a group by their place in the file, those that are what they were."""
        with self._fetching:  # whoever wants the same group waits for it, instead of looking it up as well
            return _remembered(self._bodies, (number, group), lambda: self._look_up(read()), _GROUPS_KEPT)

    def _look_up(self, batches: _Group) -> dict[int, bytes]:
        if self._fetch is None or not batches:
            return {}
        fetched = self._fetch([batch for batch, _ in batches.values()])
        return {
            at: body
            for (at, (_, digest)), body in zip(batches.items(), fetched, strict=True)
            if body is not None and digest_of(body) == digest
        }


class LeanReader:
    """A lean segment, read as what it was made of: all places are those of the original."""

    is_lean = True

    def __init__(self, file: SegmentReader, header: SegmentHeader, known: LeanSegments) -> None:
        """Takes the open file over."""
        self.number = file.number
        self._file = file
        self._file.version = LEAN_VERSION
        self._header = header
        self._known = known

    def __enter__(self) -> LeanReader:
        return self

    def __exit__(self, *given: object) -> None:
        self._file.__exit__(*given)

    def size(self) -> int:
        return self._index().end

    def header(self) -> SegmentHeader:
        return self._header

    def header_is_whole(self) -> bool:
        return self._file.header_is_whole()

    def read(self, offset: int, count: int) -> bytes:
        """Bytes of the header; of what stood behind it there are none."""
        return self._file.read(offset, min(count, HEADER_BYTES - offset)) if offset < HEADER_BYTES else b""

    def pieces(self, offset: int, end: int) -> Iterator[bytes]:
        """The bytes from one place to another: none, they stand here in another form."""
        yield self.read(offset, end - offset)

    def scan(self, log_id: bytes, *, start: int, end: int) -> Iterator[Frame | Damage]:
        """Every frame from `start` up to `end`, as SegmentReader.scan gives them."""
        index = self._index()
        expected = max(start, HEADER_BYTES)
        for place in range(bisect_left(index.offsets, expected), len(index.offsets)):
            offset = index.offsets[place]
            if offset >= end:
                break
            if offset > expected:
                yield Damage(expected, offset, truncated=False)
            yield self._frame_at(index, place)
            expected = index.ends[place]
        if expected < end and expected < index.end:
            yield Damage(expected, min(end, index.end), truncated=False)

    def frame(self, log_id: bytes, offset: int) -> Frame:
        """The frame that begins at `offset`."""
        found = self._frame_at(*self._place(offset))
        if isinstance(found, Damage):
            raise LogCorruptError(
                "the metrics of a batch are in the columns, and were not found there",
                segment=self.number,
                offset=offset,
            )
        return found

    def without_metrics(self, offset: int) -> tuple[LeanBatch, int] | None:
        """Return a batch as it stands here, and where it ended; None where nothing was taken from it."""
        index, place = self._place(offset)
        if not index.groups[place]:
            return None
        return self._lean(index.at[place], offset)[0], index.ends[place]

    def _place(self, offset: int) -> tuple[_Index, int]:
        index = self._index()
        place = bisect_left(index.offsets, offset)
        if place == len(index.offsets) or index.offsets[place] != offset:
            raise LogCorruptError("there is no valid frame", segment=self.number, offset=offset)
        return index, place

    def _frame_at(self, index: _Index, place: int) -> Frame | Damage:
        offset, end, at, group = index.offsets[place], index.ends[place], index.at[place], index.groups[place]
        try:
            found = self._physical(at)
        except (LogCorruptError, LogTruncatedError):
            return Damage(offset, end, truncated=False)
        start = PLACE.size + DIGEST_BYTES
        try:
            if not group:
                return Frame(offset, end, found.kind, PLACE.unpack_from(found.payload)[2], found.payload[PLACE.size :])
            head = found.payload[start : start + decode_envelope(memoryview(found.payload)[start:])[2]]
        except _UNDECODABLE:  # it was another when it was indexed
            return Damage(offset, end, truncated=False)
        body = self._known.bodies(self.number, group, lambda: self._group(index, place)).get(at)
        if body is None:
            return Damage(offset, end, truncated=False, kind=found.kind, payload=head)
        return Frame(offset, end, found.kind, 0, head + body)

    def _group(self, index: _Index, place: int) -> _Group:
        """Read the batches that are looked up together with the one at a place of the index."""
        group, first = index.groups[place], place
        while first and index.groups[first - 1] in (0, group):
            first -= 1
        batches: _Group = {}
        for each in range(first, len(index.groups)):
            if index.groups[each] > group:
                break
            if index.groups[each]:
                try:
                    batches[index.at[each]] = self._lean(index.at[each], index.offsets[each])
                except (LogCorruptError, LogTruncatedError):
                    continue  # is damage when it is its turn
        return batches

    def _lean(self, at: int, offset: int) -> tuple[LeanBatch, int]:
        """(the batch at a place in the file, as it stands here; the digest of its body)."""
        try:
            return _lean(self._physical(at), self.number, offset)
        except _UNDECODABLE as error:
            raise LogCorruptError(
                f"a batch without its metrics cannot be read: {error}", segment=self.number, offset=offset
            ) from error

    def _physical(self, at: int) -> Frame:
        return self._file.frame(self._header.log_id, at)

    def _index(self) -> _Index:
        return self._known.index(self.number, self._indexed)

    def _indexed(self) -> _Index:
        index, group, items = _Index(), 1, 0
        behind, whole = HEADER_BYTES, _UNKNOWN_END
        for found in self._file.scan(self._header.log_id, start=HEADER_BYTES, end=self._file.size()):
            try:
                if isinstance(found, Damage):
                    continue  # shows as a gap
                if found.kind == frame.LEAN:
                    (whole,) = WHOLE.unpack_from(found.payload)
                    index.end = max(index.end, whole)
                    continue
                offset, end, _, form, _ = PLACE.unpack_from(found.payload)
                if not behind <= offset < end <= whole:
                    raise PayloadError(f"a frame from {offset} to {end} stands between {behind} and {whole}")
                count = 0
                if form == WITHOUT_METRICS:
                    count = decode_envelope(memoryview(found.payload)[PLACE.size + DIGEST_BYTES :])[0].count
            except _UNDECODABLE:
                continue  # shows as a gap too
            if items and items + count > GROUP_ITEMS:
                group, items = group + 1, 0
            items += count
            index.offsets.append(offset)
            index.ends.append(end)
            index.at.append(found.offset)
            index.groups.append(group if form == WITHOUT_METRICS else 0)
            index.end = max(index.end, end)
            behind = end
        return index


def _lean(found: Frame, number: int, offset: int) -> tuple[LeanBatch, int]:
    """(a batch as it stands in a lean segment, the digest of its body)."""
    *_, raw_bytes = PLACE.unpack_from(found.payload)
    start = PLACE.size + DIGEST_BYTES
    digest = int.from_bytes(found.payload[PLACE.size : start], "little")
    envelope, _, behind = decode_envelope(memoryview(found.payload)[start:])
    compressed = bool(found.flags & frame.COMPRESSED)
    skeleton = unpack_body(memoryview(found.payload)[start + behind :], raw_bytes=raw_bytes, compressed=compressed)
    return LeanBatch(number, offset, envelope, skeleton), digest


def _remembered(kept: OrderedDict[_Key, _Kept], key: _Key, make: Callable[[], _Kept], limit: int) -> _Kept:
    found = kept.get(key)
    if found is None:
        found = kept[key] = make()
        if len(kept) > limit:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return found
