"""Hashes what was registered and is not hashed yet, and says in the log what came of it."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import anyio
import anyio.to_thread

from contexta.errors import ContextaError
from contexta.v1 import capture_pb2
from contexta_daemon.catalog import Catalog, PendingArtifact

from .hashing import Fingerprint, Hashed, HashingEndedError, hash_artifact

_log = logging.getLogger(__name__)

THREADS = 2
AT_ONCE = 64  # results said in one append
RETRY_S = 1.0
MAX_DETAIL_CHARS = 2_000  # it names the path, which may be longer than any that a system opens


class Hasher:
    """Always: a registered file is pending in the catalog until its result stands in the log, so a hash that a crash
    cut off is computed again. `open` counts what is pending."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        append: Callable[[Sequence[capture_pb2.Entry]], Awaitable[None]],
        watch_catalog: Callable[[], Callable[[], Awaitable[None]]],
        catalog_caught_up: Callable[[], Awaitable[None]],
        store: Path | None,
    ) -> None:
        """append: makes entries durable. watch_catalog: returns what waits until the catalog has applied more than it
        has now; catalog_caught_up: waits until it has all that is committed. store: the objects' folder when copies
        are kept."""
        self._catalog = catalog
        self._append = append
        self._watch_catalog = watch_catalog
        self._catalog_caught_up = catalog_caught_up
        self._store = store
        self._limiter = anyio.CapacityLimiter(THREADS)
        self._ending = threading.Event()
        self.open = 0

    def end(self) -> None:
        """Leave what is being hashed for the next daemon: reading it to its end may take minutes. `run` is cancelled
        right behind it."""
        self._ending.set()

    async def run(self) -> None:
        """Hash until cancelled."""
        while True:
            try:
                # Also at the beginning, and after an append of which nothing is known: what the log says already,
                # and the catalog does not know yet, would be said twice.
                await self._catalog_caught_up()
                moved = self._watch_catalog()
                pending = await anyio.to_thread.run_sync(self._catalog.pending_artifacts, limiter=self._limiter)
                self.open = len(pending)
                if not pending:
                    await moved()
                    continue
                await self._append(await self._hash(pending[:AT_ONCE]))
            except (ContextaError, OSError, sqlite3.Error) as error:
                _log.error("hashing pauses: %s", error)
                await anyio.sleep(RETRY_S)

    async def _hash(self, pending: Sequence[PendingArtifact]) -> list[capture_pb2.Entry]:
        results: list[Hashed] = [Hashed()] * len(pending)

        async def hash_one(place: int, artifact: PendingArtifact) -> None:
            registered = Fingerprint(artifact.size_bytes, artifact.modified_ns, artifact.inode)
            try:
                results[place] = await anyio.to_thread.run_sync(
                    lambda: hash_artifact(Path(artifact.path), registered, store=self._store, ending=self._ending),
                    limiter=self._limiter,
                )
            except HashingEndedError:
                await anyio.sleep_forever()  # until cancelled: there is no result to tell

        async with anyio.create_task_group() as tasks:
            for place, artifact in enumerate(pending):
                tasks.start_soon(hash_one, place, artifact)
        return [_entry(artifact, hashed) for artifact, hashed in zip(pending, results, strict=True)]


def _entry(artifact: PendingArtifact, hashed: Hashed) -> capture_pb2.Entry:
    said = capture_pb2.ArtifactHashed(
        ref=artifact.ref,
        session_id=artifact.session_id,
        scope_id=artifact.scope_id,
        hash_value=hashed.hash_value,
        size_bytes=hashed.size_bytes,
        problem=hashed.problem,
        detail=hashed.detail[:MAX_DETAIL_CHARS],
        stored_path=hashed.stored_path,
    )
    return capture_pb2.Entry(time_ns=time.time_ns(), artifact_hashed=said)
