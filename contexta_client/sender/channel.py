"""The sender's connection to the daemon: finds it, starts it, and calls it without ever blocking the loop."""

from __future__ import annotations

from collections.abc import Callable

import grpc
from google.protobuf.message import DecodeError

from contexta._version import PROTOCOL_MAX
from contexta.v1 import capture_pb2_grpc, status_pb2
from contexta_client.launch import Endpoint

MAX_MESSAGE_BYTES = 16 << 20


class Connection:
    """A channel to one daemon instance."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        options = [
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        self._channel = grpc.insecure_channel(f"unix:{endpoint.socket}", options=options)
        self._stub = capture_pb2_grpc.CaptureStub(self._channel)
        self._metadata = (("contexta-token", endpoint.token), ("contexta-protocol", str(PROTOCOL_MAX)))

    def call(
        self, method: str, request: object, *, timeout_s: float, done: Callable[[grpc.Future], None]
    ) -> grpc.Future:
        """Begin a call; `done` is called with its future on another thread."""
        future = getattr(self._stub, method).future(request, timeout=timeout_s, metadata=self._metadata)
        future.add_done_callback(done)
        return future

    def close(self) -> None:
        self._channel.close()


def error_detail(error: grpc.RpcError) -> status_pb2.ErrorDetail:
    """Return what the daemon said about a failed call; empty when it said nothing."""
    for key, value in error.trailing_metadata() or ():
        if key == "contexta-error-bin":
            try:
                detail: status_pb2.ErrorDetail = status_pb2.ErrorDetail.FromString(value)
            except DecodeError:
                break
            return detail
    return status_pb2.ErrorDetail()

