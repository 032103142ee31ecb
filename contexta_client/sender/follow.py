"""Reads one spool: which sessions there are, how far their writers have come, and the rows and entries in between."""

from __future__ import annotations

import fcntl
import mmap
import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, time_ns

import numpy as np

from contexta_client.capture import spool_format as fmt
from contexta_client.capture.journal import MAX_ENTRY_BYTES

from .blocks import DAMAGED, END, FRAME, OPEN, Block, Rows, Words
from .cursor import Hole

# Elsewhere a slot's time may be visible before its values: only what was committed at the look before is taken.
STRONG_ORDER = platform.machine() in ("x86_64", "AMD64", "i686", "i386")
SUSPECT_S = 0.05  # a frame may be seen half committed; damage is what stays so
MTIME_GRAIN_NS = 50_000_000  # folders changed twice within a clock tick may show one time

Place = tuple[int, int]  # block number, index or offset in it


def session_folders(roots: Iterable[Path]) -> dict[bytes, list[Path]]:
    """Return the folders of each session below the roots: the writer's own, and those it was spilled to.

    Raises OSError when one cannot be listed that may hold some: to take it for empty would be to lose what is there.
    """
    found: dict[bytes, list[Path]] = {}
    for root in roots:
        try:
            names = os.listdir(root)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        for name in names:
            if len(name) == 32 and not name.strip("0123456789abcdef"):
                found.setdefault(bytes.fromhex(name), []).append(root / name)
    return found


@dataclass(frozen=True, slots=True)
class Ends:
    """Where a spool's columns stood at one moment: everything before was committed, but for holes.

    The journal is read behind them, so that every id met in the rows is defined. final: the writer is gone.
    """

    series: dict[int, Place]
    final: bool = False


@dataclass(frozen=True, slots=True)
class JournalPart:
    """Entries, where to go on, how many frames or blocks were damaged, whether more stands there already, and how many
    frames were passed by because no batch can carry them."""

    entries: list[bytes]
    at: Place
    damaged: int
    more: bool
    too_large: int = 0


@dataclass(frozen=True, slots=True)
class RowsPart:
    """Rows (None: there are none), where to go on, holes that were passed, and how many blocks or rows were damaged."""

    rows: Rows | None
    at: Place
    holes: tuple[Hole, ...] = ()
    damaged: int = 0


