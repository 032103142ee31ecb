"""The sender's loop: one look after another at every spool of a workspace, and at what came back from the daemon.

Nothing in it blocks longer than a nap, so that the heartbeat in every header stays fresh.
"""

from __future__ import annotations

import logging
import os
import select
import shutil
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, monotonic_ns
from typing import Any

import grpc

from contexta.v1 import capture_pb2
from contexta_client.capture import spool_format as fmt
from contexta_client.capture import spool_place
from contexta_client.launch import process_lives, read_endpoint

from .channel import Connection
from .daemon_start import DaemonStart
from .follow import SpoolReader, session_folders
from .session import SETTLE_TIMEOUT_S, Session
from .spill import Spill

_log = logging.getLogger("contexta.sender")

BUSY_NAP_S, IDLE_NAP_S = 0.02, 0.15
BUSY_FOR_S = 1.0
DISCOVER_S = 0.2
REPORT_S = 1.0
IDLE_END_S = 5.0
IN_FLIGHT_BYTES = 32 << 20


class Service:
    """Always: each session is followed by this process alone (it holds the lock), and what the daemon has not
    acknowledged stays in the spool."""

    def __init__(self, workspace: Path, read_config: Callable[[], Mapping[str, Any]]) -> None:
        """read_config: the settings that the clients left; they may change while this runs."""
        self.workspace = workspace
        self.config = config = read_config()
        self.roots = spool_place.candidate_roots(workspace)
        self.control = self.roots[0]
        capture = config.get("capture", {})
        self.spill = Spill(workspace / "cache" / "spill", int(capture.get("spill_bytes", 4 << 30)))
        self.sessions: dict[bytes, Session] = {}
        self.connection: Connection | None = None
        self.daemon = DaemonStart(workspace, read_config)
        self.trouble = ""
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._fifo = self._open_fifo()
        self._stopping = False
        self._next_discovery = self._next_report = 0.0
        self._away_since = 0.0
        self._settles: dict[bytes, tuple[grpc.Future, int]] = {}
        self._closings: dict[bytes, grpc.Future] = {}
        self._reporting: grpc.Future | None = None

    def _open_fifo(self) -> int:
        path = self.control / spool_place.WAKE_NAME
        try:
            os.mkfifo(path, 0o600)
        except FileExistsError:
            pass
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def run(self) -> None:
        """Deliver until nothing has been left for a while, or SIGTERM."""
        signal.signal(signal.SIGTERM, lambda *_: self._stop())
        idle_since = monotonic()
        busy_until = 0.0
        while True:
            now = monotonic()
            moved = self.look(now)
            if moved:
                busy_until = now + BUSY_FOR_S
            if self.sessions:
                idle_since = now
            elif now - idle_since > IDLE_END_S:
                break
            if self._stopping and not any(session.in_flight for session in self.sessions.values()):
                break
            self._nap(0.0 if moved else BUSY_NAP_S if now < busy_until else IDLE_NAP_S)
        if self.connection is not None:
            self.connection.close()

    def _stop(self) -> None:
        self._stopping = True
        self._ring()

    def _ring(self, _: object = None) -> None:
        try:
            os.write(self._wake_write, b"\0")
        except (BlockingIOError, OSError):
            pass

    def _nap(self, seconds: float) -> None:
        ready, _, _ = select.select([self._fifo, self._wake_read], [], [], seconds)
        for file in ready:
            try:
                os.read(file, 65536)
            except BlockingIOError:
                pass

    # --- one look ---------------------------------------------------------------------------------------------------

    def look(self, now: float) -> bool:
        """Go round once; return whether anything moved."""
        if now >= self._next_discovery:
            self._discover()
            self._next_discovery = now + DISCOVER_S
        self._keep_connection(now)
        moved = False
        room = IN_FLIGHT_BYTES - sum(session.in_flight_bytes for session in self.sessions.values())
        for session_id, session in list(self.sessions.items()):
            session.words[fmt.HEARTBEAT_NS] = monotonic_ns()
            try:
                moved |= self._serve(now, session_id, session, room)
            except Exception as error:  # one bad spool must not keep the others waiting
                _log.exception("session %s cannot go on, it is tried again", session_id.hex())
                session.restart(now, error)
            room -= session.in_flight_bytes
        self._tell_state(now)
        if now >= self._next_report:
            self._next_report = now + REPORT_S
            self._report()
            self._spill(now)
        return moved

    def _serve(self, now: float, session_id: bytes, session: Session, room_bytes: int) -> bool:
        moved = session.collect(now)
        if not self._stopping:
            moved |= session.step(now, self.connection, room_bytes=room_bytes, done=self._ring)
        self._settle(session_id, session)
        self._finish(session_id, session)
        return moved

    def _discover(self) -> None:
        spilled = self.workspace / "cache" / "spill"
        found = session_folders([*self.roots, spilled])
        for session_id, folders in found.items():
            session = self.sessions.get(session_id)
            if session is not None:
                session.reader.folders = folders
                continue
            try:
                reader = SpoolReader(session_id, folders)
            except FileNotFoundError:
                self._adopt_orphan(session_id, folders, spilled)
                continue
            except (OSError, ValueError) as error:
                _log.error("the spool %s cannot be read: %s", folders, error)
                continue
            reader.words[fmt.SENDER_PID] = os.getpid()
            self.sessions[session_id] = Session(reader)
            _log.info("following session %s of process %d", session_id.hex(), reader.pid)
        for session_id in [each for each in self.sessions if each not in found]:
            _log.warning("the spool of session %s was removed", session_id.hex())
            self.sessions.pop(session_id).reader.close()

    def _adopt_orphan(self, session_id: bytes, folders: list[Path], spilled: Path) -> None:
        """Blocks on disk whose header is gone (a reboot emptied memory): give them a header, so that they are sent."""
        if folders != [spilled / session_id.hex()]:
            return
        prefix = fmt.HEADER_PREFIX.pack(fmt.HEADER_MAGIC, fmt.VERSION, fmt.HEADER_BYTES, session_id, 0)
        (folders[0] / fmt.HEADER_NAME).write_bytes(prefix.ljust(fmt.HEADER_BYTES, b"\0"))

    # --- the daemon -------------------------------------------------------------------------------------------------

    def _keep_connection(self, now: float) -> None:
        endpoint = read_endpoint(self.workspace)
        current = self.connection.endpoint if self.connection else None
        if endpoint is not None and not process_lives(endpoint.pid):
            endpoint = None
        if endpoint is None:
            if current is not None:
                self._disconnect(now)
            if not self.workspace.is_dir():
                self._let_go()  # so that no daemon is started for the dead, which would make the folder again
            if self.sessions:
                self.trouble = self.daemon.ensure(now)
            return
        if current != endpoint:
            if current is not None:
                self._disconnect(now)
            self.connection = Connection(endpoint)
            for session in self.sessions.values():
                session.pause_until = 0.0
            self.daemon.running()
            self.trouble = ""

    def _let_go(self) -> None:
        """The workspace was deleted: what dead processes left for it goes too. Living ones begin it anew."""
        for session_id, session in list(self.sessions.items()):
            if session.gone or session.reader.writer_is_gone():
                _log.warning("the workspace is gone, and with it what session %s left", session_id.hex())
                self._remove(session_id, session)

    def _remove(self, session_id: bytes, session: Session) -> None:
        del self.sessions[session_id]
        session.reader.close()
        for folder in session.reader.folders:
            shutil.rmtree(folder, ignore_errors=True)

    def _disconnect(self, now: float) -> None:
        assert self.connection is not None
        for session in self.sessions.values():
            session.restart(now)
            if session.final == "closing":
                session.final = "ending"
        self._settles.clear()
        self._closings.clear()
        self._reporting = None
        self.connection.close()
        self.connection = None

    def _tell_state(self, now: float) -> None:
        """Write into every header whether what is captured gets anywhere."""
        pushed = any(session.pushed_back for session in self.sessions.values())
        if self.connection is None or pushed:
            self._away_since = self._away_since or now
        else:
            self._away_since = 0.0
        if self.connection is None:
            state = fmt.UNREACHABLE if self.daemon.failures else fmt.STARTING
        else:
            state = fmt.PUSHED_BACK if pushed else fmt.DELIVERING
        for session in self.sessions.values():
            session.words[fmt.DELIVERY_STATE] = state
            session.reader.set_trouble(self.trouble or session.trouble or self.spill.trouble)

    def _settle(self, session_id: bytes, session: Session) -> None:
        """Answer settle requests by a call of their own, which does not hold up the batches."""
        running = self._settles.get(session_id)
        if running is not None:
            future, mark = running
            if not future.done():
                return
            del self._settles[session_id]
            try:
                settled = future.result().settled
            except (grpc.RpcError, grpc.FutureCancelledError):
                settled = False
            if settled:
                session.words[fmt.SETTLE_DONE] = max(int(session.words[fmt.SETTLE_DONE]), mark)
                if session.settling is not None and session.settling <= mark:
                    session.settling = None
        if session.settling is not None and self.connection is not None:
            request = capture_pb2.SettleRequest(
                session_id=session_id, sequence=session.durable, timeout_ms=int(SETTLE_TIMEOUT_S * 1000)
            )
            future = self.connection.call("Settle", request, timeout_s=SETTLE_TIMEOUT_S + 5, done=self._ring)
            self._settles[session_id] = future, session.settling

    def _finish(self, session_id: bytes, session: Session) -> None:
        """After the last word is durable: close the session and delete its folders."""
        if session.final != "ending" or session.in_flight or self.connection is None or session_id in self._settles:
            closing = self._closings.get(session_id)
        else:
            session.words[fmt.DRAINED] = 1
            session.final = "closing"
            request = capture_pb2.CloseSessionRequest(session_id=session_id, sequence=session.durable)
            self._closings[session_id] = closing = self.connection.call(
                "CloseSession", request, timeout_s=10, done=self._ring
            )
        if closing is None or not closing.done():
            return
        del self._closings[session_id]
        try:
            closing.result()
        except (grpc.RpcError, grpc.FutureCancelledError) as error:
            _log.debug("session %s is not closed yet: %s", session_id.hex(), error)
            session.final = "ending"
            return
        session.final = "closed"
        self._remove(session_id, session)

    def _report(self) -> None:
        if self.connection is None or (self._reporting is not None and not self._reporting.done()):
            return
        workers = [session.report(session_id) for session_id, session in self.sessions.items()]
        request = capture_pb2.ReportWorkersRequest(sender_pid=os.getpid(), workers=workers)
        self._reporting = self.connection.call("ReportWorkers", request, timeout_s=5, done=lambda _: None)

    def _spill(self, now: float) -> None:
        if self._away_since and now - self._away_since > 2.0:
            for session in self.sessions.values():
                self.spill.relieve(session, int(self.config.get("capture", {}).get("spool_bytes", 64 << 20)))
        else:
            self.spill.trouble = ""
