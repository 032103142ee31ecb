"""What the daemon itself has to say (hashes of artifacts) goes into the log too, in a session of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence

import anyio

from contexta._version import __version__
from contexta.v1 import capture_pb2
from contexta_daemon.log import MAX_BODY_BYTES, Envelope, Log

from .writer import Pending, Writer

# The first half of such a session's id: the next daemon closes what an earlier one could not close.
ID_PREFIX = b"contexta"


class InternalSession:
    """One session for the life of the daemon, begun when there is something to say."""

    def __init__(self, log: Log, writer: Writer, *, clock_ns: Callable[[], int]) -> None:
        self.session_id = ID_PREFIX + os.urandom(8)
        self._log = log
        self._writer = writer
        self._clock_ns = clock_ns
        self._next_sequence = 0
        self._lock = anyio.Lock()

    async def append_internal(self, entries: Sequence[capture_pb2.Entry]) -> None:
        """Return once the entries are durable. Raises a RefusedError when the disk does not take them: try again."""
        async with self._lock:
            if self._next_sequence == 0:
                await self._close_left_behind()
                entries = [self._opened(), *entries]
            await self._append(entries)

    async def close(self) -> None:
        """End the session, if it was begun."""
        async with self._lock:
            if self._next_sequence:
                await self._append([self._entry(session_ended=capture_pb2.SessionEnded())])
                await self._submit(Pending(self.session_id, None, b""))

    async def _append(self, entries: Sequence[capture_pb2.Entry]) -> None:
        body = capture_pb2.Batch(entries=entries).SerializeToString()
        if len(body) > MAX_BODY_BYTES and len(entries) > 1:
            for half in (entries[: len(entries) // 2], entries[len(entries) // 2 :]):
                await self._append(half)
            return
        envelope = Envelope(self.session_id, self._next_sequence, len(entries), b"", self._clock_ns())
        await self._submit(Pending(self.session_id, envelope, body))
        self._next_sequence += len(entries)

    async def _submit(self, pending: Pending) -> None:
        # Shielded: a cancelled caller must not leave the sequence behind what the log holds.
        with anyio.CancelScope(shield=True):
            self._writer.submit(pending)
            await pending.wait()

    async def _close_left_behind(self) -> None:
        for session_id, state in self._log.sessions.items():
            if session_id.startswith(ID_PREFIX) and not state.closed:
                await self._submit(Pending(session_id, None, b""))

    def _opened(self) -> capture_pb2.Entry:
        opened = capture_pb2.SessionOpened(host=socket.gethostname(), pid=os.getpid(), client_version=__version__)
        return self._entry(session_opened=opened)

    def _entry(
        self,
        *,
        session_opened: capture_pb2.SessionOpened | None = None,
        session_ended: capture_pb2.SessionEnded | None = None,
    ) -> capture_pb2.Entry:
        now_ns = self._clock_ns()
        return capture_pb2.Entry(time_ns=now_ns, session_opened=session_opened, session_ended=session_ended)
