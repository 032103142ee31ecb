"""What lies in one block of a spool: rows as arrays, frames as bytes. Mapped, never copied before it is encoded."""

from __future__ import annotations

import mmap
import os
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from contexta_client.capture import spool_format as fmt

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Columns = tuple[Ints, Ints, Words, Floats]

FRAME, VOID, OPEN, END, DAMAGED = range(5)  # what next_frame found
_LAST_SCOPE = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Rows:
    """Committed rows of one series: group 0 for single metrics."""

    group: int
    values: int  # a row; 1 for single metrics
    time_ns: Ints
    step: Ints
    scope: Words  # scope id << 32 | key id of single metrics, scope ids of groups
    value: Floats  # shape (rows,) or (rows, values)

    @property
    def items(self) -> int:
        return len(self.time_ns) * self.values


class Block:
    """One mapped block file. Arrays taken from it keep the mapping alive."""

    def __init__(self, path: Path, *, kind: int, group: int, number: int) -> None:
        """Map it. Raises OSError, or ValueError when it is not the block that its name says."""
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            self.mapped = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(file)
        self.header = header = fmt.BlockHeader.unpack(self.mapped[: fmt.BLOCK_HEADER_BYTES])
        if (header.kind, header.group, header.number) != (kind, group, number):
            raise ValueError(f"{path} holds another block: {header}")
        if len(self.mapped) < header.file_bytes or (kind == fmt.GROUP and not header.values):
            raise ValueError(f"{path} has {len(self.mapped)} bytes and should have {header.file_bytes}")

    @property
    def values(self) -> int:
        """Values a row."""
        return self.header.values if self.header.kind == fmt.GROUP else 1

    @cached_property
    def columns(self) -> Columns:
        """(time, step, scope or series, value) of all slots, as views of live memory."""
        n, start = self.header.capacity, fmt.BLOCK_HEADER_BYTES
        if self.header.kind == fmt.ROWS:
            value, series, step, time_ns = (start + 8 * n * at for at in range(4))
            return (
                np.frombuffer(self.mapped, "<i8", n, time_ns),
                np.frombuffer(self.mapped, "<i8", n, step),
                np.frombuffer(self.mapped, "<u8", n, series),
                np.frombuffer(self.mapped, "<f8", n, value),
            )
        k = self.header.values
        whole = np.frombuffer(self.mapped, "<i8", n * (k + 3), start).reshape(n, k + 3)
        return whole[:, k + 2], whole[:, k], whole[:, k + 1].view("<u8"), whole[:, :k].view("<f8")

    def rows(self, start: int, stop: int) -> tuple[Rows | None, list[int], int]:
        """Return the committed rows of some slots, which slots are holes (claimed or not yet, but not committed), and
        how many rows name a scope that cannot be: they are damaged, and left out."""
        times, steps, scopes, all_values = self.columns
        time_ns = times[start:stop].copy()  # the writer goes on meanwhile: one look decides
        step, scope, value = steps[start:stop], scopes[start:stop], all_values[start:stop]
        holes: list[int] = []
        keep = (time_ns != 0) & (time_ns != fmt.VOID_TIME)
        if not keep.all():
            holes = [start + int(index) for index in np.flatnonzero(time_ns == 0)]
            time_ns, step, scope, value = time_ns[keep], step[keep], scope[keep], value[keep]
        damaged = 0
        if self.header.kind == fmt.GROUP and (wrong := scope > _LAST_SCOPE).any():
            damaged, keep = int(np.count_nonzero(wrong)), ~wrong
            time_ns, step, scope, value = time_ns[keep], step[keep], scope[keep], value[keep]
        if not len(time_ns):
            return None, holes, damaged
        return Rows(self.header.group, self.values, time_ns, step, scope, value), holes, damaged

    def committed(self, index: int, *, exact: bool) -> int:
        """Return the end of the committed slots, of which `index` is known to be at or before it.

        Looks a stretch ahead of what is committed, which is more than threads can leave holes; exact: at all slots.
        """
        times, capacity = self.columns[0], self.header.capacity
        stretch = capacity if exact else 512
        while index < capacity:
            used = np.flatnonzero(times[index : index + stretch].copy())
            if not len(used):
                break
            index += int(used[-1]) + 1
            stretch = min(2 * stretch, 1 << 16)
        return index

    def is_finished(self) -> bool:
        """Whether nobody writes to it any more: every slot is committed or void, or an END stands behind the frames."""
        if self.header.kind != fmt.JOURNAL:
            return bool(self.columns[0].all())
        found, _, offset = self.next_frame(0)
        while found not in (OPEN, END):
            found, _, offset = self.next_frame(offset)
        return found == END

    def next_frame(self, offset: int) -> tuple[int, bytes, int]:
        """Return (what is there, its body, the next offset). What is DAMAGED may be on its way: look again."""
        capacity, start = self.header.capacity, fmt.BLOCK_HEADER_BYTES
        if offset + fmt.FRAME_HEADER_BYTES > capacity:
            return END, b"", offset
        length, check = fmt.FRAME_HEADER.unpack_from(self.mapped, start + offset)
        if length == 0:
            return OPEN, b"", offset
        if length == fmt.END_OF_BLOCK:
            return END, b"", offset
        following = offset + fmt.frame_bytes(length & ~fmt.FRAME_VOID)
        if following > capacity:  # behind this no length can be trusted
            return DAMAGED, b"", capacity
        if length & fmt.FRAME_VOID:
            return VOID, b"", following
        at = start + offset + fmt.FRAME_HEADER_BYTES
        body = self.mapped[at : at + length]
        if zlib.crc32(body) != check:
            return DAMAGED, b"", following
        return FRAME, body, following
