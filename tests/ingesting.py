"""Admission and writer on a real log in a folder, on a running event loop, for the time of one test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import xxhash
from breakable_files import BreakableFiles
from log_writing import ALL, BEGINNING

from contexta_daemon.ingest.admission import Admission
from contexta_daemon.ingest.internal import InternalSession
from contexta_daemon.ingest.writer import Writer
from contexta_daemon.log import Log

NOW_NS = 2_000_000


class HeldFiles(BreakableFiles):
    """Syncs wait while `hold` is set, as on a disk that is slow."""

    def __init__(self) -> None:
        super().__init__()
        self.broken: OSError | None = None
        self.hold: Any = None

    def sync(self, fd: int) -> None:
        if self.hold is not None:
            self.hold.wait(10)
        super().sync(fd)

    def write(self, fd: int, chunks: Any) -> int:
        if self.broken is not None:
            raise self.broken
        return super().write(fd, chunks)


class Ingest:
    """Everything between a request and the disk."""

    def __init__(self, folder: Path, *, limit_bytes: int = 1 << 20, early_wait_s: float = 5.0, **writer: Any) -> None:
        self.files = HeldFiles()
        self.log = Log(folder / "log", files=self.files, clock_ns=lambda: NOW_NS)
        self.committed = 0
        self.writer = Writer(self.log, on_committed=self._note, **writer)
        self.admission = Admission(
            self.log.sessions,
            self.writer,
            limit_bytes=limit_bytes,
            clock_ns=lambda: NOW_NS,
            early_wait_s=early_wait_s,
        )
        self.internal = InternalSession(self.log, self.writer, clock_ns=lambda: NOW_NS)

    def _note(self) -> None:
        self.committed += 1

    async def append(self, session_id: bytes, first: int, count: int, body: bytes = b"body", **more: Any) -> int:
        given = {"checksum": xxhash.xxh3_64_intdigest(body), "cursor": b"", **more}
        return await self.admission.append(session_id, first_sequence=first, count=count, body=body, **given)

    async def writable(self) -> None:
        """Return when the writer has found that the disk works again, which it tries by the clock."""
        while self.writer.problem:  # noqa: ASYNC110
            await anyio.sleep(0.01)

    def bodies(self) -> list[bytes]:
        return [batch.body for batch in self.log.read(BEGINNING, limit_bytes=ALL)]


def ingesting(folder: Path, play: Callable[[Ingest], Awaitable[None]], **settings: Any) -> None:
    """Run a scene on an ingest, then stop the writer in order."""

    async def main() -> None:
        ingest = Ingest(folder, **settings)
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ingest.writer.run)
                await anyio.wait_all_tasks_blocked()
                await play(ingest)
                ingest.writer.stop()

    anyio.run(main)
