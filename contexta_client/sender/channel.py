"""The sender's connection to one daemon: calls that never block the loop, and what their failures say."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from contexta._version import PROTOCOL_MAX
from contexta.v1 import capture_pb2_grpc, status_pb2
from contexta_client.launch import Endpoint

MAX_MESSAGE_BYTES = 16 << 20
_OPTIONS = [
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a call failed. `code` is the daemon's own where it answered, else empty."""

    code: str
    status: str
    message: str
    retry_after_s: float = 0.0

    def jitter(self) -> float:
        """Return a factor for the pause, so that many sessions do not come back at one moment."""
        return random.uniform(0.5, 1.0)

    def for_people(self) -> str:
        """Return what keeps records from being delivered; empty for what passes by itself."""
        if self.code in ("", "admission_full", "sequence_gap", "draining"):
            return ""
        return f"the daemon does not take records: {self.message}"


def failure_of(error: Exception) -> Failure:
    """Read a failed call's error."""
    if not isinstance(error, grpc.RpcError):
        return Failure("", type(error).__name__, str(error))
    status = error.code().name if error.code() is not None else "UNKNOWN"
    for key, value in error.trailing_metadata() or ():
        if key == "contexta-error-bin":
            try:
                detail = status_pb2.ErrorDetail.FromString(value)
            except DecodeError:
                break
            return Failure(detail.code, status, detail.message, detail.retry_after_ms / 1000)
    return Failure("", status, error.details() or "")


class Connection:
    """A channel to one daemon instance, which also knows for how long the daemon has been silent."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._channel = grpc.insecure_channel(f"unix:{endpoint.socket}", options=_OPTIONS)
        self._stub = capture_pb2_grpc.CaptureStub(self._channel)
        self._metadata = (("contexta-token", endpoint.token), ("contexta-protocol", str(PROTOCOL_MAX)))
        self._unanswered: set[grpc.Future] = set()
        self._waiting_since: float | None = None

    def call(self, method: str, request: Any, *, timeout_s: float, done: Callable[[object], None]) -> grpc.Future:
        """Begin a call; `done` is called with its future on another thread."""
        future = getattr(self._stub, method).future(request, timeout=timeout_s, metadata=self._metadata)
        future.add_done_callback(done)
        if method != "Settle":  # may take its time
            self._unanswered.add(future)
            if self._waiting_since is None:
                self._waiting_since = monotonic()
        return future

    def silence_s(self, now: float) -> float:
        """Return for how long calls have been waiting without a word from the daemon; 0 when none waits."""
        finished = {future for future in self._unanswered if future.done()}
        self._unanswered -= finished
        if any(_was_answered(future) for future in finished):
            self._waiting_since = now if self._unanswered else None
        return 0.0 if self._waiting_since is None else now - self._waiting_since

    def close(self) -> None:
        self._channel.close()


def _was_answered(future: grpc.Future) -> bool:
    if future.cancelled():
        return False
    error = future.exception()
    return error is None or bool(failure_of(error).code)
