"""The sender's loop: one look after another at every spool of a workspace, and at what came back from the daemon.

Nothing in it blocks longer than a nap, so that the heartbeat in every header stays fresh.
"""

from __future__ import annotations

import logging
import os
import select
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic, monotonic_ns
from typing import Any

import grpc

from contexta.v1 import capture_pb2
from contexta_client.capture import spool_format as fmt
from contexta_client.capture import spool_place

from .channel import failure_of
from .daemon_link import DaemonLink
from .endings import Endings
from .room import Room
from .session import Session
from .spill import Spill
from .spools import Spools

_log = logging.getLogger("contexta.sender")

BUSY_NAP_S, IDLE_NAP_S = 0.02, 0.15
BUSY_FOR_S = 1.0
BEAT_EVERY_S = 0.1
DISCOVER_EVERY_S = 0.2
REPORT_EVERY_S = 1.0
MAX_REPORTED = 1_000
SETTLE_TIMEOUT_S = 20.0
SETTLE_RETRY_S = 0.2
IDLE_END_S = 5.0
STOP_S = 5.0  # SIGTERM waits so long for what is in flight
SPILL_AFTER_S = 2.0
IN_FLIGHT_BYTES = 32 << 20  # over all sessions


class Service:
    """Always: each session is followed by this process alone (it holds the lock), and what the daemon has not
    acknowledged stays in the spool."""

    def __init__(
        self,
        workspace: Path,
        read_config: Callable[[], Mapping[str, Any]],
        *,
        still_ours: Callable[[], bool] = lambda: True,
        idle_end_s: float = IDLE_END_S,
        spill_after_s: float = SPILL_AFTER_S,
    ) -> None:
        """read_config: the settings that the clients left, which may change. still_ours: whether the lock is held."""
        capture = read_config().get("capture", {})
        self.link = DaemonLink(workspace, read_config)
        self.spools = Spools(workspace)
        self.endings = Endings(self.spools)
        self.room = Room(workspace)
        self.spill = Spill(self.spools.spilled, int(capture.get("spill_bytes", 4 << 30)))
        self._spool_bytes = int(capture.get("spool_bytes", 64 << 20))
        self._spill_after_s = spill_after_s
        self._still_ours = still_ours
        self._idle_end_s = idle_end_s
        self._stop_at = 0.0
        self._next_discovery = self._next_report = self._next_beat = 0.0
        self._settles: dict[bytes, tuple[grpc.Future, int]] = {}
        self._settle_again: dict[bytes, float] = {}
        self._reporting: grpc.Future | None = None
        self._told: dict[bytes, tuple[int, str]] = {}
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._fifo = _open_fifo(self.spools.roots[0] / spool_place.WAKE_NAME)

    @property
    def sessions(self) -> dict[bytes, Session]:
        return self.spools.sessions

    def run(self) -> None:
        """Deliver until nothing has been left for a while, or SIGTERM, or another holds the lock."""
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        idle_since = monotonic()
        busy_until = 0.0
        while True:
            now = monotonic()
            moved = self.look(now)
            if moved:
                busy_until = now + BUSY_FOR_S
            if self.sessions:
                idle_since = now
            if now - idle_since > self._idle_end_s or self._has_stopped(now) or not self._still_ours():
                break
            self._nap(0.0 if moved else BUSY_NAP_S if now < busy_until else IDLE_NAP_S)
        self.close()

    def stop(self) -> None:
        """End after what is in flight; callable from a signal handler."""
        self._stop_at = monotonic() + STOP_S
        self._ring()

    def close(self) -> None:
        self.link.close()
        for session in self.sessions.values():
            session.reader.close()
        for file in (self._fifo, self._wake_read, self._wake_write):
            os.close(file)

    def _has_stopped(self, now: float) -> bool:
        if not self._stop_at:
            return False
        return now > self._stop_at or not any(session.is_sending for session in self.sessions.values())

    def _ring(self, _: object = None) -> None:
        with suppress(OSError):  # full, which wakes as well
            os.write(self._wake_write, b"\0")

    def _nap(self, seconds: float) -> None:
        ready, _, _ = select.select([self._fifo, self._wake_read], [], [], seconds)
        for file in ready:
            with suppress(BlockingIOError):
                os.read(file, 65536)

    # --- one look ---------------------------------------------------------------------------------------------------

    def look(self, now: float) -> bool:
        """Go round once; return whether anything moved."""
        if now >= self._next_discovery:
            self.spools.discover(now)
            self._next_discovery = now + DISCOVER_EVERY_S
        if self.link.keep(now, wanted=self.spools.wanted()):
            self._restart(now)
        self.room.look(now)
        moved = False
        if not any(session.stuck_s(now) > self._spill_after_s for session in self.sessions.values()):
            self.spill.trouble = ""
        for session_id, session in self.spools.in_turn():
            self._beat()
            room = IN_FLIGHT_BYTES - sum(each.in_flight_bytes for each in self.sessions.values())
            try:
                moved |= self._serve_within_limits(now, session_id, session, room)
            except Exception as error:  # one bad spool must not keep the others waiting
                _log.exception("session %s cannot go on; it is tried again", session_id.hex())
                session.restart(now, failure_of(error))
        self._beat()
        self._tell(now)
        if now >= self._next_report:
            self._next_report = now + REPORT_EVERY_S
            self._report()
        return moved

    def _serve_within_limits(self, now: float, session_id: bytes, session: Session, room_bytes: int) -> bool:
        """Serve a session, if need be without the blocks that all have mapped: its own must fit the limit of files."""
        try:
            return self._serve(now, session_id, session, room_bytes)
        except OSError as error:
            if not self.spools.make_room_for(error):
                raise
        return self._serve(now, session_id, session, room_bytes)

    def _serve(self, now: float, session_id: bytes, session: Session, room_bytes: int) -> bool:
        moved = session.collect(now)
        if not self._stop_at:
            moved |= session.step(now, self.link.connection, room_bytes=room_bytes, done=self._ring)
        if session.stuck_s(now) > self._spill_after_s:
            moved |= self.spill.relieve(session, self._spool_bytes, now)
        self._settle(now, session_id, session)
        return moved | self.endings.see_off(now, session_id, session, self.link.connection, self._ring)

    def _restart(self, now: float) -> None:
        """The connection is another one, or gone."""
        for session in self.sessions.values():
            session.restart(now)
            session.pause_until = 0.0
        self._settles.clear()
        self.endings.forget()
        self._reporting = None

    def _beat(self) -> None:
        """Tell all writers that there is a sender."""
        now = monotonic()
        if now >= self._next_beat:
            self._next_beat = now + BEAT_EVERY_S
            for session in self.sessions.values():
                session.words[fmt.HEARTBEAT_NS] = monotonic_ns()

    def _tell(self, now: float) -> None:
        """Write into every header whether what is captured gets anywhere, and why not."""
        for session_id, session in self.sessions.items():
            troubles = self.link.trouble, session.problem or self.room.trouble, self.spill.trouble
            trouble = "; ".join(text for text in troubles if text)
            if self.link.trouble:
                state = fmt.UNREACHABLE
            elif self.link.connection is None:
                state = fmt.STARTING
            else:
                state = fmt.PUSHED_BACK if session.pushed_since else fmt.DELIVERING
            if self._told.get(session_id) != (state, trouble):
                self._told[session_id] = state, trouble
                session.reader.set_trouble(trouble)
                session.words[fmt.DELIVERY_STATE] = state
        if len(self._told) > 2 * len(self.sessions) + 16:
            self._told = {key: told for key, told in self._told.items() if key in self.sessions}

    def _settle(self, now: float, session_id: bytes, session: Session) -> None:
        """Answer settle requests by calls of their own, which do not hold up the batches."""
        running = self._settles.get(session_id)
        if running is not None:
            future, request = running
            if not future.done():
                return
            del self._settles[session_id]
            if _is_settled(future):
                session.answers.settled(request)
            else:
                self._settle_again[session_id] = now + SETTLE_RETRY_S
        wanted = session.answers.settling
        if wanted is None or session.gone or self.link.connection is None:
            return
        if now >= self._settle_again.pop(session_id, 0.0):
            request_message = capture_pb2.SettleRequest(
                session_id=session_id, sequence=session.durable, timeout_ms=int(SETTLE_TIMEOUT_S * 1000)
            )
            future = self.link.connection.call(
                "Settle", request_message, timeout_s=SETTLE_TIMEOUT_S + 5, done=self._ring
            )
            self._settles[session_id] = future, wanted

    def _report(self) -> None:
        if self.link.connection is None or (self._reporting is not None and not self._reporting.done()):
            return
        workers = [session.report() for session in list(self.sessions.values())[:MAX_REPORTED]]
        request = capture_pb2.ReportWorkersRequest(sender_pid=os.getpid(), workers=workers)
        self._reporting = self.link.connection.call("ReportWorkers", request, timeout_s=5, done=lambda _: None)


def _is_settled(future: grpc.Future) -> bool:
    try:
        return bool(future.result().settled)
    except (grpc.RpcError, grpc.FutureCancelledError):
        return False


def _open_fifo(path: Path) -> int:
    """Open the pipe by which clients wake the sender; both ends, so that it never reads as closed."""
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
