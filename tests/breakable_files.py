"""A file system that breaks where a test wants it, and that forgets at a power loss what was not synced."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Sequence
from pathlib import Path

from contexta_daemon.log.files import RealFiles


class Crash(BaseException):
    """The process is gone: nothing after this call happens. Not an Exception, so that nobody handles it."""


class BreakableFiles(RealFiles):
    """Counts calls in `calls`. The call of index `break_at` fails: with an errno, or `how="short"` (a write takes one
    byte), or `how="crash"` (a write takes a part, then and from then on every call raises Crash)."""

    def __init__(self, *, break_at: int = -1, how: int | str = 0, before: BreakableFiles | None = None) -> None:
        """`before`: the files of a process that was killed; the power may still take what it did not sync."""
        self.calls: list[str] = []
        self.break_at = break_at
        self.how = how
        self.crashed = False
        self.failed_syncs: set[Path] = set()
        self._paths: dict[int, Path] = {}
        self._synced_bytes: dict[Path, int] = dict(before._synced_bytes) if before else {}
        self._synced_names: set[Path] = set(before._synced_names) if before else set()

    def create(self, path: Path) -> int:
        self._call("create", path)
        fd = super().create(path)
        self._paths[fd] = path
        self._synced_bytes[path] = 0
        return fd

    def open(self, path: Path) -> int:
        self._call("open", path)
        fd = super().open(path)
        self._paths[fd] = path
        return fd

    def write(self, fd: int, chunks: Sequence[bytes | memoryview]) -> int:
        breaks = len(self.calls) == self.break_at
        if breaks and self.how == "short":
            self.calls.append("write")
            return super().write(fd, [bytes(chunks[0])[:1]])
        if breaks and self.how == "crash":
            data = b"".join(bytes(chunk) for chunk in chunks)
            super().write(fd, [data[: len(data) // 2]])
        self._call("write", self._paths[fd])
        return super().write(fd, chunks)

    def sync(self, fd: int) -> None:
        path = self._paths[fd]
        assert path not in self.failed_syncs, f"a failed sync was retried on {path}"
        try:
            self._call("sync", path)
        except OSError:
            self.failed_syncs.add(path)
            raise
        self._synced_bytes[path] = os.fstat(fd).st_size

    def settle(self, path: Path) -> None:
        self._call("settle", path)  # which may be tried again
        RealFiles().settle(path)
        self._synced_bytes[path] = path.stat().st_size

    def pread(self, fd: int, count: int, offset: int) -> bytes:
        self._call("pread", self._paths[fd])
        return super().pread(fd, count, offset)

    def size(self, fd: int) -> int:
        self._call("size", self._paths[fd])
        return super().size(fd)

    def truncate(self, path: Path, size: int) -> None:
        self._call("truncate", path)
        super().truncate(path, size)
        if path in self._synced_bytes:
            self._synced_bytes[path] = min(size, self._synced_bytes[path])

    def close(self, fd: int) -> None:
        path = self._paths.pop(fd)
        super().close(fd)  # the system closes it whatever it reports
        self._call("close", path)

    def unlink(self, path: Path) -> None:
        self._call("unlink", path)
        super().unlink(path)

    def rename(self, source: Path, target: Path) -> None:
        self._call("rename", source)
        super().rename(source, target)

    def listdir(self, path: Path) -> list[str]:
        self._call("listdir", path)
        return super().listdir(path)

    def mkdir(self, path: Path) -> None:
        self._call("mkdir", path)
        RealFiles().mkdir(path)

    def sync_dir(self, path: Path) -> None:
        self._call("sync_dir", path)
        self._synced_names |= {path / name for name in RealFiles().listdir(path)}

    def release(self) -> None:
        """Close what the crashed process had open, as the kernel does."""
        for fd in list(self._paths):
            with contextlib.suppress(OSError):
                os.close(fd)
        self._paths.clear()

    def lose_power(self, chance: random.Random) -> None:
        """Take back what no sync has made durable: names, and bytes (some may have arrived, some as zeros)."""
        self.release()
        for path, synced in self._synced_bytes.items():
            if not path.exists():
                continue
            if path not in self._synced_names:
                path.unlink()
                continue
            data = path.read_bytes()
            kept = chance.randint(synced, max(synced, len(data)))
            zeros = chance.choice((0, 0, len(data) - kept))
            path.write_bytes(data[:kept] + b"\0" * zeros)
        self._synced_bytes.clear()  # what is left now is on the disk

    def _call(self, name: str, path: Path) -> None:
        index = len(self.calls)
        self.calls.append(name)
        if self.crashed:
            raise Crash
        if index != self.break_at or self.how == "short":
            return
        if self.how == "crash":
            self.crashed = True
            raise Crash
        assert isinstance(self.how, int)
        raise OSError(self.how, os.strerror(self.how), str(path))