class SpoolReader:
    """One session's spool. Of each series, the block that is read and the newest one are mapped."""

    def __init__(self, session_id: bytes, folders: list[Path]) -> None:
        """Open the header. Raises OSError when the spool has none (yet), ValueError when it is not one of ours."""
        self.session_id = session_id
        self.folders = folders
        home = next((folder for folder in folders if (folder / fmt.HEADER_NAME).is_file()), None)
        if home is None:
            raise FileNotFoundError(f"no header in {folders}")
        self.home = home
        self._header = _map_header(home / fmt.HEADER_NAME)
        magic, version, size, own, self.pid = fmt.HEADER_PREFIX.unpack_from(self._header)
        if magic != fmt.HEADER_MAGIC or version != fmt.VERSION or size != fmt.HEADER_BYTES or own != session_id:
            raise ValueError(f"{home} holds no spool of version {fmt.VERSION}")
        self._lock_file = self._open_lock()
        self.words: Words = np.frombuffer(self._header, "<u8")
        self._blocks: dict[tuple[int, int, int], Block] = {}
        self._bad: set[tuple[int, int, int]] = set()
        self._names: dict[tuple[int, int], dict[int, Path]] = {}
        self._listed: tuple[int, ...] = ()  # when the folders were changed last, when they were listed
        self._listed_ns = 0
        self._tails: dict[int, Place] = {}  # of each series, up to which slots are known to be committed
        self._before: dict[int, Place] = {}
        self._widths: dict[int, int] = {0: 1}
        self._suspect: tuple[Place, float] = ((0, 0), 0.0)

    def _open_lock(self) -> int:
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
        """Tell the writer's user what keeps the sender from delivering; empty: nothing does."""
        data = text.encode()[: fmt.TROUBLE_BYTES - 4].decode("utf-8", "ignore").encode()
        at = fmt.TROUBLE_OFFSET
        self._header[at : at + 4 + len(data)] = len(data).to_bytes(4, "little") + data

    def close(self) -> None:
        self._blocks.clear()
        self.words = self.words.copy()
        with suppress(BufferError):  # somebody still looks; it goes with the last look
            self._header.close()
        if self._lock_file >= 0:
            os.close(self._lock_file)

    # --- blocks ---

    def refresh(self) -> None:
        """See which blocks there are, where the folders changed since the last time. Raises OSError."""
        now_ns = time_ns()
        changed = tuple(_changed_ns(folder) for folder in self.folders)
        if changed == self._listed and max(changed) < self._listed_ns - MTIME_GRAIN_NS:
            return
        names: dict[tuple[int, int], dict[int, Path]] = {}
        for folder in self.folders:
            try:
                listed = os.listdir(folder)
            except FileNotFoundError:
                continue
            for name in listed:
                parsed = fmt.parse_block_name(name)
                if parsed is not None:
                    kind, group, number = parsed
                    names.setdefault((kind, group), {}).setdefault(number, folder / name)
        self._names = names
        self._listed, self._listed_ns = changed, now_ns

    def numbers(self, kind: int, group: int = 0) -> dict[int, Path]:
        """Return the blocks of a series, by number."""
        return self._names.get((kind, group), {})

    def block(self, kind: int, group: int, number: int) -> Block | None:
        """Return a block; None when there is none of that number, or it is damaged. Raises OSError."""
        key = (kind, group, number)
        block = self._blocks.get(key)
        path = self.numbers(kind, group).get(number)
        if block is not None or path is None or key in self._bad:
            return block
        try:
            block = Block(path, kind=kind, group=group, number=number)
        except FileNotFoundError:  # removed under us
            self._listed = ()
            return None
        except ValueError:
            self._bad.add(key)
            return None
        keep = {number, max(self.numbers(kind, group))}
        self._blocks = {k: b for k, b in self._blocks.items() if k[:2] != key[:2] or k[2] in keep}
        self._blocks[key] = block
        if kind == fmt.GROUP:
            self._widths[group] = block.values
        return block

    def width(self, group: int) -> int:
        """Return how many values a row of a series has; 1 for a series that could not be read."""
        return self._widths.get(group, 1)

    def unmap(self) -> None:
        """Let go of all blocks, and of the descriptor that each mapping holds; those that are read are mapped again."""
        self._blocks.clear()

    def delete(self, kind: int, group: int, number: int) -> int:
        """Delete a block that is durable; return the bytes that this frees of the spool's bound."""
        path = self._forget(kind, group, number)
        try:
            size = path.stat().st_size
            path.unlink()
        except OSError:
            return 0
        return size if path.parent == self.home else 0

    def moved(self, kind: int, group: int, number: int, path: Path) -> None:
        """Note that a block lies elsewhere now."""
        self._forget(kind, group, number)
        self._names[kind, group][number] = path
        if path.parent not in self.folders:
            self.folders = [*self.folders, path.parent]

    def _forget(self, kind: int, group: int, number: int) -> Path:
        self._blocks.pop((kind, group, number), None)
        return self._names[kind, group].pop(number)

    def passed(self) -> list[tuple[int, int, int, Path]]:
        """Return (kind, group, number, path) of the blocks that the writer has left, those of a series in order."""
        return [
            (kind, group, number, numbers[number])
            for (kind, group), numbers in self._names.items()
            for number in sorted(numbers)[:-1]
        ]

    # --- how far the writer is ---

    def ends(self, *, final: bool = False) -> Ends:
        """Return where the columns end. final: the writer is gone, and nothing will come any more."""
        self.refresh()
        groups = sorted(group for kind, group in self._names if kind != fmt.JOURNAL)
        series = {group: self._series_end(group, final=final) for group in groups}
        if not STRONG_ORDER and not final:
            series, self._before = {group: self._before.get(group, (0, 0)) for group in series}, series
        return Ends(series, final)

    def _series_end(self, group: int, *, final: bool) -> Place:
        kind = fmt.GROUP if group else fmt.ROWS
        last = max(self.numbers(kind, group))
        block = self.block(kind, group, last)
        if block is None:
            return last, 1 if final else 0  # a damaged one ends somewhere behind its beginning
        number, index = self._tails.get(group, (last, 0))
        index = block.committed(index if number == last else 0, exact=final)
        self._tails[group] = last, index
        return last, index

    # --- rows ---

    def take_rows(self, group: int, at: Place, end: Place, limit: int) -> RowsPart:
        """Return up to `limit` committed rows between two places, of one block."""
        kind = fmt.GROUP if group else fmt.ROWS
        number, index = at
        block = self.block(kind, group, number)
        if block is None:
            following = self._behind_missing(kind, group, number, end)
            damaged = (kind, group, number) in self._bad and following != at
            return RowsPart(None, following, damaged=int(damaged))
        capacity = block.header.capacity
        stop = min(capacity if number < end[0] else end[1], index + limit)
        following = (number + 1, 0) if number < end[0] and stop >= capacity else (number, max(index, stop))
        if stop <= index:
            return RowsPart(None, following)
        rows, holes, wrong = block.rows(index, stop)
        return RowsPart(rows, following, tuple((group, number, hole) for hole in holes), wrong)

    def _behind_missing(self, kind: int, group: int, number: int, end: Place) -> Place:
        later = [each for each in self.numbers(kind, group) if each > number]
        if later:
            return min(later), 0
        return (number + 1, 0) if number < end[0] or end[1] else (number, 0)

    def take_holes(self, holes: Iterable[Hole], *, limit: int) -> tuple[list[Rows], tuple[Hole, ...], int]:
        """Return the rows that were committed since they were holes, the holes that are left, and how many rows were
        damaged. Behind `limit` items no more holes are looked at."""
        found: list[Rows] = []
        left: list[Hole] = []
        damaged = taken = 0
        for group, number, index in holes:
            if taken >= limit:
                left.append((group, number, index))
                continue
            block = self.block(fmt.GROUP if group else fmt.ROWS, group, number)
            rows, still, wrong = block.rows(index, index + 1) if block is not None else (None, [index], 0)
            damaged += wrong
            if rows is not None:
                found.append(rows)
                taken += rows.items
            elif still:
                left.append((group, number, index))
        return found, tuple(left), damaged

    # --- journal ---

    def take_journal(self, at: Place, limit: int, *, final: bool = False, stop: Place | None = None) -> JournalPart:
        """Return entries from a place on: at least one, and not more than `limit` bytes of several.

        final: the writer is gone. stop: go no further than this place.
        """
        entries: list[bytes] = []
        damaged = taken = too_large = 0
        while stop is None or at < stop:
            number, offset = at
            block = self.block(fmt.JOURNAL, 0, number)
            if block is None:
                later = [each for each in self.numbers(fmt.JOURNAL) if each > number]
                bad = (fmt.JOURNAL, 0, number) in self._bad
                if not later and not (bad and final):
                    break
                damaged += bad
                at = min(later, default=number + 1), 0
                continue
            found, body, following = block.next_frame(offset)
            if found == DAMAGED and not final and not self._stays_damaged(at):
                break
            if found == OPEN and final and number + 1 in self.numbers(fmt.JOURNAL):
                found = END  # killed between making a block and saying so in the one before
            if found == OPEN:
                break
            if found == END:
                if number + 1 not in self.numbers(fmt.JOURNAL):
                    self._listed = ()
                    self.refresh()
                    if number + 1 not in self.numbers(fmt.JOURNAL):
                        break
                at = number + 1, 0
                continue
            if found == FRAME and len(body) > MAX_ENTRY_BYTES:
                too_large += 1
            elif found == FRAME:
                if entries and taken + len(body) > limit:
                    return JournalPart(entries, at, damaged, more=True, too_large=too_large)
                entries.append(body)
                taken += len(body)
            damaged += found == DAMAGED
            at = number, following
        return JournalPart(entries, at, damaged, more=False, too_large=too_large)

    def _stays_damaged(self, at: Place) -> bool:
        where, since = self._suspect
        if where == at and since:
            return monotonic() - since > SUSPECT_S
        self._suspect = at, monotonic()
        return False


def _map_header(path: Path) -> mmap.mmap:
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return mmap.mmap(file, fmt.HEADER_BYTES)
    finally:
        os.close(file)


def _changed_ns(folder: Path) -> int:
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
