"""The connection for questions: made with the first one, remade when the daemon was replaced."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import RLock
from time import monotonic, sleep
from typing import Any, TypeVar

import grpc

from contexta._private_folders import make_folder
from contexta._version import PROTOCOL_MAX
from contexta.errors import (
    KIND_OF_CODE,
    ContextaError,
    DeadlineError,
    LifecycleError,
    NotFoundError,
    StorageError,
    UnavailableError,
    ValidationError,
    error_from_code,
)
from contexta.v1 import query_pb2_grpc, status_pb2, status_pb2_grpc, store_pb2_grpc
from contexta_client import launch

Message = TypeVar("Message")

MAX_REQUEST_BYTES = 16 << 20
DEADLINE_S = 60.0
DRAIN_S = 10.0  # the longest that a daemon that is ending is waited for
# A wrong value has many codes, one for each rule: where the code names no kind, the status does.
_KIND_OF_STATUS: dict[grpc.StatusCode, type[ContextaError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: ValidationError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.DATA_LOSS: StorageError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
}
_STUBS: dict[str, Callable[[Any], Any]] = {
    "query": query_pb2_grpc.QueryStub,
    "status": status_pb2_grpc.StatusStub,
    "store": store_pb2_grpc.StoreStub,
}

_connections: weakref.WeakSet[Connection] = weakref.WeakSet()
_user_pid = 0  # the process that uses gRPC
_calls: weakref.WeakSet[Any] = weakref.WeakSet()  # streams that were begun
_inherited: list[object] = []  # channels and streams of the parent: to let go of one would use its threads and locks


class Connection:
    """Always: a channel is used only by the process that made it, and each call has a deadline.

    A process forked from one that has used gRPC is told so: gRPC works in most such children, but of 40 that were
    forked beside a thread that asked, 3 aborted.
    """

    def __init__(
        self,
        workspace: Path,
        config: Mapping[str, Any],
        *,
        autostart: bool,
        before: Callable[[], None] = lambda: None,
    ) -> None:
        """config: for a daemon that has to be started. autostart False: a missing one is an error.

        before: called ahead of every question, once its daemon was found or started.
        """
        self.workspace = workspace
        self._config = config
        self._autostart = autostart
        self._before = before
        self._lock = RLock()
        self._channel: grpc.Channel | None = None
        self._endpoint: launch.Endpoint | None = None  # of the channel, or of the last one
        self._metadata: tuple[tuple[str, str], ...] = ()

    def call(self, service: str, method: str, request: Any, *, deadline_s: float = DEADLINE_S) -> Any:
        """Ask and return the answer. Raises the ContextaError that the daemon answered with.

        A daemon that ended since the last question, or is ending, is found or started anew, once.
        """
        self._connected()  # first: starting a daemon takes longer than `before` may wait for it
        self._before()
        for last in (False, True):
            try:
                return self._method(service, method)(request, timeout=deadline_s, metadata=self._metadata)
            except grpc.RpcError as error:
                if last or not self._left_by_its_daemon(error):
                    raise to_error(error) from error
        raise AssertionError("the second try returns or raises")

    def stream(self, service: str, method: str, request: Any, *, deadline_s: float | None = None) -> Iterator[Any]:
        """Ask and yield the answers as they come; ending the iteration cancels the call.

        Before the first answer, a daemon that ended is found or started anew, once, as in `call`.
        """
        self._connected()
        self._before()
        begun = False
        for last in (False, True):
            answers = self._method(service, method)(request, timeout=deadline_s, metadata=self._metadata)
            _calls.add(answers)
            try:
                for answer in answers:
                    begun = True
                    yield answer
                return
            except grpc.RpcError as error:
                if last or begun or not self._left_by_its_daemon(error):
                    raise to_error(error) from error
            finally:
                if os.getpid() == _user_pid:
                    answers.cancel()

    def make_workspace(self) -> None:
        """Make the workspace's folder where there is none: what is put there is to stay.

        Raises StorageError when it cannot be made.
        """
        try:
            make_folder(self.workspace / "daemon")
        except OSError as error:
            raise StorageError(f"The workspace {self.workspace} cannot be made: {error}", cause=error) from error

    def close(self) -> None:
        """Drop the channel; the next question makes another."""
        with self._lock:
            channel, self._channel = self._channel, None
            if channel is not None:
                channel.close()

    def after_fork_in_child(self) -> None:
        """Leave the parent's channel and lock alone: the threads that serve or hold them are not in this process."""
        self._lock = RLock()
        if self._channel is not None:
            _inherited.append(self._channel)
            self._channel = None

    def _left_by_its_daemon(self, error: grpc.RpcError) -> bool:
        """Whether a call failed since its daemon is gone or going; then the channel is dropped, and the end awaited."""
        if error.code() != grpc.StatusCode.UNAVAILABLE or _detail(error).code not in ("", "draining"):
            return False
        self.close()
        deadline = monotonic() + DRAIN_S
        while self._is_ending() and monotonic() < deadline:
            sleep(0.05)
        return True

    def _is_ending(self) -> bool:
        """Whether the daemon that was asked is still there, and will not serve."""
        was, now = self._endpoint, launch.read_endpoint(self.workspace)
        if was is None or now is None or was.instance != now.instance:
            return False
        return launch.process_lives(was.pid) and not launch.is_serving(was)

    def _method(self, service: str, method: str) -> Any:
        return getattr(_STUBS[service](self._connected()), method)

    def _connected(self) -> grpc.Channel:
        global _user_pid
        if _user_pid not in (0, os.getpid()):
            raise LifecycleError(
                "Nothing can be asked in this process: it was forked from one that had asked, and gRPC does not "
                "survive that. Ask in the parent, or start this process with `spawn`. Capturing works here.",
                code="asked_before_fork",
            )
        _user_pid = os.getpid()
        with self._lock:
            if self._channel is None:
                self._endpoint = endpoint = self._find_daemon()
                limits = [
                    ("grpc.max_receive_message_length", -1),  # a series of any length comes in one answer
                    ("grpc.max_send_message_length", MAX_REQUEST_BYTES),
                    ("grpc.use_local_subchannel_pool", 1),
                ]
                self._channel = grpc.insecure_channel(f"unix:{endpoint.socket}", options=limits)
                self._metadata = (("contexta-token", endpoint.token), ("contexta-protocol", str(PROTOCOL_MAX)))
                _connections.add(self)
            return self._channel

    def _find_daemon(self) -> launch.Endpoint:
        launch.check_workspace(self.workspace)
        if self._autostart:
            launch.ensure_sender(self.workspace)
            return launch.ensure_daemon(self.workspace, self._config)
        found = launch.find_daemon(self.workspace)
        if found is None:
            raise UnavailableError(
                f"No daemon serves {self.workspace}, and daemon.autostart is off. Start one: contexta --workspace "
                f"{self.workspace} daemon start",
                code="daemon_unavailable",
            )
        return found


