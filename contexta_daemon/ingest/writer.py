"""The one writer: takes all that is pending, packs it in threads, writes once, syncs once, and then acknowledges."""

from __future__ import annotations

import errno
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable

import anyio
import anyio.abc
import anyio.to_thread

from contexta_daemon.log import Envelope, Log, LogError, LogIOError, PackedBody, pack_body
from contexta_daemon.log.directory import is_full

from .refusals import DrainingError, RefusedError, StorageFailedError, StorageFullError

_log = logging.getLogger("contexta.writer")

GROUP_BYTES = 16 << 20
GROUP_ITEMS = 2_000
PACK_IN_WRITER_BYTES = 32 << 10  # below this a hop to another thread costs more than packing
PROBE_S = 0.5
SYNC_INTERVAL_S = 1.0


class Pending:
    """An append or the closing of a session on its way to the disk. `done` is set once it is durable or refused."""

    __slots__ = ("body", "body_bytes", "done", "envelope", "error", "on_done", "packed", "ready", "session_id")

    def __init__(self, session_id: bytes, envelope: Envelope | None, body: bytes) -> None:
        self.session_id = session_id
        self.envelope = envelope  # None: close the session
        self.body = body
        self.body_bytes = len(body)
        self.packed: PackedBody | None = None
        self.ready: anyio.Event | None = None
        self.done = anyio.Event()
        self.error: RefusedError | None = None
        self.on_done: Callable[[Pending], None] | None = None

    async def wait(self) -> None:
        """Return once durable; raise the RefusedError otherwise."""
        await self.done.wait()
        if self.error is not None:
            raise self.error


