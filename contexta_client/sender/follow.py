"""Reads one spool: which sessions there are, how far their writers have come, and the rows and entries in between."""

from __future__ import annotations

import fcntl
import mmap
import os
import platform
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from contexta_client.capture import spool_format as fmt

Words = npt.NDArray[np.uint64]
# Elsewhere a slot's time may be visible before its values: only what was committed at the look before is taken.
STRONG_ORDER = platform.machine() in ("x86_64", "AMD64", "i686", "i386")


def session_folders(roots: Iterable[Path]) -> dict[bytes, list[Path]]:
    """Return the folders of each session below the roots: the writer's own, and those it was spilled to."""
    found: dict[bytes, list[Path]] = {}
    for root in roots:
        try:
            names = os.listdir(root)
        except OSError:
            continue
        for name in names:
            if len(name) == 32:
                try:
                    found.setdefault(bytes.fromhex(name), []).append(root / name)
                except ValueError:
                    continue
    return found


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a spool's writer stood at one moment: everything before was committed, but for holes."""

    series: dict[int, tuple[int, int]]
    journal: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Rows:
    """Committed rows of one series: group 0 for single metrics. `data` is a structured view or columns, see take()."""

    group: int
    values: int
    time_ns: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    scope: npt.NDArray[np.uint64]  # series of single metrics, scope ids of groups
    value: npt.NDArray[np.float64]  # shape (rows,) or (rows, values)

    @property
    def items(self) -> int:
        return len(self.time_ns) * (self.values or 1)


class Slots(NamedTuple):
    """The slots of a block as views into its memory. scope: the series of single metrics, the scope ids of groups."""

    time_ns: npt.NDArray[np.int64]
    step: npt.NDArray[np.int64]
    scope: npt.NDArray[np.uint64]
    value: npt.NDArray[np.float64]

    def take(self, which: slice | npt.NDArray[np.bool_]) -> Slots:
        """Return some of them."""
        return Slots(self.time_ns[which], self.step[which], self.scope[which], self.value[which])


class Block:
    """One mapped block file."""

    def __init__(self, path: Path) -> None:
        """Map it. Raises OSError, or ValueError when it is not a block."""
        with path.open("rb") as file:
            self.mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.header = fmt.BlockHeader.unpack(self.mapped[: fmt.BLOCK_HEADER_BYTES])
        if len(self.mapped) < self.header.file_bytes:
            raise ValueError(f"{path} has {len(self.mapped)} bytes and should have {self.header.file_bytes}")

    def slots(self) -> Slots:
        """Return all slots, committed or not."""
        n, start = self.header.capacity, fmt.BLOCK_HEADER_BYTES
        if self.header.kind == fmt.ROWS:
            column = 8 * n
            return Slots(
                np.frombuffer(self.mapped, np.int64, n, start + 3 * column),
                np.frombuffer(self.mapped, np.int64, n, start + 2 * column),
                np.frombuffer(self.mapped, np.uint64, n, start + column),
                np.frombuffer(self.mapped, np.float64, n, start),
            )
        k = self.header.values
        whole = np.frombuffer(self.mapped, np.int64, n * (k + 3), start).reshape(n, k + 3)
        return Slots(whole[:, k + 2], whole[:, k], whole[:, k + 1].view(np.uint64), whole[:, :k].view(np.float64))