def message(message_type: Callable[..., Message], /, **fields: Any) -> Message:
    """Build a request. Raises ValidationError for a value that does not fit, such as a negative limit."""
    for name, value in fields.items():
        if name.endswith("run_id"):
            check_run_name(value)
    try:
        return message_type(**fields)
    except (TypeError, ValueError) as error:
        asked = ", ".join(f"{name}={value!r}" for name, value in fields.items() if value not in (None, "", 0))
        raise ValidationError(f"This cannot be asked with {asked[:400]}: {error}", code="query_invalid") from error


def check_run_name(value: object) -> None:
    """Raises ValidationError for what is no text, such as the run itself."""
    if not isinstance(value, str | None):
        raise ValidationError(
            f"A run is named by its reference, a text, not {type(value).__name__}: write run.ref of a run that is "
            "captured, run.run_id of one that was listed.",
            code="query_invalid",
        )


def to_error(error: grpc.RpcError) -> ContextaError:
    """Return what the daemon said about a failed call, as the error of its code."""
    detail = _detail(error)
    if detail.code:
        details = dict(detail.details)
        kind = _KIND_OF_STATUS.get(error.code())
        if kind is not None and detail.code not in KIND_OF_CODE:
            return kind(detail.message, code=detail.code, details=details, retryable=detail.retryable)
        return error_from_code(detail.code, detail.message, details=details, retryable=detail.retryable)
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineError("The daemon did not answer in time; `contexta daemon status` tells how it is doing.")
    said = {"status": error.code().name}
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
        return UnavailableError(f"The daemon cannot be reached: {error.details()}", details=said)
    return ContextaError(f"The daemon could not answer: {error.details()}", code="internal", details=said)


def _detail(error: grpc.RpcError) -> status_pb2.ErrorDetail:
    for key, value in error.trailing_metadata() or ():
        if key == "contexta-error-bin":
            return status_pb2.ErrorDetail.FromString(value)
    return status_pb2.ErrorDetail()


def _after_fork_in_child() -> None:
    _inherited.extend(_calls)
    for each in list(_connections):
        each.after_fork_in_child()


os.register_at_fork(after_in_child=_after_fork_in_child)
