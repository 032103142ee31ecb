"""The one place where exceptions become gRPC status, and where a call is let in at all: token, protocol, draining.

A failed call carries an ErrorDetail in its trailing metadata, `contexta-error-bin`.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
import grpc.aio

from contexta._version import PROTOCOL_MAX, PROTOCOL_MIN
from contexta.errors import ContextaError
from contexta.v1 import status_pb2
from contexta_daemon.ingest.refusals import InvalidRequestError, RefusedError
from contexta_daemon.log import LogError

_log = logging.getLogger("contexta.service")

ERROR_KEY = "contexta-error-bin"
TOKEN_KEY = "contexta-token"
PROTOCOL_KEY = "contexta-protocol"
# An error travels as metadata, of which gRPC takes 8 KiB: the message as text, in which a byte may take three, and with
# the details in base64.
MAX_STATUS_BYTES = 1 << 10
MAX_MESSAGE_BYTES = 2 << 10
MAX_DETAILS_BYTES = 1 << 10
_HEALTH = "/grpc.health.v1.Health/"
_REFLECTION = "/grpc.reflection."
_STATUS = "/contexta.v1.Status/"

_Code = grpc.StatusCode
_CODES = {
    "admission_full": _Code.RESOURCE_EXHAUSTED,
    "ambiguous": _Code.INVALID_ARGUMENT,
    "batch_too_large": _Code.INVALID_ARGUMENT,
    "checksum_mismatch": _Code.DATA_LOSS,
    "deadline_exceeded": _Code.DEADLINE_EXCEEDED,
    "draining": _Code.UNAVAILABLE,
    "internal": _Code.INTERNAL,
    "log_corrupt": _Code.DATA_LOSS,
    "log_truncated": _Code.DATA_LOSS,
    "not_found": _Code.NOT_FOUND,
    "protocol_unsupported": _Code.FAILED_PRECONDITION,
    "record_conflict": _Code.ALREADY_EXISTS,
    "sequence_gap": _Code.ABORTED,
    "session_closed": _Code.FAILED_PRECONDITION,
    "storage_failed": _Code.UNAVAILABLE,
    "storage_full": _Code.UNAVAILABLE,
    "unauthenticated": _Code.UNAUTHENTICATED,
    "unavailable": _Code.UNAVAILABLE,
    "log_io_error": _Code.UNAVAILABLE,
}


class UnauthenticatedError(ContextaError):
    """The call does not carry this workspace's token."""

    default_code = "unauthenticated"


class ProtocolUnsupportedError(ContextaError):
    """The caller speaks another version of the protocol."""

    default_code = "protocol_unsupported"


def detail_of(error: Exception) -> tuple[grpc.StatusCode, status_pb2.ErrorDetail]:
    """The status and the detail that say an exception to a caller."""
    if isinstance(error, ContextaError):
        detail = status_pb2.ErrorDetail(code=error.code, message=error.message, retryable=error.retryable)
        detail.details.update({key: str(value) for key, value in error.details.items()})
        if isinstance(error, RefusedError):
            detail.retry_after_ms = error.retry_after_ms
            detail.expected_sequence = error.expected_sequence
        # A wrong value has many codes, one for each rule; all of them are the caller's.
        fallback = _Code.INVALID_ARGUMENT if isinstance(error, ValueError | RefusedError) else _Code.UNKNOWN
        return _CODES.get(error.code, fallback), detail
    if isinstance(error, LogError):
        return _CODES.get(error.code, _Code.INTERNAL), status_pb2.ErrorDetail(
            code=error.code, message=str(error), retryable=error.retryable
        )
    _log.error("a call failed by a fault of the daemon", exc_info=error)
    message = f"a fault of the daemon, see its log file: {type(error).__name__}: {error}"
    return _Code.INTERNAL, status_pb2.ErrorDetail(code="internal", message=message)


