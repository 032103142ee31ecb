"""The Capture service: what senders call."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import grpc
from google.protobuf.message import Message

from contexta.v1 import capture_pb2
from contexta_daemon.ingest.admission import Admission, check_session_id
from contexta_daemon.ingest.refusals import InvalidRequestError
from contexta_daemon.log import Log

from .errors import check_form

MAX_SETTLE_S = 60.0
FETCHED_AT_ONCE = 8
MAX_SENDERS = 16
MAX_WORKERS = 1_000
REPORT_KEPT_S = 30.0

# (deadline, on the monotonic clock, in s) -> whether all that is durable is settled
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


class _Slots:
    """How many bodies may be fetched at once: gRPC holds each twice until it is admitted or refused."""

    def __init__(self, count: int) -> None:
        self._semaphore = anyio.Semaphore(count)

    async def take(self) -> Callable[[], None]:
        """Wait for a slot; return what gives it back, once, however often it is called."""
        await self._semaphore.acquire()
        held = [self._semaphore]

        def give_back() -> None:
            if held:
                held.pop().release()

        return give_back


def to_bytes(message: Message) -> bytes:
    return message.SerializeToString()


class CaptureService:
    """Checks requests and hands them to admission; knows nothing of disks or order."""

    def __init__(self, log: Log, admission: Admission, reports: WorkerReports, settle: SettleFunction) -> None:
        self._log = log
        self._admission = admission
        self._reports = reports
        self._settle = settle
        self._fetching = _Slots(FETCHED_AT_ONCE)

    def add_to(self, server: Any) -> None:
        """Register the service. Append is unary on the wire; it is registered as if a stream of one came, because then
        the body is fetched when there is room for it, and its encoded form is not kept beside it."""
        unary, pb = grpc.unary_unary_rpc_method_handler, capture_pb2
        handlers = {
            "OpenSession": unary(self.open_session, pb.OpenSessionRequest.FromString, to_bytes),
            "Append": grpc.stream_unary_rpc_method_handler(self.append, pb.AppendRequest.FromString, to_bytes),
            "Settle": unary(self.settle, pb.SettleRequest.FromString, to_bytes),
            "CloseSession": unary(self.close_session, pb.CloseSessionRequest.FromString, to_bytes),
            "ReportWorkers": unary(self.report_workers, pb.ReportWorkersRequest.FromString, to_bytes),
        }
        service = pb.DESCRIPTOR.services_by_name["Capture"]
        assert set(handlers) == set(service.methods_by_name)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))

    async def open_session(
        self, request: capture_pb2.OpenSessionRequest, context: Any
    ) -> capture_pb2.OpenSessionResponse:
        check_session_id(request.session_id)
        state = self._log.sessions.get(request.session_id)
        if state is None:
            return capture_pb2.OpenSessionResponse()
        return capture_pb2.OpenSessionResponse(
            next_sequence=state.next_sequence, cursor=state.cursor, known=True, closed=state.closed
        )

    async def append(self, _: object, context: Any) -> capture_pb2.AppendResponse:
        self._admission.check_room()
        give_back = await self._fetching.take()
        try:
            request = await context.read()
            check_form(request)
            appended = self._admission.append(
                request.session_id,
                first_sequence=request.first_sequence,
                count=request.count,
                checksum=request.checksum,
                body=request.body,
                cursor=request.cursor,
                on_admitted=give_back,
            )
            del request  # it holds the body too
            return capture_pb2.AppendResponse(next_sequence=await appended)
        finally:
            give_back()

    async def settle(self, request: capture_pb2.SettleRequest, context: Any) -> capture_pb2.SettleResponse:
        check_session_id(request.session_id)
        deadline_s = time.monotonic() + min(request.timeout_ms / 1000, MAX_SETTLE_S)
        state = self._log.sessions.get(request.session_id)
        if request.sequence and (state is None or state.next_sequence < request.sequence):
            # Senders ask after the acknowledgement, so this is not a matter of waiting.
            return capture_pb2.SettleResponse(settled=False)
        return capture_pb2.SettleResponse(settled=await self._settle(deadline_s))

    async def close_session(
        self, request: capture_pb2.CloseSessionRequest, context: Any
    ) -> capture_pb2.CloseSessionResponse:
        await self._admission.close_session(request.session_id, request.sequence)
        return capture_pb2.CloseSessionResponse()

    async def report_workers(
        self, request: capture_pb2.ReportWorkersRequest, context: Any
    ) -> capture_pb2.ReportWorkersResponse:
        self._reports.put(request.sender_pid, list(request.workers))
        return capture_pb2.ReportWorkersResponse()
