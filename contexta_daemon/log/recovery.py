"""Opening what an earlier process left, however it ended. Reads the last segment, and earlier ones only where their
checkpoint is needed because a later one is damaged.

First it makes durable what it reads. Then it keeps every valid frame but those of a write that a crash cut off: of such
a write the disk may have any part, so that it ends the last segment, from its first damage on. It was never
acknowledged, and is cut. Damage before a frame that was written after a sync is no crash: it is copied aside and
reported, with whose items are lost as far as that can be told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from . import frame
from .directory import DAMAGED, LogDirectory, Position, segment_name
from .envelope import PayloadError, decode_checkpoint, decode_envelope, decode_session_closed
from .errors import LogIOError
from .lean import LeanReader
from .segment import HEADER_BYTES, Damage, Frame, SegmentReader
from .sessions import SessionTable


@dataclass(slots=True)
class Recovered:
    """What was found. `end` is where the last segment that counts ends; `next_number` was never used before."""

    log_id: bytes | None = None
    end: Position = field(default_factory=lambda: Position(0, 0))
    next_number: int = 1
    sessions: SessionTable = field(default_factory=SessionTable)
    damaged_frames: int = 0
    notes: list[str] = field(default_factory=list)


def recover(directory: LogDirectory) -> Recovered:
    """Bring a log's folder into order and tell where to go on. Raises LogIOError when it cannot be read."""
    found = Recovered()
    numbers = directory.numbers()
    if not numbers:
        return found
    try:
        directory.settle_names()
    except OSError as error:
        message = f"cannot make durable the names in {directory.path}: {error}"
        raise LogIOError(message, errno=error.errno or 0) from error
    found.next_number = numbers[-1] + 1
    found.log_id = directory.log_id()
    last = _drop_unborn(directory, numbers, found)
    if last == 0 or found.log_id is None:
        return found
    chain = directory.chain(Position(last, directory.size(last)))
    for number in sorted(directory.half_headers):
        found.notes.append(f"segment {number}: a copy of its header is damaged; nothing is lost by that")
    _report_missing(directory, chain, found)
    base = _last_checkpoint(directory, chain, found)
    for number, end in chain[base:]:
        with directory.open(number) as segment:
            end = _replay(directory, segment, end, number == last, found)
        found.end = Position(number, end)
    return found


def _report_missing(directory: LogDirectory, chain: list[tuple[int, int]], found: Recovered) -> None:
    """Say where the log has a gap. Segments that were dropped from its front are not missed: it begins later."""
    for (before, _), (number, _) in pairwise(chain):
        header = directory.header(number)
        if header is not None and header.previous != before:
            found.damaged_frames += 1
            found.notes.append(f"segment {header.previous} is missing, and what it held is lost")


def _drop_unborn(directory: LogDirectory, numbers: list[int], found: Recovered) -> int:
    """Remove segments at the end whose first write a crash cut off at its beginning; return the last that counts."""
    for number in reversed(numbers):
        directory.settle(number)
        header = directory.header(number)
        if header is None and (found.log_id is None or directory.is_blank(number)):
            if directory.is_blank(number):
                directory.remove(number)
                found.notes.append(f"segment {number} was begun and never written: removed")
            else:
                _move_aside(directory, number, found)
            continue
        with directory.open(number) as segment:
            size = segment.size()
            scan = segment.scan(found.log_id or b"", start=HEADER_BYTES, end=size)
            if segment.is_lean or _is_born(scan, header is not None):  # a lean one was whole before it had its name
                return number
            if header is not None:
                note = f"segment {number} was cut off at its beginning: removed"
                found.notes.append(directory.set_aside(segment, HEADER_BYTES, size, note))
        if header is None:
            _move_aside(directory, number, found)
        else:
            directory.remove(number)
    return 0


def _is_born(scan: Iterator[Frame | Damage], has_header: bool) -> bool:
    """Whether the segment begins as it was written, or was synced at all."""
    first = next(scan, None)
    if has_header and isinstance(first, Frame):
        return True
    return any(isinstance(item, Frame) and item.is_after_sync for item in scan)