async def abort(context: Any, error: Exception) -> NoReturn:
    """End a call with what an exception says, cut to what fits."""
    code, detail = detail_of(error)
    for key, value in list(detail.details.items()):
        detail.details[key] = _cut(value, MAX_DETAILS_BYTES // len(detail.details))
    detail.message = _cut(detail.message, MAX_MESSAGE_BYTES)
    metadata = ((ERROR_KEY, detail.SerializeToString()),)
    await context.abort(code, _cut(detail.message, MAX_STATUS_BYTES), metadata)
    raise AssertionError("abort always raises")


def _cut(text: str, max_bytes: int) -> str:
    """Leave out the middle of a long text: its begin says what is wrong, its end what to do."""
    data = text.encode(errors="replace")
    if len(data) <= max_bytes:
        return text
    half = (max_bytes - 5) // 2
    return f"{data[:half].decode(errors='ignore')} ... {data[-half:].decode(errors='ignore')}"


class Activity:
    """Who is calling, for the idle end: calls of the health, reflection and status services do not count."""

    def __init__(self) -> None:
        self.running = 0
        self.last_monotonic_s = time.monotonic()

    def __enter__(self) -> None:
        self.running += 1

    def __exit__(self, *_: object) -> None:
        self.running -= 1
        self.last_monotonic_s = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since the last call ended; 0 while one runs."""
        return 0.0 if self.running else time.monotonic() - self.last_monotonic_s


class Gatekeeper(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Lets calls in and turns what they raise into status. Health checks need no token."""

    def __init__(self, token: str, activity: Activity) -> None:
        self._token = token.encode()
        self._activity = activity

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any) -> Any:
        method: str = handler_call_details.method
        if method.startswith(_HEALTH):
            return await continuation(handler_call_details)
        problem = self._problem(dict(handler_call_details.invocation_metadata or ()))
        if problem is not None:
            return _refusing(problem)
        handler = await continuation(handler_call_details)
        if handler is None or method.startswith(_REFLECTION):
            return handler
        return _guarded(handler, Activity() if method.startswith(_STATUS) else self._activity)

    def _problem(self, metadata: dict[str, Any]) -> ContextaError | None:
        token = metadata.get(TOKEN_KEY, "")
        if not hmac.compare_digest(token.encode() if isinstance(token, str) else token, self._token):
            return UnauthenticatedError("the call carries no valid token of this workspace (daemon/token)")
        protocol = str(metadata.get(PROTOCOL_KEY, PROTOCOL_MAX))
        if not protocol.isascii() or not protocol.isdigit() or not PROTOCOL_MIN <= int(protocol[:9]) <= PROTOCOL_MAX:
            return ProtocolUnsupportedError(
                f"the daemon speaks protocol {PROTOCOL_MIN} to {PROTOCOL_MAX}, the caller {protocol[:40]!r}",
                details={"protocol_min": PROTOCOL_MIN, "protocol_max": PROTOCOL_MAX},
            )
        return None


class _Malformed:
    """Stands for a request whose bytes are no message, so that the caller gets an answer like any other."""


def _tolerant(deserialize: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    if deserialize is None:
        return None
    inner = deserialize

    def outer(data: bytes) -> Any:
        try:
            return inner(data)
        except Exception:  # whatever protobuf raises for bytes that are no message
            return _Malformed()

    return outer


def check_form(request: Any) -> None:
    """Raise InvalidRequestError for what is no message, or for the missing one of an empty stream."""
    if isinstance(request, _Malformed) or request is grpc.aio.EOF:
        raise InvalidRequestError("the bytes of the request are no message of its type")


def _refusing(problem: ContextaError) -> Any:
    async def refuse(request: Any, context: Any) -> Any:
        await abort(context, problem)

    return grpc.unary_unary_rpc_method_handler(refuse)


def _guarded(handler: Any, activity: Activity) -> Any:
    """The same handler, with its exceptions mapped and its time counted."""
    deserializer, serializer = _tolerant(handler.request_deserializer), handler.response_serializer
    if not handler.response_streaming:
        answer = handler.stream_unary or handler.unary_unary

        async def unary(request: Any, context: Any) -> Any:
            with activity:
                try:
                    check_form(request)
                    return await answer(request, context)
                except Exception as error:
                    await abort(context, error)

        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(unary, deserializer, serializer)
        return grpc.unary_unary_rpc_method_handler(unary, deserializer, serializer)
    stream = handler.unary_stream

    async def streaming(request: Any, context: Any) -> AsyncIterator[Any]:
        with activity:
            try:
                check_form(request)
                async for response in stream(request, context):
                    yield response
            except Exception as error:
                await abort(context, error)

    return grpc.unary_stream_rpc_method_handler(streaming, deserializer, serializer)
