"""A daemon that answers questions as a test says, over the real protocol and a real socket."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from contexta.v1 import query_pb2, status_pb2
from contexta_client.query.channel import Connection

TOKEN = "ab" * 32
SERVICES = {
    module.DESCRIPTOR.services_by_name[name].full_name: module.DESCRIPTOR.services_by_name[name]
    for module, name in ((query_pb2, "Query"), (status_pb2, "Status"))
}


class Answering(grpc.GenericRpcHandler):
    """`answers`: by method, a message (of a stream: a list of them), or a function (request, context) that returns it.

    `asked` holds the requests that came, `metadata` what came with the last one.
    """

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.answers: dict[str, Any] = {}
        self.asked: list[Any] = []
        self.metadata: dict[str, Any] = {}
        self._server: grpc.Server | None = None
        self._starts = 0

    def start(self, **record: object) -> None:
        """Serve, and say so in daemon.json. record: what it shall say otherwise."""
        self._starts += 1
        folder = self.workspace / "daemon"
        folder.mkdir(parents=True, exist_ok=True)
        socket = folder / f"{self._starts}.sock"
        self._server = grpc.server(ThreadPoolExecutor(8), handlers=[self])
        servicer = health.HealthServicer()
        servicer.set("", health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, self._server)
        self._server.add_insecure_port(f"unix:{socket}")
        self._server.start()
        (folder / "token").write_text(TOKEN)
        told = {
            "pid": os.getpid(), "version": "9.9", "protocol_min": 1, "protocol_max": 1, "socket": str(socket),
            "token_file": str(folder / "token"), "log_file": "", "instance": f"{self._starts:08x}",
            "workspace": os.path.realpath(self.workspace), **record,
        }  # fmt: skip
        (folder / "daemon.json").write_text(json.dumps(told))

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(0).wait(10)
            self._server = None

    def connection(self, **options: Any) -> Connection:
        return Connection(self.workspace, {}, autostart=False, **options)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        _, service, name = handler_call_details.method.split("/")
        if service not in SERVICES:
            return None
        method = SERVICES[service].methods_by_name[name]
        request_kind = method.input_type._concrete_class

        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            self.asked.append(request)
            self.metadata = dict(context.invocation_metadata())
            said = self.answers[name]
            said = said(request, context) if callable(said) else said
            return iter(said) if isinstance(said, list) else said

        kind: Callable[..., Any] = (
            grpc.unary_stream_rpc_method_handler if method.server_streaming else grpc.unary_unary_rpc_method_handler
        )
        return kind(answer, request_kind.FromString, lambda message: message.SerializeToString())


def refuse(context: grpc.ServicerContext, status: grpc.StatusCode, **detail: Any) -> None:
    """End a call as the daemon does."""
    data = status_pb2.ErrorDetail(**detail).SerializeToString()
    context.set_trailing_metadata((("contexta-error-bin", data),))
    context.abort(status, detail.get("message", ""))


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A started `Answering` of the workspace tmp_path / "ws"."""
    monkeypatch.setenv("CONTEXTA_SPOOL_DIR", str(tmp_path / "spools"))
    made = Answering(tmp_path / "ws")
    made.start()
    yield made
    made.stop()
