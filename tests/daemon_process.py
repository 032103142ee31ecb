"""A daemon process of a test, spoken to as any gRPC client would."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import xxhash
from waiting import wait_until

from contexta.v1 import capture_pb2, capture_pb2_grpc, query_pb2_grpc, status_pb2, status_pb2_grpc


class DaemonProcess:
    """`python -m contexta_daemon --foreground`, ended with the test."""

    def __init__(self, workspace: Path, *arguments: str, config: dict[str, Any] | None = None, **environment: str):
        self.workspace = workspace
        command = [sys.executable, "-m", "contexta_daemon", "--workspace", str(workspace), "--foreground"]
        config = {"capture": {"local_jsonl": False}, **(config or {})}
        self.process = subprocess.Popen(
            [*command, "--config", json.dumps(config), *arguments],
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    @property
    def record(self) -> dict[str, Any]:
        """What daemon.json says, if it is this daemon's."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads((self.workspace / "daemon" / "daemon.json").read_text())
            if record["pid"] == self.process.pid:
                return record
        return {}

    @property
    def socket(self) -> Path:
        return Path(self.record["socket"])

    def serves(self) -> DaemonProcess:
        """Wait until it serves."""
        wait_until(lambda: self.record or self.process.poll() is not None)
        assert self.process.poll() is None, self.said()
        return self

    def ends(self, timeout_s: float = 10.0) -> int:
        """Wait until it has ended; return its exit status."""
        self.process.wait(timeout_s)
        return self.process.returncode

    def said(self) -> str:
        """What it wrote to the terminal, once it has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def kill(self) -> None:
        """kill -9, and wait until it is gone."""
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def calls(self) -> Calls:
        """The daemon as a client sees it that found it just now."""
        record = self.record
        return Calls(record["socket"], Path(record["token_file"]).read_text().strip())


class Calls:
    """A client's calls, with its token."""

    def __init__(self, socket: str, token: str) -> None:
        options = [("grpc.max_send_message_length", 64 << 20)]
        self._channel = grpc.insecure_channel(f"unix:{socket}", options=options)
        self.metadata = (("contexta-token", token), ("contexta-protocol", "1"))
        self._capture = capture_pb2_grpc.CaptureStub(self._channel)
        self._status = status_pb2_grpc.StatusStub(self._channel)
        self.query = query_pb2_grpc.QueryStub(self._channel)

    def __enter__(self) -> Calls:
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()

    def append(self, session_id: bytes, first: int, count: int, body: bytes = b"", *, cursor: bytes = b"") -> int:
        request = capture_pb2.AppendRequest(
            session_id=session_id,
            first_sequence=first,
            count=count,
            checksum=xxhash.xxh3_64_intdigest(body),
            body=body,
            cursor=cursor,
        )
        return self._capture.Append(request, metadata=self.metadata, timeout=20).next_sequence

    def open_session(self, session_id: bytes) -> capture_pb2.OpenSessionResponse:
        request = capture_pb2.OpenSessionRequest(session_id=session_id)
        return self._capture.OpenSession(request, metadata=self.metadata, timeout=20)

    def settle(self, session_id: bytes, sequence: int, *, timeout_ms: int = 10_000) -> bool:
        request = capture_pb2.SettleRequest(session_id=session_id, sequence=sequence, timeout_ms=timeout_ms)
        return self._capture.Settle(request, metadata=self.metadata, timeout=20).settled

    def report(self, session_id: bytes, *, alive: bool) -> None:
        worker = capture_pb2.WorkerReport(session_id=session_id, pid=1, alive=alive)
        request = capture_pb2.ReportWorkersRequest(sender_pid=1, workers=[worker])
        self._capture.ReportWorkers(request, metadata=self.metadata, timeout=20)

    def status(self) -> status_pb2.GetStatusResponse:
        return self._status.GetStatus(status_pb2.GetStatusRequest(), metadata=self.metadata, timeout=20)

    def stop(self, *, when_idle: bool = False) -> status_pb2.StopResponse:
        return self._status.Stop(status_pb2.StopRequest(when_idle=when_idle), metadata=self.metadata, timeout=20)


def refusal(error: grpc.RpcError) -> status_pb2.ErrorDetail:
    """What a failed call says in its trailing metadata."""
    (data,) = [value for key, value in error.trailing_metadata() if key == "contexta-error-bin"]
    return status_pb2.ErrorDetail.FromString(data)


@contextlib.contextmanager
def daemons() -> Iterator[Any]:
    """Start daemons with `start(workspace, ...)`; all are killed in the end."""
    started: list[DaemonProcess] = []

    def start(*arguments: Any, **more: Any) -> DaemonProcess:
        started.append(DaemonProcess(*arguments, **more))
        return started[-1]

    try:
        yield start
    finally:
        for daemon in started:
            daemon.kill()
