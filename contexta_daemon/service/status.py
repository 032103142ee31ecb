"""The Status service: how the daemon is doing, and ending it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import anyio.to_thread

from contexta._version import PROTOCOL_MAX, PROTOCOL_MIN, __version__
from contexta.v1 import capture_pb2, status_pb2, status_pb2_grpc
from contexta_daemon.catalog import SessionInfo
from contexta_daemon.followers import Runner
from contexta_daemon.ingest.admission import Admission
from contexta_daemon.ingest.writer import Writer
from contexta_daemon.log import Log, SessionState

from .capture import WorkerReports

MAX_SESSIONS = 1_000


class SessionLookup(Protocol):
    """Tells about sessions, in a thread."""

    async def __call__(self, session_ids: list[bytes]) -> Mapping[bytes, SessionInfo]: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where this daemon serves."""

    workspace: str
    log_file: str
    durability: str
    started_ns: int


class StatusService(status_pb2_grpc.StatusServicer):
    def __init__(
        self,
        place: Place,
        *,
        log: Log,
        writer: Writer,
        admission: Admission,
        runner: Runner,
        reports: WorkerReports,
        sessions: SessionLookup,
        open_artifacts: Callable[[], int],
        stop: Callable[[str], None],
    ) -> None:
        self._place = place
        self._log = log
        self._writer = writer
        self._admission = admission
        self._runner = runner
        self._reports = reports
        self._sessions = sessions
        self._open_artifacts = open_artifacts
        self._stop = stop

    async def GetStatus(  # noqa: N802
        self, request: status_pb2.GetStatusRequest, context: Any
    ) -> status_pb2.GetStatusResponse:
        followers = [
            status_pb2.FollowerStatus(
                name=name, lag_bytes=self._runner.lag_bytes(name), problem=self._runner.problem(name)
            )
            for name in self._runner.names
        ]
        problems = [self._writer.problem] + [f"{each.name}: {each.problem}" for each in followers if each.problem]
        return status_pb2.GetStatusResponse(
            version=__version__,
            protocol_min=PROTOCOL_MIN,
            protocol_max=PROTOCOL_MAX,
            pid=os.getpid(),
            workspace=self._place.workspace,
            started_at=_iso(self._place.started_ns),
            uptime_s=(time.time_ns() - self._place.started_ns) / 1e9,
            log_file=self._place.log_file,
            log=await anyio.to_thread.run_sync(self._log_status),
            followers=followers,
            sessions=await self._session_statuses(),
            admitted_bytes=self._admission.admitted_bytes,
            admission_limit_bytes=self._admission.limit_bytes,
            rejected_appends=self._admission.rejected,
            problem="; ".join(problem for problem in problems if problem),
            recovery_notes=self._log.recovery_notes,
            open_artifacts=self._open_artifacts(),
        )

    async def Stop(self, request: status_pb2.StopRequest, context: Any) -> status_pb2.StopResponse:  # noqa: N802
        if request.when_idle:
            alive = sum(report.alive for report in self._reports.by_session().values())
            if alive or not self._admission.is_idle:
                return status_pb2.StopResponse(stopping=False, reason=f"{alive} workers are capturing")
        self._stop("a client asked for it")
        return status_pb2.StopResponse(stopping=True)

    def _log_status(self) -> status_pb2.LogStatus:
        return status_pb2.LogStatus(
            segments=self._log.segments,
            bytes=self._log.bytes,
            items=self._writer.items,
            last_append_at=_iso(self._writer.last_append_ns) if self._writer.last_append_ns else "",
            durability=self._place.durability,
            damaged_frames=self._log.damaged_frames,
        )

    async def _session_statuses(self) -> list[status_pb2.SessionStatus]:
        reports = self._reports.by_session()
        states = dict(sorted(self._log.sessions.items(), key=lambda item: -item[1].last_ns)[:MAX_SESSIONS])
        for session_id in reports:
            states.setdefault(session_id, SessionState(0, b"", False, 0))
        infos = await self._sessions(list(states))
        return [
            _session_status(session_id, state, infos.get(session_id, SessionInfo()), reports.get(session_id))
            for session_id, state in states.items()
        ]


def _session_status(
    session_id: bytes, state: SessionState, info: SessionInfo, report: capture_pb2.WorkerReport | None
) -> status_pb2.SessionStatus:
    return status_pb2.SessionStatus(
        session_id=session_id,
        durable=state.next_sequence,
        closed=state.closed,
        host=info.host,
        pid=info.pid or (report.pid if report else 0),
        rank=info.rank,
        run_id=info.run_id,
        report=report,
    )


def _iso(time_ns: int) -> str:
    seconds, ns = divmod(time_ns, 10**9)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{ns // 1000:06d}Z"