class Writer:
    """Group commit. When the disk refuses, everything pending is refused (senders keep it), `problem` says so, and the
    disk is tried again every half second; nothing is taken until it works again."""

    def __init__(
        self,
        log: Log,
        *,
        durability: str = "fsync",
        compression_level: int = 1,
        on_committed: Callable[[], None] = lambda: None,
        is_ours: Callable[[], bool] = lambda: True,
    ) -> None:
        """`is_ours` tells, in a thread, whether the workspace is still this daemon's: when it was deleted or moved
        away, what was written counts for nobody, and is not acknowledged."""
        self._log = log
        self._durability = durability
        self._level = compression_level
        self._on_committed = on_committed
        self._is_ours = is_ours
        self._queue: deque[Pending] = deque()
        self._arrived = anyio.Event()
        self._log_lock = anyio.Lock()
        self._packers = anyio.CapacityLimiter(2)
        self._thread = anyio.CapacityLimiter(1)
        self._tasks: anyio.abc.TaskGroup | None = None
        self._refusal: type[RefusedError] = StorageFailedError
        self._stopping = False
        self.problem = ""
        self.items = 0
        self.last_append_ns = 0

    def submit(self, pending: Pending) -> None:
        """Queue for the next group, behind everything queued before. Called on the event loop."""
        if self.problem or self._stopping or self._tasks is None:
            raise self.refusal()
        if pending.body_bytes >= PACK_IN_WRITER_BYTES:
            pending.ready = anyio.Event()
            self._tasks.start_soon(self._pack, pending)
        self._queue.append(pending)
        self._arrived.set()

    def refusal(self) -> RefusedError:
        """What to answer while nothing can be written."""
        if self.problem:
            return self._refusal(self.problem, retry_after_ms=int(PROBE_S * 1000))
        return DrainingError("the daemon is ending", retry_after_ms=1000)

    async def run(self) -> None:
        """Write until `stop`; then write what is left, seal the log and return. However it ends, nobody waits on."""
        try:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                if self._durability == "interval":
                    tasks.start_soon(self._sync_now_and_then)
                while not (self._stopping and not self._queue):
                    if self.problem:
                        await self._probe()
                    elif self._queue:
                        await self._commit(await self._take())
                    else:
                        self._arrived = anyio.Event()
                        await self._arrived.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._stopping = True
            self._refuse_all(())
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._log.close, limiter=self._thread)

    def stop(self) -> None:
        """Take nothing more; `run` returns when the queue is written."""
        self._stopping = True
        self._arrived.set()

    async def _pack(self, pending: Pending) -> None:
        pending.packed = await anyio.to_thread.run_sync(
            lambda: pack_body(pending.body, level=self._level), limiter=self._packers
        )
        pending.body = b""
        assert pending.ready is not None
        pending.ready.set()

    async def _take(self) -> list[Pending]:
        """The next group: at least the first, and those behind it that are ready, up to the limits."""
        group: list[Pending] = []
        taken_bytes = 0
        while self._queue and len(group) < GROUP_ITEMS:
            pending = self._queue[0]
            if group and taken_bytes + pending.body_bytes > GROUP_BYTES:
                break
            if pending.ready is not None and not pending.ready.is_set():
                if group:
                    break
                await pending.ready.wait()
            group.append(self._queue.popleft())
            taken_bytes += pending.body_bytes
        return group

    async def _commit(self, group: list[Pending]) -> None:
        try:
            async with self._log_lock:
                await anyio.to_thread.run_sync(self._append, group, limiter=self._thread)
        except LogError as error:
            self._note_trouble(error, group)
            return
        except BaseException:  # whether it was written is not known: senders ask, and send what is missing again
            self._stopping = True
            self._refuse_all(group)
            raise
        self.last_append_ns = time.time_ns()
        self._on_committed()
        for pending in group:
            self.items += pending.envelope.count if pending.envelope else 0
            _finish(pending, None)

    def _append(self, group: list[Pending]) -> None:
        batches = []
        for pending in group:
            if pending.envelope is not None:
                if pending.packed is None:
                    pending.packed = pack_body(pending.body, level=self._level)
                batches.append((pending.envelope, pending.packed))
        closing = [pending.session_id for pending in group if pending.envelope is None]
        self._check_ours()
        self._log.append(batches, closing=closing, sync=self._durability == "fsync")
        self._check_ours()

    def _reopen(self) -> None:
        self._check_ours()
        self._log.probe()

    def _check_ours(self) -> None:
        if not self._is_ours():
            raise LogIOError("the workspace was deleted or moved away", errno=errno.ESTALE)

    def _note_trouble(self, error: LogError, group: list[Pending]) -> None:
        full = isinstance(error, LogIOError) and is_full(OSError(error.errno, ""))
        self._refusal = StorageFullError if full else StorageFailedError
        what = "there is no room on the disk" if full else "the disk refuses to write"
        self.problem = f"{what} ({self._log.path}): {error}"
        _log.error("%s; senders keep what they have, the disk is tried again every %.1f s", self.problem, PROBE_S)
        self._refuse_all(group)

    def _refuse_all(self, taken: Iterable[Pending]) -> None:
        """Refuse what was taken from the queue, and what stands in it."""
        refused = [*taken, *self._queue]
        self._queue.clear()
        for pending in refused:
            _finish(pending, self.refusal())

    async def _probe(self) -> None:
        """Wait a little and find out whether the disk takes a new segment."""
        self._arrived = anyio.Event()
        with anyio.move_on_after(0 if self._stopping else PROBE_S):
            await self._arrived.wait()
        if self._stopping:
            return
        try:
            async with self._log_lock:
                await anyio.to_thread.run_sync(self._reopen, limiter=self._thread)
        except LogError as error:
            _log.debug("still no writing: %s", error)
            return
        self.problem = ""
        _log.info("the disk can be written again")

    async def _sync_now_and_then(self) -> None:
        while True:
            await anyio.sleep(SYNC_INTERVAL_S)
            try:
                async with self._log_lock:
                    await anyio.to_thread.run_sync(self._log.sync, limiter=self._thread)
            except LogError as error:
                _log.error("what was written in the last second may not survive a power loss: %s", error)


def _finish(pending: Pending, error: RefusedError | None) -> None:
    pending.error = error
    pending.body = b""
    pending.packed = None
    if pending.on_done is not None:
        pending.on_done(pending)
    pending.done.set()
