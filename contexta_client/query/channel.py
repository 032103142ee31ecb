"""The connection for questions: made with the first one, remade after a fork or when the daemon was replaced."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import RLock
from typing import Any

import grpc

from contexta._version import PROTOCOL_MAX
from contexta.errors import ContextaError, DeadlineError, UnavailableError, error_from_code
from contexta.v1 import query_pb2_grpc, status_pb2, status_pb2_grpc
from contexta_client import launch

MAX_MESSAGE_BYTES = 72 << 20  # a series comes in one answer of at most 64 MiB
DEADLINE_S = 60.0
_STUBS: dict[str, Callable[[Any], Any]] = {"query": query_pb2_grpc.QueryStub, "status": status_pb2_grpc.StatusStub}


class Connection:
    """Always: a channel is used only by the process that made it, and each call has a deadline."""

    def __init__(self, workspace: Path, config: Mapping[str, Any], *, autostart: bool) -> None:
        """config: for a daemon that has to be started. autostart False: a missing one is an error."""
        self.workspace = workspace
        self._config = config
        self._autostart = autostart
        self._lock = RLock()
        self._channel: grpc.Channel | None = None
        self._pid = 0
        self._metadata: tuple[tuple[str, str], ...] = ()

    def call(self, service: str, method: str, request: Any, *, deadline_s: float = DEADLINE_S) -> Any:
        """Ask and return the answer. Raises the ContextaError that the daemon answered with.

        A daemon that ended since the last question is found or started anew, once.
        """
        for last in (False, True):
            try:
                return self._method(service, method)(request, timeout=deadline_s, metadata=self._metadata)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.UNAVAILABLE and not last and not _detail(error).code:
                    self.close()
                    continue
                raise to_error(error) from error
        raise AssertionError("the second try returns or raises")

    def stream(self, service: str, method: str, request: Any, *, deadline_s: float | None = None) -> Iterator[Any]:
        """Ask and yield the answers as they come; ending the iteration cancels the call."""
        call = self._method(service, method)(request, timeout=deadline_s, metadata=self._metadata)
        try:
            yield from call
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.CANCELLED:
                raise to_error(error) from error
        finally:
            call.cancel()

    def close(self) -> None:
        """Drop the channel; the next question makes another. One inherited through a fork is left alone."""
        with self._lock:
            channel, self._channel = self._channel, None
            if channel is not None and self._pid == os.getpid():
                channel.close()

    def _method(self, service: str, method: str) -> Any:
        return getattr(_STUBS[service](self._connected()), method)

    def _connected(self) -> grpc.Channel:
        if self._pid not in (0, os.getpid()):  # forked: neither the parent's lock nor its channel can be used
            self._lock = RLock()
            self._channel = None
        with self._lock:
            if self._channel is None:
                endpoint = self._endpoint()
                limits = [
                    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
                    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
                    ("grpc.use_local_subchannel_pool", 1),
                ]
                self._channel = grpc.insecure_channel(f"unix:{endpoint.socket}", options=limits)
                self._metadata = (("contexta-token", endpoint.token), ("contexta-protocol", str(PROTOCOL_MAX)))
                self._pid = os.getpid()
            return self._channel

    def _endpoint(self) -> launch.Endpoint:
        launch.check_workspace(self.workspace)
        launch.ensure_sender(self.workspace)
        if self._autostart:
            return launch.ensure_daemon(self.workspace, self._config)
        found = launch.find_daemon(self.workspace)
        if found is None:
            raise UnavailableError(
                f"No daemon serves {self.workspace}, and daemon.autostart is off. Start one: contexta --workspace "
                f"{self.workspace} daemon start",
                code="daemon_unavailable",
            )
        return found


def to_error(error: grpc.RpcError) -> ContextaError:
    """Return what the daemon said about a failed call, as the error of its code."""
    detail = _detail(error)
    if detail.code:
        details = dict(detail.details)
        return error_from_code(detail.code, detail.message, details=details, retryable=detail.retryable)
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineError("The daemon did not answer in time; `contexta daemon status` tells how it is doing.")
    return UnavailableError(f"The daemon cannot be reached: {error.details()}", details={"status": error.code().name})


def _detail(error: grpc.RpcError) -> status_pb2.ErrorDetail:
    for key, value in error.trailing_metadata() or ():
        if key == "contexta-error-bin":
            return status_pb2.ErrorDetail.FromString(value)
    return status_pb2.ErrorDetail()
