"""The Capture service: what senders call."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from contexta.v1 import capture_pb2, capture_pb2_grpc
from contexta_daemon.ingest.admission import Admission, check_session_id
from contexta_daemon.ingest.refusals import InvalidRequestError
from contexta_daemon.log import Log

MAX_SETTLE_S = 60.0
MAX_SENDERS = 16
MAX_WORKERS = 1_000
REPORT_KEPT_S = 30.0

# (session's sequence is durable) -> settled before the deadline
SettleFunction = Callable[[float], Awaitable[bool]]


class WorkerReports:
    """What senders say of their workers; the newest report of each sender, while it is fresh."""

    def __init__(self) -> None:
        self._reports: dict[int, tuple[float, list[capture_pb2.WorkerReport]]] = {}

    def put(self, sender_pid: int, workers: list[capture_pb2.WorkerReport]) -> None:
        self._drop_old()
        if len(workers) > MAX_WORKERS or (sender_pid not in self._reports and len(self._reports) >= MAX_SENDERS):
            raise InvalidRequestError(f"at most {MAX_SENDERS} senders report at most {MAX_WORKERS} workers each")
        self._reports[sender_pid] = (time.monotonic(), workers)

    def by_session(self) -> dict[bytes, capture_pb2.WorkerReport]:
        self._drop_old()
        return {worker.session_id: worker for _, workers in self._reports.values() for worker in workers}

    def _drop_old(self) -> None:
        oldest = time.monotonic() - REPORT_KEPT_S
        self._reports = {pid: report for pid, report in self._reports.items() if report[0] >= oldest}


class CaptureService(capture_pb2_grpc.CaptureServicer):
    """Checks requests and hands them to admission; knows nothing of disks or order."""

    def __init__(self, log: Log, admission: Admission, reports: WorkerReports, settle: SettleFunction) -> None:
        self._log = log
        self._admission = admission
        self._reports = reports
        self._settle = settle

    async def OpenSession(  # noqa: N802
        self, request: capture_pb2.OpenSessionRequest, context: Any
    ) -> capture_pb2.OpenSessionResponse:
        check_session_id(request.session_id)
        state = self._log.sessions.get(request.session_id)
        if state is None:
            return capture_pb2.OpenSessionResponse()
        return capture_pb2.OpenSessionResponse(
            next_sequence=state.next_sequence, cursor=state.cursor, known=True, closed=state.closed
        )

    async def Append(  # noqa: N802
        self, request: capture_pb2.AppendRequest, context: Any
    ) -> capture_pb2.AppendResponse:
        next_sequence = await self._admission.append(
            request.session_id,
            first_sequence=request.first_sequence,
            count=request.count,
            checksum=request.checksum,
            body=request.body,
            cursor=request.cursor,
        )
        return capture_pb2.AppendResponse(next_sequence=next_sequence)

    async def Settle(  # noqa: N802
        self, request: capture_pb2.SettleRequest, context: Any
    ) -> capture_pb2.SettleResponse:
        check_session_id(request.session_id)
        deadline_s = time.monotonic() + min(request.timeout_ms / 1000, MAX_SETTLE_S)
        state = self._log.sessions.get(request.session_id)
        if request.sequence and (state is None or state.next_sequence < request.sequence):
            # Senders ask after the acknowledgement, so this is not a matter of waiting.
            return capture_pb2.SettleResponse(settled=False)
        return capture_pb2.SettleResponse(settled=await self._settle(deadline_s))

    async def CloseSession(  # noqa: N802
        self, request: capture_pb2.CloseSessionRequest, context: Any
    ) -> capture_pb2.CloseSessionResponse:
        await self._admission.close_session(request.session_id, request.sequence)
        return capture_pb2.CloseSessionResponse()

    async def ReportWorkers(  # noqa: N802
        self, request: capture_pb2.ReportWorkersRequest, context: Any
    ) -> capture_pb2.ReportWorkersResponse:
        self._reports.put(request.sender_pid, list(request.workers))
        return capture_pb2.ReportWorkersResponse()
