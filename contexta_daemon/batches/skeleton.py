"""A batch's body without the numbers of its metrics, and the body made again with them. Drawn in docs/format/log.md.

A skeleton is how many parts of rows there are (u32, little-endian), the number of keys of each (u32), and the body as a
RawBatch in which time_ns, value and step are empty. Entries, series, scopes and layouts stand as they were.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from contexta import packing
from contexta.v1 import capture_pb2

_COUNT = struct.Struct("<I")
_Part = capture_pb2.RawMetricColumns | capture_pb2.RawMetricRows


@dataclass(frozen=True, slots=True)
class Numbers:
    """The metrics of one batch, in the order of their items: `step` as logged, `value` as its bits."""

    time_ns: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    value: npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """`keys`: of each part of rows."""

    batch: capture_pb2.RawBatch
    keys: tuple[int, ...]

    @property
    def entries(self) -> Sequence[bytes]:
        return self.batch.entries

    @property
    def metrics(self) -> int:
        """How many metrics it lacks. They are the items behind the entries."""
        of_rows = sum(k * (len(part.scope_id) // 8) for part, k in zip(self.batch.rows, self.keys, strict=True))
        return sum(len(part.series) // 8 for part in self.batch.columns) + of_rows


def skeleton_of(body: bytes) -> bytes | None:
    """Return the skeleton of a body; None where it has no metrics, or arrays that do not agree."""
    try:
        batch = capture_pb2.RawBatch.FromString(body)
    except DecodeError:
        return None
    keys = []
    for rows in batch.rows:
        n = len(rows.scope_id) // 8
        if not n or len(rows.value) % (8 * n):
            return None
        keys.append(len(rows.value) // (8 * n))
    if not batch.columns and not batch.rows:
        return None
    parts: list[_Part] = [*batch.columns, *batch.rows]
    for part in parts:
        part.time_ns = part.value = part.step = b""
    return struct.pack(f"<{1 + len(keys)}I", len(keys), *keys) + batch.SerializeToString(deterministic=True)


def read_skeleton(data: bytes) -> Skeleton:
    """Raises ValueError."""
    try:
        (parts,) = _COUNT.unpack_from(data)
        keys = struct.unpack_from(f"<{parts}I", data, _COUNT.size)
        batch = capture_pb2.RawBatch.FromString(data[_COUNT.size * (1 + parts) :])
    except (struct.error, DecodeError) as error:
        raise ValueError(f"no skeleton of a batch: {error}") from error
    if len(keys) != len(batch.rows):
        raise ValueError("no skeleton of a batch: its parts are not as many as it says")
    return Skeleton(batch, keys)


def body_of(skeleton: Skeleton, numbers: Numbers) -> bytes:
    """Return the body with its metrics, of which there are as many as the skeleton lacks.

    Whoever needs to know whether it is the one that was logged compares their digests.
    """
    batch = capture_pb2.RawBatch()
    batch.CopyFrom(skeleton.batch)
    at = 0
    for columns in batch.columns:
        n = len(columns.series) // 8
        of = slice(at, at + n)
        _fill(columns, numbers.time_ns[of], numbers.step[of], numbers.value[of])
        at += n
    for rows, k in zip(batch.rows, skeleton.keys, strict=True):
        n = len(rows.scope_id) // 8
        of, each_row = slice(at, at + n * k), slice(at, at + n * k, k)
        value = numbers.value[of].reshape(n, k).T
        _fill(rows, numbers.time_ns[each_row], numbers.step[each_row], value)
        at += n * k
    return batch.SerializeToString(deterministic=True)


def _fill(
    part: _Part, time_ns: npt.NDArray[np.int64], step: npt.NDArray[np.int64], value: npt.NDArray[np.uint64]
) -> None:
    """Put numbers into a part in its layout."""
    steady = packing.steady_planes if part.layout & packing.STEADY else _as_they_are
    part.time_ns, part.step = steady(time_ns), steady(step)
    if part.layout & packing.VALUE_STEADY:
        part.value = packing.steady_planes(value)
    elif part.layout & packing.VALUE_PLANES:
        part.value = packing.planes(value)
    else:
        part.value = _as_they_are(value)


def _as_they_are(numbers: packing.Numbers) -> bytes:
    return np.ascontiguousarray(numbers).tobytes()
