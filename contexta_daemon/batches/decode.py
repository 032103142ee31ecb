"""One logged body -> its entries, and its metrics as arrays. Drawn in docs/format/batch.md.

Items of a batch are numbered in the order entries, columns, rows; a row of a group counts as many items as it has
values. The number of an item in its session is the envelope's first_sequence plus its place here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from contexta import packing
from contexta.errors import ContextaError
from contexta.v1 import capture_pb2

from .skeleton import read_skeleton

if TYPE_CHECKING:
    from contexta_daemon.log import LoggedBatch

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]
Float64s = npt.NDArray[np.float64]

MAX_PARTS = 1 << 16  # of a body; each becomes objects of hundreds of bytes, and takes no more than two in the body


class BadBatchError(ContextaError):
    """A body that is not a batch: followers set it aside and go on."""

    default_code = "bad_batch"


@dataclass(frozen=True, slots=True)
class Columns:
    """n single metrics. `series` is scope id << 32 | key id; `step` is encoded, see decode_step."""

    first_item: int
    time_ns: Int64s
    value: Float64s
    step: Int64s
    series: UInt64s

    @property
    def items(self) -> int:
        return len(self.time_ns)


@dataclass(frozen=True, slots=True)
class Rows:
    """n rows of a group of k keys: `value` has shape (k, n); item number = first_item + row * k + key."""

    first_item: int
    group_id: int
    time_ns: Int64s
    step: Int64s
    scope_id: UInt64s
    value: Float64s

    @property
    def items(self) -> int:
        return int(self.value.size)


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """A batch whose arrays agree in length and whose items are as many as its envelope says."""

    entries: tuple[capture_pb2.Entry, ...]
    columns: tuple[Columns, ...]
    rows: tuple[Rows, ...]


def decode(batch: LoggedBatch) -> DecodedBatch:
    """Decode a logged batch; arrays that stand as they are are not copied. One that was read without its metrics has
    its entries only. Raises BadBatchError."""
    if batch.skeleton:
        return DecodedBatch(_entries_of_skeleton(batch), (), ())
    if _has_too_many_parts(batch.body):
        raise BadBatchError(f"the body has over {MAX_PARTS} parts", details={"position": str(batch.position)})
    try:
        raw = capture_pb2.RawBatch.FromString(batch.body)
        entries = tuple(map(capture_pb2.Entry.FromString, raw.entries))
    except DecodeError as error:
        raise BadBatchError(f"the body is no Batch: {error}", details={"position": str(batch.position)}) from error
    decoded = _from_raw(raw, entries)
    if decoded is None or _items(decoded) != batch.envelope.count:
        # Another language may encode the fields one number at a time; the declared message reads every encoding.
        decoded = _from_message(batch.body, entries)
    if decoded is None:
        raise BadBatchError(
            "arrays of unequal length, an unknown layout, or ids beyond 32 bits",
            details={"position": str(batch.position)},
        )
    if (items := _items(decoded)) != batch.envelope.count:
        raise BadBatchError(
            f"the body has {items} items, its envelope says {batch.envelope.count}",
            details={"position": str(batch.position)},
        )
    return decoded


def _entries_of_skeleton(batch: LoggedBatch) -> tuple[capture_pb2.Entry, ...]:
    try:
        return tuple(map(capture_pb2.Entry.FromString, read_skeleton(batch.body).entries))
    except (ValueError, DecodeError) as error:
        raise BadBatchError(f"the body cannot be read: {error}", details={"position": str(batch.position)}) from error


def decode_step(step: Int64s) -> tuple[Int64s, npt.NDArray[np.bool_]]:
    """Return (steps, which of them are steps at all) from the stored form: 0 none, n > 0: n - 1, n < 0: n."""
    return step - (step > 0), step != 0


def _has_too_many_parts(body: bytes) -> bool:
    """Whether a body has more fields than a batch may have. What is no message has as many as can be read of it."""
    if len(body) <= 2 * MAX_PARTS:
        return False
    at = parts = 0
    try:
        while at < len(body) and parts <= MAX_PARTS:
            tag, at = _varint(body, at)
            wire_type = tag & 7
            if wire_type in (0, 2):
                number, at = _varint(body, at)
                at += number if wire_type == 2 else 0
            else:
                at += {1: 8, 5: 4}.get(wire_type, 0)
            parts += 1
    except IndexError:
        pass
    return parts > MAX_PARTS


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number that stands at a place, and where it ends."""
    number = data[at]
    at += 1
    if number < 0x80:
        return number, at
    number &= 0x7F
    shift = 7
    while (byte := data[at]) >= 0x80 and shift < 63:
        number |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    return number | byte << shift, at + 1