class SpoolReader:
    """One session's spool. Blocks are mapped while they are read, one of each series at a time."""

    def __init__(self, session_id: bytes, folders: list[Path]) -> None:
        """Open the header. Raises OSError when the spool has none (yet), ValueError when it is not one of ours."""
        self.session_id = session_id
        self.folders = folders
        self.home = next((f for f in folders if (f / fmt.HEADER_NAME).is_file()), None)
        if self.home is None:
            raise FileNotFoundError(f"no header in {folders}")
        file = os.open(self.home / fmt.HEADER_NAME, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            self._header = mmap.mmap(file, fmt.HEADER_BYTES)
            magic, version, size, own, self.pid = fmt.HEADER_PREFIX.unpack_from(self._header)
            if magic != fmt.HEADER_MAGIC or version != fmt.VERSION or size != fmt.HEADER_BYTES or own != session_id:
                raise ValueError(f"{self.home} holds no spool of version {fmt.VERSION}")
        finally:
            os.close(file)
        self._lock_file = self._open_lock()
        self.words: Words = np.frombuffer(self._header, "<u8")
        self._blocks: dict[tuple[int, int], Block] = {}  # (kind, group) -> the one being read
        self._names: dict[tuple[int, int], dict[int, Path]] = {}
        self._before: dict[int, tuple[int, int]] = {}
        self.unreadable = 0
        self._trouble = ""

    def _open_lock(self) -> int:
        assert self.home is not None
        try:
            return os.open(self.home / fmt.LOCK_NAME, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:  # blocks that outlived their memory: there is no writer
            return -1

    def writer_is_gone(self) -> bool:
        """Whether the kernel has freed the owner's lock."""
        if self._lock_file < 0:
            return True
        try:
            fcntl.lockf(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        fcntl.lockf(self._lock_file, fcntl.LOCK_UN)
        return True

    def set_trouble(self, text: str) -> None:
        """Tell the writer what keeps its records from being delivered; empty: nothing."""
        if text == self._trouble:
            return
        self._trouble = text
        data = text.encode()[: fmt.TROUBLE_BYTES - 4]
        at = fmt.TROUBLE_OFFSET
        self._header[at : at + 4 + len(data)] = len(data).to_bytes(4, "little") + data

    def close(self) -> None:
        self._blocks.clear()
        del self.words
        try:
            self._header.close()
        except BufferError:  # somebody still looks; it goes with the last look
            pass
        if self._lock_file >= 0:
            os.close(self._lock_file)

    # --- blocks ---

    def refresh(self) -> None:
        """Look which blocks there are."""
        names: dict[tuple[int, int], dict[int, Path]] = {}
        for folder in self.folders:
            try:
                listed = os.listdir(folder)
            except OSError:
                continue
            for name in listed:
                parsed = fmt.parse_block_name(name)
                if parsed is not None:
                    kind, group, number = parsed
                    names.setdefault((kind, group), {}).setdefault(number, folder / name)
        self._names = names

    def numbers(self, kind: int, group: int = 0) -> dict[int, Path]:
        return self._names.get((kind, group), {})

    def block(self, kind: int, group: int, number: int) -> Block | None:
        """Return a block, or None when there is none of that number or it cannot be read."""
        held = self._blocks.get((kind, group))
        if held is not None and held.header.number == number:
            return held
        path = self._names.get((kind, group), {}).get(number)
        if path is None:
            return None
        try:
            block = Block(path)
        except (OSError, ValueError):
            self.unreadable += 1
            return None
        self._blocks[kind, group] = block
        return block

    def groups(self) -> list[int]:
        """Return the series that have blocks: 0 for the rows, and the groups."""
        return sorted(group for kind, group in self._names if kind != fmt.JOURNAL)

    def delete(self, kind: int, group: int, number: int, path: Path) -> int:
        """Delete a block that is durable; return the bytes that this frees of the spool's bound."""
        held = self._blocks.get((kind, group))
        if held is not None and held.header.number == number:
            del self._blocks[kind, group]
        self._names[kind, group].pop(number, None)
        try:
            size = path.stat().st_size
            path.unlink()
        except OSError:
            return 0
        return size if path.parent == self.home else 0

    def passed(self) -> list[tuple[int, int, int, Path]]:
        """Return (kind, group, number, path) of the blocks that the writer has left, the oldest first."""
        return [
            (kind, group, number, numbers[number])
            for (kind, group), numbers in self._names.items()
            for number in sorted(numbers)[:-1]
        ]

    def moved(self, kind: int, group: int, number: int, path: Path) -> None:
        """Note that a block lies elsewhere now."""
        self._names[kind, group][number] = path
        if path.parent not in self.folders:
            self.folders = [*self.folders, path.parent]

    # --- how far the writer is ---

    def ends(self) -> Ends:
        """Take the columns' ends first and the journal's second, so that every id met in the rows is defined."""
        self.refresh()
        series = {group: self._series_end(group) for group in self.groups()}
        if not STRONG_ORDER:
            series, self._before = {g: self._before.get(g, (0, 0)) for g in series}, series
        return Ends(series, self._journal_end())

    def _series_end(self, group: int) -> tuple[int, int]:
        kind = fmt.GROUP if group else fmt.ROWS
        last = max(self._names[kind, group])
        path = self._names[kind, group][last]
        try:
            times = Block(path).slots().time_ns.copy()  # the writer goes on meanwhile
        except (OSError, ValueError):
            return last, 0
        used = np.flatnonzero(times)
        return last, int(used[-1]) + 1 if len(used) else 0

    def _journal_end(self) -> tuple[int, int]:
        numbers = self.numbers(fmt.JOURNAL)
        if not numbers:
            return 0, 0
        return max(numbers), 1 << 31  # frames are self-delimiting: reading stops at the first that is not committed

    # --- rows ---

    def take_rows(
        self, group: int, at: tuple[int, int], end: tuple[int, int], limit: int
    ) -> tuple[Rows | None, tuple[int, int], list[tuple[int, int, int]]]:
        """Return up to `limit` committed rows between two positions of one block, where to go on, and new holes."""
        kind = fmt.GROUP if group else fmt.ROWS
        number, index = at
        block = self.block(kind, group, number)
        if block is None:
            later = [n for n in self._names.get((kind, group), {}) if n > number]
            return None, (min(later), 0) if later else at, []
        stop = min(block.header.capacity if number < end[0] else end[1], index + limit)
        following = (number + 1, 0) if number < end[0] and stop == block.header.capacity else (number, stop)
        if stop <= index:
            return None, following, []
        slots = block.slots().take(slice(index, stop))
        holes: list[tuple[int, int, int]] = []
        if not ((slots.time_ns != 0) & (slots.time_ns != fmt.VOID_TIME)).all():
            time_ns = slots.time_ns.copy()  # one look decides
            holes = [(group, number, index + int(i)) for i in np.flatnonzero(time_ns == 0)]
            slots = slots.take((time_ns != 0) & (time_ns != fmt.VOID_TIME))
        if not len(slots.time_ns):
            return None, following, holes
        return Rows(group, block.header.values if group else 0, *slots), following, holes

    def take_holes(
        self, holes: Iterable[tuple[int, int, int]]
    ) -> tuple[list[Rows], tuple[tuple[int, int, int], ...]]:
        """Return the rows that were committed since they were holes, and the holes that are left."""
        found: list[Rows] = []
        left: list[tuple[int, int, int]] = []
        for group, number, index in holes:
            path = self._names.get((fmt.GROUP if group else fmt.ROWS, group), {}).get(number)
            try:
                block = Block(path) if path is not None else None
            except (OSError, ValueError):
                block = None
            if block is None:
                left.append((group, number, index))
                continue
            slot = block.slots().take(slice(index, index + 1))
            state = int(slot.time_ns[0])
            if state == 0:
                left.append((group, number, index))
            elif state != fmt.VOID_TIME:
                found.append(Rows(group, block.header.values if group else 0, *slot))
        return found, tuple(left)

    # --- journal ---

    def take_journal(self, at: tuple[int, int], limit: int) -> tuple[list[bytes], tuple[int, int], int]:
        """Return up to `limit` bytes of entries from a position on, where to go on, and how many were damaged."""
        entries: list[bytes] = []
        damaged = taken = 0
        number, offset = at
        while taken < limit:
            block = self.block(fmt.JOURNAL, 0, number)
            if block is None:
                later = [n for n in self.numbers(fmt.JOURNAL) if n > number]
                if not later:
                    break
                number, offset = min(later), 0
                continue
            body, offset, state = _next_frame(block, offset)
            if state == "end":
                if number + 1 not in self.numbers(fmt.JOURNAL):
                    self.refresh()
                if number + 1 not in self.numbers(fmt.JOURNAL):
                    break
                number, offset = number + 1, 0
            elif state == "open":
                break
            elif state == "damaged":
                damaged += 1
            elif body is not None:
                entries.append(body)
                taken += len(body)
        return entries, (number, offset), damaged


def _next_frame(block: Block, offset: int) -> tuple[bytes | None, int, str]:
    """Return (body, next offset, state): frame, void, open (nothing committed here), end (of the block), damaged."""
    capacity, start = block.header.capacity, fmt.BLOCK_HEADER_BYTES
    if offset + fmt.FRAME_HEADER_BYTES > capacity:
        return None, offset, "end"
    length, check = fmt.FRAME_HEADER.unpack_from(block.mapped, start + offset)
    if length == 0:
        return None, offset, "open"
    if length == fmt.END_OF_BLOCK:
        return None, offset, "end"
    size = length & ~fmt.FRAME_VOID
    following = offset + fmt.frame_bytes(size)
    if following > capacity:  # no length can be trusted behind this
        return None, capacity, "damaged"
    if length & fmt.FRAME_VOID:
        return None, following, "void"
    at = start + offset + fmt.FRAME_HEADER_BYTES
    body = bytes(block.mapped[at : at + size])
    if zlib.crc32(body) != check:
        return None, following, "damaged"
    return body, following, "frame"
