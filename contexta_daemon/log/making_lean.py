"""Writing the lean form of a sealed segment, and putting it in that segment's place."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import frame
from .directory import LogDirectory
from .envelope import PayloadError, decode_envelope, pack_body, unpack_body
from .lean import (
    AS_IT_WAS,
    DIGEST_BYTES,
    GROUP_ITEMS,
    PLACE,
    WHOLE,
    WITHOUT_METRICS,
    FetchBodies,
    LeanBatch,
    digest_of,
)
from .segment import HEADER_BYTES, LEAN_VERSION, Damage, Frame, SegmentWriter

UNFINISHED = ".new"
_LEVEL = 3  # of zstd: written once, in the background
_WORTH = 0.9  # a batch that would keep more than this share of its bytes stays as it was

# Returns a body without its metrics, in a form from which `fetch` can make it again; None when it has none.
SkeletonOf = Callable[[bytes], bytes | None]


@dataclass(frozen=True, slots=True)
class MadeLean:
    """What became of a segment: bytes of its file before and after, and how many batches let go of their metrics."""

    before: int
    after: int
    batches: int


def make_lean(
    directory: LogDirectory,
    number: int,
    end: int,
    *,
    skeleton_of: SkeletonOf,
    fetch: FetchBodies,
    may_replace: Callable[[], None],
) -> MadeLean | None:
    """Replace a sealed segment, which ends at `end`, by its lean form.

    A batch lets go of its metrics only when what `fetch` returns is its body to the last bit. Returns None, with
    nothing changed, where the segment is lean already, has no metrics, or is damaged: what can be told about damage
    needs its bytes.
    `may_replace` is called last, and raises when the file is no longer ours. Raises OSError and LogError: then the
    segment is as it was.
    """
    files, path = directory.files, directory.segment_path(number)
    fresh = path.with_name(path.name + UNFINISHED)
    with contextlib.suppress(FileNotFoundError):
        files.unlink(fresh)
    with directory.open(number) as segment:
        if segment.is_lean or not segment.header_is_whole():
            return None
        header = replace(segment.header(), version=LEAN_VERSION)
        writer = SegmentWriter(files, fresh, header)
        try:
            batches = 0
            writer.add(frame.LEAN, 0, [WHOLE.pack(end)])
            for group in _in_groups(segment.scan(header.log_id, start=HEADER_BYTES, end=end)):
                frames = [found for found in group if isinstance(found, Frame)]
                if len(frames) < len(group):
                    return None
                batches += _write_group(writer, frames, skeleton_of, fetch)
            if not batches:
                return None
            writer.sync()
            may_replace()
            files.rename(fresh, path)
        except PayloadError:  # of a batch whose checksum holds: damage all the same
            return None
        finally:
            writer.close()
            with contextlib.suppress(OSError):  # not there any more when it took the place
                files.unlink(fresh)
    files.sync_dir(directory.path)
    return MadeLean(end, writer.end, batches)


def remove_unfinished(log: Path) -> None:
    """Remove what a crash left of a segment that was being made lean."""
    with contextlib.suppress(OSError):
        for left in log.glob(f"*.seg{UNFINISHED}"):
            left.unlink(missing_ok=True)


def _in_groups(frames: Iterator[Frame | Damage]) -> Iterator[list[Frame | Damage]]:
    """Frames in order, in lists of at most GROUP_ITEMS items where a single one has not more."""
    group: list[Frame | Damage] = []
    items = 0
    for found in frames:
        is_batch = isinstance(found, Frame) and found.kind == frame.BATCH
        count = decode_envelope(found.payload)[0].count if is_batch else 0
        if group and items + count > GROUP_ITEMS:
            yield group
            group, items = [], 0
        group.append(found)
        items += count
    if group:
        yield group


def _write_group(writer: SegmentWriter, frames: Sequence[Frame], skeleton_of: SkeletonOf, fetch: FetchBodies) -> int:
    """Write frames, without metrics where that is sure and worth it; return how many of these there are."""
    bodies: dict[int, bytes] = {}
    lean: dict[int, LeanBatch] = {}
    for found in frames:
        body = _body(found)
        skeleton = skeleton_of(body) if body is not None else None
        if body is not None and skeleton is not None:
            bodies[found.offset] = body
            lean[found.offset] = LeanBatch(writer.number, found.offset, decode_envelope(found.payload)[0], skeleton)
    fetched = dict(zip(lean, fetch(list(lean.values())), strict=True)) if lean else {}
    made = 0
    for found in frames:
        body = fetched.get(found.offset)
        if body is not None and body == bodies[found.offset]:
            made += _add_without_metrics(writer, found, lean[found.offset].skeleton, body)
        else:
            _add_as_it_was(writer, found)
    writer.write()
    return made


def _body(found: Frame) -> bytes | None:
    if found.kind != frame.BATCH:
        return None
    _, raw_bytes, start = decode_envelope(found.payload)
    compressed = bool(found.flags & frame.COMPRESSED)
    try:
        return unpack_body(memoryview(found.payload)[start:], raw_bytes=raw_bytes, compressed=compressed)
    except PayloadError:
        return None  # valid as a frame, so it was written like that: it stays


def _add_as_it_was(writer: SegmentWriter, found: Frame) -> None:
    writer.add(found.kind, 0, [PLACE.pack(found.offset, found.end, found.flags, AS_IT_WAS, 0), found.payload])


def _add_without_metrics(writer: SegmentWriter, found: Frame, skeleton: bytes, body: bytes) -> bool:
    """Whether it was worth it; else the frame is added as it was."""
    packed = pack_body(skeleton, level=_LEVEL)
    head = found.payload[: decode_envelope(found.payload)[2]]
    place = PLACE.pack(found.offset, found.end, found.flags, WITHOUT_METRICS, packed.raw_bytes)
    parts = [place, digest_of(body).to_bytes(DIGEST_BYTES, "little"), head, packed.data]
    is_worth_it = sum(map(len, parts)) <= _WORTH * len(found.payload)
    if is_worth_it:
        writer.add(found.kind, frame.COMPRESSED if packed.compressed else 0, parts)
    else:
        _add_as_it_was(writer, found)
    return is_worth_it