def _items(batch: DecodedBatch) -> int:
    return len(batch.entries) + sum(c.items for c in batch.columns) + sum(r.items for r in batch.rows)


def _from_raw(raw: capture_pb2.RawBatch, entries: tuple[capture_pb2.Entry, ...]) -> DecodedBatch | None:
    try:
        columns = [
            (*_numbers(part.layout, part.time_ns, part.value, part.step), np.frombuffer(part.series, "<u8"))
            for part in raw.columns
        ]
        rows = [
            (
                part.group_id,
                *_numbers(part.layout, part.time_ns, part.value, part.step),
                np.frombuffer(part.scope_id, "<u8"),
            )
            for part in raw.rows
        ]
    except ValueError:  # not a multiple of 8 bytes, or a layout that is not known
        return None
    return _assemble(entries, columns, rows)


def _from_message(body: bytes, entries: tuple[capture_pb2.Entry, ...]) -> DecodedBatch | None:
    try:
        message = capture_pb2.Batch.FromString(body)
    except DecodeError as error:
        raise BadBatchError(f"the body is no Batch: {error}") from error
    try:
        columns = [(*_numbers_of(part), np.array(part.series, "<u8")) for part in message.columns]
        rows = [(part.group_id, *_numbers_of(part), np.array(part.scope_id, "<u8")) for part in message.rows]
    except ValueError:
        return None
    return _assemble(entries, columns, rows)


def _numbers_of(part: capture_pb2.MetricColumns | capture_pb2.MetricRows) -> tuple[Int64s, Float64s, Int64s]:
    arrays = np.array(part.time_ns, "<i8"), np.array(part.value, "<f8"), np.array(part.step, "<i8")
    return _numbers(part.layout, *(array.tobytes() for array in arrays))


def _numbers(layout: int, time_ns: bytes, value: bytes, step: bytes) -> tuple[Int64s, Float64s, Int64s]:
    """Return (times, values, steps) of what stands in a layout. Raises ValueError."""
    if layout & ~packing.KNOWN:
        raise ValueError(f"layout {layout} is not known")
    if layout & packing.STEADY:
        times = packing.from_steady_planes(time_ns).view("<i8")
        steps = packing.from_steady_planes(step).view("<i8")
    else:
        times, steps = np.frombuffer(time_ns, "<i8"), np.frombuffer(step, "<i8")
    if layout & packing.VALUE_STEADY:
        values = packing.from_steady_planes(value).view("<f8")
    elif layout & packing.VALUE_PLANES:
        values = packing.from_planes(value).view("<f8")
    else:
        values = np.frombuffer(value, "<f8")
    return times, values, steps


def _assemble(
    entries: tuple[capture_pb2.Entry, ...],
    columns: list[tuple[Int64s, Float64s, Int64s, UInt64s]],
    rows: list[tuple[int, Int64s, Float64s, Int64s, UInt64s]],
) -> DecodedBatch | None:
    """Number the parts; None when lengths disagree."""
    item = len(entries)
    numbered_columns = []
    for time_ns, value, step, series in columns:
        if not len(time_ns) == len(value) == len(step) == len(series):
            return None
        numbered_columns.append(Columns(item, time_ns, value, step, series))
        item += len(time_ns)
    numbered_rows = []
    for group_id, time_ns, value, step, scope_id in rows:
        n = len(time_ns)
        if not n == len(step) == len(scope_id) or (len(value) % n if n else len(value)):
            return None
        if n and int(scope_id.max()) >> 32:
            return None
        numbered_rows.append(Rows(item, group_id, time_ns, step, scope_id, value.reshape(-1, n) if n else value))
        item += len(value)
    return DecodedBatch(entries, tuple(numbered_columns), tuple(numbered_rows))
