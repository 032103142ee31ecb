"""The one seam to the file system: everything the log does to a disk goes through a `Files`.

Besides `RealFiles` there are `tests/breakable_files.py`, which fails the Nth call, writes short, or stops the world
there, and `tests/forgetful_files.py`, which loses at a power loss whatever may be lost. Methods raise OSError and
nothing else.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

_MAX_CHUNKS = 512  # IOV_MAX is 1024 on Linux and macOS
_FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", None)


class Files(Protocol):
    def create(self, path: Path) -> int:
        """Make a new file (it must not exist), owner-only, opened for appending; return its descriptor."""

    def open(self, path: Path) -> int:
        """Open a file for reading."""

    def write(self, fd: int, chunks: Sequence[bytes | memoryview]) -> int:
        """Append some of the bytes, in order; return how many were taken, which may be fewer than given."""

    def sync(self, fd: int) -> None:
        """Return when the file's bytes and length survive a power loss."""

    def settle(self, path: Path) -> None:
        """Make durable what earlier processes wrote to a file, and show only what the disk has from then on: after a
        sync that failed, memory may show more, and another sync then returns without doing anything."""

    def pread(self, fd: int, count: int, offset: int) -> bytes:
        """Read up to `count` bytes; fewer only at the end of the file."""

    def size(self, fd: int) -> int: ...

    def truncate(self, path: Path, size: int) -> None:
        """Cut a file to `size` bytes. Not made durable: whoever cuts can cut again."""

    def close(self, fd: int) -> None: ...

    def unlink(self, path: Path) -> None: ...

    def rename(self, source: Path, target: Path) -> None: ...

    def listdir(self, path: Path) -> list[str]: ...

    def mkdir(self, path: Path) -> None:
        """Make a folder and its missing parents, owner-only; each durable in its parent. It may exist."""

    def sync_dir(self, path: Path) -> None:
        """Return when the names in this folder survive a power loss."""


class RealFiles:
    def create(self, path: Path) -> int:
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def open(self, path: Path) -> int:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def write(self, fd: int, chunks: Sequence[bytes | memoryview]) -> int:
        return os.writev(fd, chunks[:_MAX_CHUNKS])

    def sync(self, fd: int) -> None:
        if _FULL_SYNC is not None:  # on macOS fsync leaves the bytes in the drive's cache
            fcntl.fcntl(fd, _FULL_SYNC)
        elif sys.platform == "linux":
            os.fdatasync(fd)
        else:
            os.fsync(fd)

    def settle(self, path: Path) -> None:
        fd = self.open(path)
        try:
            self.sync(fd)
            if sys.platform == "linux":
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            self.close(fd)

    def pread(self, fd: int, count: int, offset: int) -> bytes:
        data = os.pread(fd, count, offset)
        if len(data) in (0, count):
            return data
        parts = [data]
        read = len(data)
        while read < count and (data := os.pread(fd, count - read, offset + read)):
            parts.append(data)
            read += len(data)
        return b"".join(parts)

    def size(self, fd: int) -> int:
        return os.fstat(fd).st_size

    def truncate(self, path: Path, size: int) -> None:
        os.truncate(path, size)

    def close(self, fd: int) -> None:
        os.close(fd)

    def unlink(self, path: Path) -> None:
        path.unlink()

    def rename(self, source: Path, target: Path) -> None:
        source.rename(target)

    def listdir(self, path: Path) -> list[str]:
        return [entry.name for entry in path.iterdir()]

    def mkdir(self, path: Path) -> None:
        if path.is_dir():
            return
        self.mkdir(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
        self.sync_dir(path.parent)

    def sync_dir(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def write_all(files: Files, fd: int, chunks: Sequence[bytes | memoryview]) -> None:
    """Append every byte, going on behind short writes."""
    rest = [chunk for chunk in chunks if len(chunk)]
    while rest:
        taken = files.write(fd, rest)
        if taken <= 0:
            raise OSError(5, "the file system took no bytes and gave no error")
        done = 0
        while done < len(rest) and taken >= len(rest[done]):
            taken -= len(rest[done])
            done += 1
        rest = rest[done:]
        if taken:
            rest[0] = memoryview(rest[0])[taken:]
