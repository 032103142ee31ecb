"""One process's `Files` on a `Disk` in memory: killed, or refused by the disk, at a call of its life."""

from __future__ import annotations

import contextlib
import errno
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from forgetful_disk import Crash, Disk, File, Folder

ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE)


class ForgetfulFiles:
    """Calls of a process. It dies at the call of index `dies_at`; any call fails with a chance of `failing`,
    a sync five times as often."""

    def __init__(self, disk: Disk, chance: random.Random, *, dies_at: int = -1, failing: float = 0.0) -> None:
        self.disk = disk
        self.chance = chance
        self.dies_at = dies_at
        self.failing = failing
        self.calls = self.failed_syncs = 0
        self._open: dict[int, File] = {}
        self._next_fd = 3
        self._never_again: set[File] = set()  # their sync failed

    def create(self, path: Path) -> int:
        self._call()
        folder = self.disk.folder(path.parent)
        if path.name in folder.names:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
        file = File()
        self.disk.change((folder, path.name, file))
        return self._opened(file)

    def open(self, path: Path) -> int:
        self._call()
        return self._opened(self.disk.file(path))

    def write(self, fd: int, chunks: Sequence[bytes | memoryview]) -> int:
        data = b"".join(bytes(chunk) for chunk in chunks)
        file = self._open[fd]
        try:
            self._call()
        except BaseException:
            if self.chance.random() < 0.5:  # a part of it was taken before
                self.disk.append(file, data[: self.chance.randrange(len(data) + 1)])
            raise
        taken = len(data)
        if self.failing and self.chance.random() < self.failing:
            taken = self.chance.randint(1, taken)
        self.disk.append(file, data[:taken])
        return taken

    def sync(self, fd: int) -> None:
        file = self._open[fd]
        assert file not in self._never_again, "a failed sync was tried again on the same file"
        self._sync(file)

    def settle(self, path: Path) -> None:
        file = self.disk.file(path)
        self._sync(file)
        self.disk.read_anew(file)  # so that it may be tried again

    def pread(self, fd: int, count: int, offset: int) -> bytes:
        self._call()
        return bytes(self._open[fd].data[offset : offset + count])

    def size(self, fd: int) -> int:
        self._call()
        return len(self._open[fd].data)

    def truncate(self, path: Path, size: int) -> None:
        self._call()
        self.disk.truncate(self.disk.file(path), size)

    def close(self, fd: int) -> None:
        del self._open[fd]  # the system closes it whatever it reports
        self._call()

    def unlink(self, path: Path) -> None:
        self._call()
        self.disk.file(path)
        self.disk.change((self.disk.folder(path.parent), path.name, None))

    def rename(self, source: Path, target: Path) -> None:
        self._call()
        node = self.disk.node(source)
        self.disk.change(
            (self.disk.folder(source.parent), source.name, None),
            (self.disk.folder(target.parent), target.name, node),
        )

    def listdir(self, path: Path) -> list[str]:
        self._call()
        return list(self.disk.folder(path).names)

    def mkdir(self, path: Path) -> None:
        """As RealFiles does: the folder and its missing parents, each synced in its parent."""
        try:
            self.disk.folder(path)
        except FileNotFoundError:
            self.mkdir(path.parent)
            self._call()
            self.disk.change((self.disk.folder(path.parent), path.name, Folder()))
            self.sync_dir(path.parent)

    def sync_dir(self, path: Path) -> None:
        self._call()
        self.disk.sync_folder(self.disk.folder(path))

    @contextlib.contextmanager
    def undisturbed(self) -> Iterator[None]:
        """Within, nothing dies, fails, or is counted."""
        before = self.calls, self.dies_at, self.failing
        self.dies_at, self.failing = -1, 0.0
        try:
            yield
        finally:
            self.calls, self.dies_at, self.failing = before

    def _sync(self, file: File) -> None:
        try:
            self._call(5 * self.failing)
        except OSError:
            self.failed_syncs += 1
            self._never_again.add(file)
            self.disk.fail_sync(file, self.chance)
            raise
        self.disk.sync(file)

    def _opened(self, file: File) -> int:
        self._next_fd += 1
        self._open[self._next_fd] = file
        return self._next_fd

    def _call(self, failing: float | None = None) -> None:
        index = self.calls
        self.calls += 1
        if 0 <= self.dies_at <= index:
            raise Crash
        if self.chance.random() < (self.failing if failing is None else failing):
            number = self.chance.choice(ERRORS)
            raise OSError(number, os.strerror(number))
