"""A daemon for senders to talk to: the real protocol over a real socket, kept in memory, and as bad as a test wants."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import xxhash
from plain_batches import plain_batch

from contexta.v1 import capture_pb2, capture_pb2_grpc, status_pb2

TOKEN = "f" * 64
Refusal = tuple[grpc.StatusCode, status_pb2.ErrorDetail]


@dataclass
class Kept:
    """One session as the daemon has it."""

    next_sequence: int = 0
    cursor: bytes = b""
    closed: bool = False
    batches: list[capture_pb2.Batch] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)

    @property
    def entries(self) -> list[capture_pb2.Entry]:
        return [entry for batch in self.batches for entry in batch.entries]

    def of(self, kind: str) -> list:
        return [getattr(entry, kind) for entry in self.entries if entry.WhichOneof("kind") == kind]

    @property
    def values(self) -> list[float]:
        """Of single metrics, in the order they were numbered."""
        return [value for batch in self.batches for columns in batch.columns for value in columns.value]

    @property
    def dropped(self) -> dict[str, tuple[int, int]]:
        return {each.reason: (each.metrics_total, each.entries_total) for each in self.of("dropped")}


class FakeDaemon(capture_pb2_grpc.CaptureServicer):
    """refuse: asked with each append; what it returns is answered instead of keeping it. gate, close_gate:
    answers (to closings) wait for it."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.sessions: dict[bytes, Kept] = {}
        self.settled: list[tuple[bytes, int]] = []
        self.reports: list[capture_pb2.WorkerReport] = []
        self.refuse: Callable[[capture_pb2.AppendRequest], Refusal | None] = lambda request: None
        self.settles: Callable[[], bool] = lambda: True
        self.gate = threading.Event()
        self.gate.set()
        self.close_gate = threading.Event()
        self.close_gate.set()
        self.changed = threading.Condition()
        self._server: grpc.Server | None = None
        self._starts = 0

    def start(self, **record: object) -> None:
        """Serve, and say so in daemon.json. record: what it shall say otherwise."""
        self._starts += 1
        folder = self.workspace / "daemon"
        folder.mkdir(parents=True, exist_ok=True)
        socket = folder / f"{self._starts}.sock"
        self._server = grpc.server(ThreadPoolExecutor(32), options=[("grpc.max_receive_message_length", 16 << 20)])
        capture_pb2_grpc.add_CaptureServicer_to_server(self, self._server)
        self._server.add_insecure_port(f"unix:{socket}")
        self._server.start()
        (folder / "token").write_text(TOKEN)
        told = {
            "pid": os.getpid(), "version": "0", "protocol_min": 1, "protocol_max": 1, "socket": str(socket),
            "token_file": str(folder / "token"), "log_file": "", "instance": f"{self._starts:08x}",
            "workspace": os.path.realpath(self.workspace), **record,
        }  # fmt: skip
        (folder / "new").write_text(json.dumps(told))
        (folder / "new").rename(folder / "daemon.json")

    def stop(self) -> None:
        (self.workspace / "daemon" / "daemon.json").unlink(missing_ok=True)
        self.gate.set()
        self.close_gate.set()
        if self._server is not None:
            self._server.stop(0).wait(10)
            self._server = None

    def only(self) -> Kept:
        (kept,) = self.sessions.values()
        return kept

    # --- the service ---

    def OpenSession(self, request, context):  # noqa: N802
        self._let_in(context)
        kept = self.sessions.get(request.session_id)
        if kept is None:
            return capture_pb2.OpenSessionResponse()
        return capture_pb2.OpenSessionResponse(
            next_sequence=kept.next_sequence, cursor=kept.cursor, known=True, closed=kept.closed
        )

    def Append(self, request, context):  # noqa: N802
        self._let_in(context)
        refusal = self.refuse(request)
        if refusal is not None:
            _abort(context, *refusal)
        with self.changed:
            kept = self.sessions.setdefault(request.session_id, Kept())
            end = request.first_sequence + request.count
            # In order, as the real one does: what comes early waits for its turn.
            self.changed.wait_for(lambda: kept.next_sequence >= request.first_sequence, 0.2)
            if end > kept.next_sequence:
                self._keep(kept, request, context)
            self.changed.notify_all()
            return capture_pb2.AppendResponse(next_sequence=kept.next_sequence)

    def _keep(self, kept, request, context):
        if request.first_sequence != kept.next_sequence:
            detail = status_pb2.ErrorDetail(code="sequence_gap", expected_sequence=kept.next_sequence)
            _abort(context, grpc.StatusCode.ABORTED, detail)
        if kept.closed:
            _abort(context, grpc.StatusCode.FAILED_PRECONDITION, status_pb2.ErrorDetail(code="session_closed"))
        if xxhash.xxh3_64_intdigest(request.body) != request.checksum:
            _abort(context, grpc.StatusCode.DATA_LOSS, status_pb2.ErrorDetail(code="checksum_mismatch"))
        assert len(request.body) <= 8 << 20
        assert len(request.cursor) <= 4096
        batch = plain_batch(request.body)
        assert items_of(batch) == request.count
        kept.batches.append(batch)
        kept.counts.append(request.count)
        kept.next_sequence += request.count
        kept.cursor = request.cursor

    def Settle(self, request, context):  # noqa: N802
        self._let_in(context)
        self.settled.append((request.session_id, request.sequence))
        return capture_pb2.SettleResponse(settled=self.settles())

    def CloseSession(self, request, context):  # noqa: N802
        self._let_in(context)
        self.close_gate.wait(30)
        kept = self.sessions.get(request.session_id)
        if (kept.next_sequence if kept else 0) < request.sequence:
            _abort(context, grpc.StatusCode.ABORTED, status_pb2.ErrorDetail(code="sequence_gap"))
        if kept is not None:
            kept.closed = True
            kept.cursor = b""
        return capture_pb2.CloseSessionResponse()

    def ReportWorkers(self, request, context):  # noqa: N802
        self._let_in(context)
        self.reports = list(request.workers)
        return capture_pb2.ReportWorkersResponse()

    def _let_in(self, context) -> None:
        told = dict(context.invocation_metadata())
        if told.get("contexta-token") != TOKEN or told.get("contexta-protocol") != "1":
            detail = status_pb2.ErrorDetail(code="unauthenticated", message="no valid token")
            _abort(context, grpc.StatusCode.UNAUTHENTICATED, detail)
        self.gate.wait(30)


def _abort(context, status: grpc.StatusCode, detail: status_pb2.ErrorDetail):
    context.set_trailing_metadata((("contexta-error-bin", detail.SerializeToString()),))
    context.abort(status, detail.message or detail.code)


def items_of(batch: capture_pb2.Batch) -> int:
    """Count the items of a batch."""
    return len(batch.entries) + sum(len(each.time_ns) for each in batch.columns) + sum(len(r.value) for r in batch.rows)
