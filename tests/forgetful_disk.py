"""A disk in memory that forgets at a power loss what no sync made durable, in every way that a file system may.

What is assumed, as by every database: a sector of 512 or 4096 bytes is written whole or not, except that it may be torn
where old and new bytes differ; writing a sector never harms the bytes in it that stay the same; a rename is one step.
All else may happen: sectors of unsynced writes arrive in any order, the length without the bytes (zeros, or what the
blocks held before), names of a folder that was not synced come and go one by one. After a failed sync the pages count
as clean: memory still shows what the disk does not have, and no later sync writes it.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path


class Crash(BaseException):
    """The process is gone: nothing after this call happens. Not an Exception, so that nobody handles it."""


@dataclass(eq=False)
class File:
    """`data` is what readers see, `disk` what is durable; `versions` what each sector may be on the disk by now."""

    data: bytearray = field(default_factory=bytearray)
    disk: bytes = b""
    versions: dict[int, list[bytes]] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)


@dataclass(eq=False)
class Folder:
    """`names` is what readers see, `disk` what is durable, `changes` what lies between, in order."""

    names: dict[str, Node] = field(default_factory=dict)
    disk: dict[str, Node] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)


Node = File | Folder


@dataclass(eq=False)
class Change:
    """One step that puts names into folders (a node) or takes them out (None)."""

    entries: list[tuple[Folder, str, Node | None]]


class Disk:
    """Files and folders below a root that is durable. Sectors of `sector` bytes."""

    def __init__(self, sector: int = 512) -> None:
        self.sector = sector
        self.root = Folder()

    # --- what a file system does ---

    def node(self, path: Path) -> Node:
        """Raises FileNotFoundError."""
        found: Node = self.root
        for name in path.parts[1:]:
            if not isinstance(found, Folder) or name not in found.names:
                raise FileNotFoundError(2, os.strerror(2), str(path))
            found = found.names[name]
        return found

    def file(self, path: Path) -> File:
        found = self.node(path)
        if isinstance(found, Folder):
            raise IsADirectoryError(21, os.strerror(21), str(path))
        return found

    def folder(self, path: Path) -> Folder:
        found = self.node(path)
        if isinstance(found, File):
            raise NotADirectoryError(20, os.strerror(20), str(path))
        return found

    def change(self, *entries: tuple[Folder, str, Node | None]) -> None:
        """Change names in one step, which a power loss takes back or not."""
        change = Change(list(entries))
        for folder, name, node in entries:
            if node is None:
                del folder.names[name]
            else:
                folder.names[name] = node
            if change not in folder.changes:
                folder.changes.append(change)

    def append(self, file: File, data: bytes) -> None:
        start = len(file.data)
        file.data += data
        self._touched(file, start, len(file.data))

    def truncate(self, file: File, size: int) -> None:
        start = min(size, len(file.data))
        file.data[:] = file.data[:size].ljust(size, b"\0")
        self._touched(file, start, max(start + 1, size))

    def sync(self, file: File) -> None:
        """Make durable what is dirty. What an earlier failed sync left undone is not dirty any more."""
        size = len(file.data) if file.sizes else len(file.disk)
        disk = bytearray(file.disk[:size].ljust(size, b"\0"))
        for index in file.versions:
            _put(disk, index * self.sector, self._sector(file, index))
        file.disk = bytes(disk)
        file.versions.clear()
        file.sizes.clear()

    def fail_sync(self, file: File, chance: random.Random) -> None:
        """Lose some of what is dirty; memory keeps showing it, until it is read from the disk again."""
        file.disk = Loss(chance, self.sector, []).content(file)
        file.versions.clear()
        file.sizes.clear()

    def read_anew(self, file: File) -> None:
        """Forget what memory shows of pages that are not dirty."""
        if not file.sizes:
            file.data[:] = file.disk

    def sync_folder(self, folder: Folder) -> None:
        for change in list(folder.changes):
            for other, name, node in change.entries:
                _apply(other.disk, name, node)
                if change in other.changes:
                    other.changes.remove(change)

    def _touched(self, file: File, start: int, end: int) -> None:
        file.sizes.append(len(file.data))
        for index in range(start // self.sector, -(-end // self.sector)):
            file.versions.setdefault(index, []).append(self._sector(file, index))

    def _sector(self, file: File, index: int) -> bytes:
        return bytes(file.data[index * self.sector : (index + 1) * self.sector])

    # --- what a power loss leaves ---

    def after_power_loss(self, chance: random.Random) -> Disk:
        """Return one of the disks that may be found afterwards. This one stays as it is."""
        lost = Disk(self.sector)
        stale = [bytes(file.data) for file in _files(self.root)]
        loss = Loss(chance, self.sector, stale)
        lost.root = loss.folder(self.root)
        return lost

    def copy(self) -> Disk:
        """Return the same disk with all of it durable, as a machine that went down in order leaves it."""
        same = Disk(self.sector)
        same.root = _settled(self.root)
        return same


class Loss:
    """One power loss: how each thing that is not durable fares."""

    def __init__(self, chance: random.Random, sector: int, stale: Sequence[bytes]) -> None:
        self.chance = chance
        self.sector = sector
        self.stale = stale  # what blocks may have held before
        self._made: dict[int, Node] = {}
        self._kept: dict[int, bool] = {}
        self._name_rate = chance.choice((0.0, 0.5, 1.0))

    def folder(self, folder: Folder) -> Folder:
        names = dict(folder.disk)
        for change in folder.changes:
            if self._keeps(change):
                for other, name, node in change.entries:
                    if other is folder:
                        _apply(names, name, node)
        left = Folder(names={name: self._node(node) for name, node in names.items()})
        left.disk = dict(left.names)
        return left

    def content(self, file: File) -> bytes:
        """Return what a file holds: all of the dirty sectors, none, those up to some, or any."""
        size = self.chance.choice([len(file.disk), len(file.data), *file.sizes])
        if file.sizes and self.chance.random() < 0.3:  # the length of a write in pieces
            low, high = min(len(file.disk), size), max(len(file.disk), size)
            size = self.chance.randint(low, high)
        left = bytearray(self._before(file, size))
        rate, upto = self.chance.choice((0.0, 0.1, 0.5, 0.9, 1.0)), self.chance.random()
        in_order = self.chance.random() < 0.4
        for place, index in enumerate(sorted(file.versions)):
            arrived = place < upto * (len(file.versions) + 1) if in_order else self.chance.random() < rate
            if arrived:
                _put(left, index * self.sector, self._version(file, index, left))
        return bytes(left[:size])

    def _before(self, file: File, size: int) -> bytes:
        """The durable bytes; behind them zeros, or what lay there."""
        more = size - len(file.disk)
        if more <= 0:
            return file.disk[:size]
        fill = bytes(more)
        if self.stale and self.chance.random() < 0.25:
            other = self.chance.choice(self.stale)[len(file.disk) :]
            fill = (other + self.chance.randbytes(more))[:more]
        # Blocks that never arrived begin with a sector: the rest of the last durable one was zeros.
        gap = min(more, -len(file.disk) % self.sector)
        return file.disk + bytes(gap) + fill[gap:]

    def _version(self, file: File, index: int, left: bytearray) -> bytes:
        version = self.chance.choice(file.versions[index]).ljust(self.sector, b"\0")
        if self.chance.random() < 0.1:  # torn
            at = index * self.sector
            old = bytes(left[at : at + self.sector]).ljust(self.sector, b"\0")
            cut = self.chance.randrange(self.sector + 1)
            version = version[:cut] + old[cut:]
        return version

    def _keeps(self, change: Change) -> bool:
        if id(change) not in self._kept:
            self._kept[id(change)] = self.chance.random() < self._name_rate
        return self._kept[id(change)]

    def _node(self, node: Node) -> Node:
        if id(node) not in self._made:
            if isinstance(node, Folder):
                self._made[id(node)] = self.folder(node)
            else:
                content = self.content(node)
                self._made[id(node)] = File(bytearray(content), content)
        return self._made[id(node)]


def _apply(names: dict[str, Node], name: str, node: Node | None) -> None:
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def _put(data: bytearray, at: int, sector: bytes) -> None:
    """Write a sector into a file's bytes, as far as the file goes."""
    part = sector[: max(0, len(data) - at)]
    data[at : at + len(part)] = part


def _files(folder: Folder) -> Iterator[File]:
    for node in folder.names.values():
        if isinstance(node, Folder):
            yield from _files(node)
        else:
            yield node


def _settled(folder: Folder) -> Folder:
    same = Folder()
    for name, node in folder.names.items():
        same.names[name] = _settled(node) if isinstance(node, Folder) else File(bytearray(node.data), bytes(node.data))
    same.disk = dict(same.names)
    return same
