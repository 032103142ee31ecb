"""Followers read the log behind the writer, each with its own durably stored position. They never delay an append."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import anyio
import anyio.to_thread

from contexta.errors import UnavailableError

from .log import Log, LoggedBatch, Position

_log = logging.getLogger("contexta.followers")

READ_BYTES = 4 << 20
FAST_BYTES = 256 << 10  # of log in LOOK_S: some 400,000 metrics a second and more
LOOK_S = 0.05
PATIENCE_S = 5.0
_FIRST_RETRY_S = 0.1
_LAST_RETRY_S = 5.0


class Follower(Protocol):
    """Something made from the log that can be made again from it (catalog, mirror, artifact hasher)."""

    name: str

    @property
    def position(self) -> Position:
        """Where to go on; stored durably by the follower, but for what leaves nothing behind."""

    def follow(self, batches: Sequence[LoggedBatch], end: Position) -> None:
        """Take batches in, and store `end` as the position, atomically with their effects.

        Called in a thread, never twice at once. `batches` may be empty: then only the position moves. When it raises,
        the same batches come again.
        """


class Runner:
    """Carries the log to each follower. A follower that fails is tried again with growing pauses; its `problem` says
    why, and the others go on.

    While metrics come in fast, those of `patient` wait, for a bounded time: what they do can be done afterwards, and
    the processors are better used to make durable what comes. Nobody who waits for one of them waits longer for it.
    """

    def __init__(
        self,
        log: Log,
        followers: Sequence[Follower],
        *,
        patient: Collection[str] = (),
        threads: int = 2,
        is_ours: Callable[[], bool] = lambda: True,
    ) -> None:
        """`is_ours` tells, in a thread, whether the workspace is still this daemon's: if not, nothing is followed."""
        self._patient = frozenset(patient)
        self._patient_until: dict[str, float] = {}  # of those that wait, or have waited since they last had everything
        self._waiting = {follower.name: 0 for follower in followers}  # callers that wait for it
        self._wanted = {follower.name: anyio.Event() for follower in followers}  # set when one begins to
        self._log = log
        self._is_ours = is_ours
        self._followers = {follower.name: follower for follower in followers}
        self._applied = {follower.name: follower.position for follower in followers}
        self._problems: dict[str, str] = {}
        self._called: set[str] = set()  # to follow though there may be nothing new
        self._moved = anyio.Event()
        self._progress = anyio.Event()
        self._limiter = anyio.CapacityLimiter(max(threads, len(followers)))

    @property
    def names(self) -> list[str]:
        return list(self._followers)

    def applied(self, name: str) -> Position:
        """How far a follower has come."""
        return self._applied[name]

    def problem(self, name: str) -> str:
        """What keeps a follower from going on, for people; empty: nothing."""
        return self._problems.get(name, "")

    def lag_bytes(self, name: str) -> int:
        """Bytes of committed log that a follower has not taken in."""
        return self._log.bytes_from(self._applied[name])

    def committed_moved(self) -> None:
        """Tell that `log.committed` is further than before. Called on the event loop."""
        moved, self._moved = self._moved, anyio.Event()
        moved.set()

    def call(self, name: str) -> None:
        """Have a follower follow though there may be nothing new: one that failed by itself begins anew by it."""
        self._called.add(name)
        self.committed_moved()

    async def wait_applied(self, name: str, position: Position, timeout_s: float) -> bool:
        """Wait until a follower has applied everything before `position`; False when the time is over."""
        self._waiting[name] += 1
        self._wanted[name].set()
        try:
            with anyio.move_on_after(timeout_s):
                while self._applied[name] < position:
                    await self._progress.wait()
        finally:
            self._waiting[name] -= 1
        return self._applied[name] >= position

    async def wait_moved(self, name: str, position: Position) -> None:
        """Wait until a follower has applied more than everything before `position`."""
        while self._applied[name] <= position:
            await self._progress.wait()

    async def run(self) -> None:
        """Follow until cancelled."""
        async with anyio.create_task_group() as tasks:
            for follower in self._followers.values():
                tasks.start_soon(self._follow, follower)

    async def _follow(self, follower: Follower) -> None:
        retry_s = _FIRST_RETRY_S
        while True:
            moved = self._moved  # taken before the look, so that no move between is missed
            if follower.name in self._patient:
                await self._let_pass(follower.name)
            try:
                at_end = await self._step(follower)
            except Exception as error:
                _note_failure(follower.name, error, self._problems)
                self._applied[follower.name] = follower.position  # it may have had to begin anew
                await anyio.sleep(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
                continue
            retry_s = _FIRST_RETRY_S
            if self._problems.pop(follower.name, None):
                _log.info("%s goes on", follower.name)
            if at_end:
                self._patient_until.pop(follower.name, None)
                await moved.wait()

    async def _let_pass(self, name: str) -> None:
        """Wait while the log grows fast, until somebody wants this follower, or it has waited long enough."""
        lag = self.lag_bytes(name)
        if lag < FAST_BYTES or self._waiting[name]:
            return
        until = self._patient_until.setdefault(name, anyio.current_time() + PATIENCE_S)
        while anyio.current_time() < until:
            wanted = self._wanted[name] = anyio.Event()
            with anyio.move_on_after(LOOK_S):
                await wanted.wait()
                return
            lag, before = self.lag_bytes(name), lag
            if lag - before < FAST_BYTES:
                return

    async def _step(self, follower: Follower) -> bool:
        """Carry the next few megabytes; True when the follower has everything that was committed."""
        start, committed = self._applied[follower.name], self._log.committed
        called = follower.name in self._called
        self._called.discard(follower.name)
        if start >= committed and not called:
            return True

        def read_and_follow() -> Position:
            if not self._is_ours():
                raise UnavailableError("the workspace was deleted or moved away")
            batches, end = self._log.read_some(start, limit_bytes=READ_BYTES)
            follower.follow(batches, end)
            return end

        end = await anyio.to_thread.run_sync(read_and_follow, limiter=self._limiter)
        self._applied[follower.name] = end
        progress, self._progress = self._progress, anyio.Event()
        progress.set()
        return False


def _note_failure(name: str, error: Exception, problems: dict[str, str]) -> None:
    text = f"{type(error).__name__}: {error}"
    if problems.get(name) != text:  # once, not at every retry
        _log.error("%s cannot go on: %s", name, text, exc_info=error)
    problems[name] = text