def _move_aside(directory: LogDirectory, number: int, found: Recovered) -> None:
    """A segment of which nothing can be read goes to the damaged ones, whole."""
    target = directory.path / DAMAGED / segment_name(number)
    found.damaged_frames += 1
    note = f"segment {number} cannot be read: its header is damaged"
    try:
        directory.files.mkdir(target.parent)
        directory.files.rename(directory.segment_path(number), target)
        found.notes.append(f"{note}; moved to {target}")
    except OSError as error:
        found.notes.append(f"{note}; it could not be moved aside: {error}")


def _last_checkpoint(directory: LogDirectory, chain: list[tuple[int, int]], found: Recovered) -> int:
    """The index in the chain from which to replay, with the sessions as they stood there."""
    for index in range(len(chain) - 1, -1, -1):
        number, end = chain[index]
        with directory.open(number) as segment:
            first = next(segment.scan(found.log_id or b"", start=HEADER_BYTES, end=end), None)
        if isinstance(first, Frame) and first.kind == frame.CHECKPOINT:
            try:
                found.sessions = SessionTable(decode_checkpoint(first.payload))
                return index
            except PayloadError:
                pass
        found.notes.append(f"segment {number} has no readable checkpoint: reading the one before it too")
    return 0


def _replay(
    directory: LogDirectory, segment: SegmentReader | LeanReader, end: int, is_last: bool, found: Recovered
) -> int:
    """Apply a segment's frames to the sessions; return where it ends."""
    may_be_torn = is_last and isinstance(segment, SegmentReader)  # a lean one was durable before it had its name
    held: list[Frame | Damage] = []  # from the first damage on that no later frame tells to have been synced
    for item in segment.scan(found.log_id or b"", start=HEADER_BYTES, end=end):
        if not may_be_torn or (isinstance(item, Frame) and item.is_after_sync):
            for earlier in (*held, item):
                _take(directory, segment, earlier, found)
            held.clear()
        elif held or isinstance(item, Damage):
            held.append(item)
        else:
            _take(directory, segment, item, found)
    if not held or not isinstance(segment, SegmentReader):
        return end
    _cut(directory, segment, Damage(held[0].offset, end, truncated=True), found)
    return held[0].offset


def _take(directory: LogDirectory, segment: SegmentReader | LeanReader, item: Frame | Damage, found: Recovered) -> None:
    if isinstance(item, Damage):
        _report(directory, segment, item, found)
    elif not _apply(item, found):
        _report(directory, segment, Damage(item.offset, item.end, truncated=False), found)


def _apply(item: Frame, found: Recovered) -> bool:
    """Note what a frame says of sessions. False when its payload does not decode: its checksum holds, so it was written
    so, and must not keep the rest of the log from being served."""
    try:
        if item.kind == frame.BATCH:
            found.sessions.applied(decode_envelope(item.payload)[0])
        elif item.kind == frame.SESSION_CLOSED:
            found.sessions.closed(*decode_session_closed(item.payload))
    except PayloadError:
        return False
    return True


def _cut(directory: LogDirectory, segment: SegmentReader, torn: Damage, found: Recovered) -> None:
    size = max(0, min(torn.end, segment.size()) - torn.offset)
    note = f"segment {segment.number}: a torn tail of {size} bytes at offset {torn.offset} was cut"
    found.notes.append(directory.set_aside(segment, torn.offset, torn.end, note))
    try:
        directory.files.truncate(directory.segment_path(segment.number), torn.offset)
    except OSError as error:  # harmless: the next segment's header says where this one ends
        found.notes.append(f"segment {segment.number} could not be cut: {error}")


def _report(directory: LogDirectory, segment: SegmentReader | LeanReader, damage: Damage, found: Recovered) -> None:
    note = f"segment {segment.number}: {damage.end - damage.offset} bytes at offset {damage.offset} are damaged"
    if damage.kind == frame.BATCH:
        try:
            envelope = decode_envelope(damage.payload)[0]
        except PayloadError:
            note += "; a batch whose owner cannot be told is lost"
        else:
            found.sessions.applied(envelope)
            note += (
                f"; items {envelope.first_sequence} to {envelope.next_sequence - 1}"
                f" of session {envelope.session_id.hex()} are lost"
            )
    found.damaged_frames += 1
    found.notes.append(directory.set_aside(segment, damage.offset, damage.end, note))
