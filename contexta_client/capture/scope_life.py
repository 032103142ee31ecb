"""How scopes begin and end: declared in the stream, entered, closed innermost first, left by an exception."""

from __future__ import annotations

import os
from time import time_ns
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from contexta.contract.times import format_ns
from contexta.errors import ValidationError

from .current import is_within
from .entry_encoding import utf8
from .journal import MAX_ENTRY_BYTES
from .redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .scopes import Scope
    from .session import Recorder
    from .stream import Stream

CLOSED_STATUSES: Final = ("completed", "failed", "cancelled")
MAX_REASON_CHARS = 2000
ROOM_FOR_REFS = 4096  # of the entry that tells of a scope
_NO_IDS: Final[Any] = MappingProxyType({})  # a closed scope's: every look-up fails, and nothing can be added


def time_text(time_ns_: int) -> str:
    """Return nanoseconds since 1970 as ISO-8601 text in UTC."""
    return format_ns(time_ns_)


def check_size(recorder: Recorder, kind_name: str, fields: Mapping[str, Any]) -> None:
    """Raise ValidationError when what is said of a new scope is more than one entry takes, or would leave the spool no
    room for what is captured in the scope: nothing in it could be kept."""
    limit = min(MAX_ENTRY_BYTES, recorder.config.capture.spool_bytes // 4) - ROOM_FOR_REFS
    texts = [text for text in fields.values() if isinstance(text, str)]
    if 4 * sum(map(len, texts)) <= limit:  # no letter takes more
        return
    sizes = {name: len(utf8(text)) for name, text in fields.items() if isinstance(text, str)}
    size = sum(sizes.values())
    if size > limit:
        field = max(sizes, key=sizes.__getitem__).removesuffix("_json")
        raise ValidationError(
            f"What is said of the {kind_name} takes {size} bytes, most of it its {field}; at most {limit} can be kept. "
            "Write less there, and register the whole of it as an artifact.",
            code="value_too_large",
            details={"field": field, "size_bytes": size, "limit_bytes": limit},
        )


def opened(scope: Scope) -> None:
    """Note a new scope, declare it, and make it the current one here: in that order, so that a call nested in the
    declaration goes to the scope around it."""
    recorder = scope.recorder
    with recorder.lock:
        siblings = recorder.roots if scope.parent is None else scope.parent.children
        siblings[id(scope)] = scope
    declared(scope)
    recorder.current.enter(scope)
    recorder.feed.scope(scope)


def entered(scope: Scope) -> None:
    """Make a scope the current one where its `with` block runs, which may be another thread or task."""
    recorder = scope.recorder
    if recorder.current.variable.get() is not scope:
        with recorder.lock:  # of two that enter one another's scopes at once, the second sees what the first did
            here = recorder.current.innermost()
            scope.entered_from = here
            if scope.parent is None and not is_within(here, scope):
                scope.outer = here
        recorder.current.enter(scope)


def declared(scope: Scope) -> Stream | None:
    """Return the stream that knows the scope, telling it if need be.

    None when there is no stream, or no room in it, or when this call is nested in one that tells it just now.
    """
    stream = scope.recorder.stream()
    if stream is None:
        return None
    if scope.stream is not stream:
        refused = stream.insist(lambda: _declare(scope, stream))
        if refused:
            stream.tell(refused)
    return stream if scope.stream is stream else None


def _declare(scope: Scope, stream: Stream) -> str:
    """Tell a stream of a scope and of what it is in. Returns why there was no room for it, or an empty text."""
    with scope.recorder.lock:
        if scope.stream is stream or scope.closed_ns or scope.declaring:
            return ""
        scope.declaring = True
        try:
            parent = scope.parent
            refused = _declare(parent, stream) if parent is not None and parent.stream is not stream else ""
            return _commit(scope, stream) if parent is None or parent.stream is stream else refused
        finally:
            scope.declaring = False


def _commit(scope: Scope, stream: Stream) -> str:
    parent = scope.parent
    scope_id = next(stream.scope_ids)
    fields = {
        "scope_id": scope_id,
        "parent_id": 0 if parent is None else parent.scope_id,
        "kind": scope.kind_number,
        "ref": scope.ref,
        "name": scope.name,
        "inherited": scope.pid != os.getpid(),
        **scope.fields,
    }
    refused = stream.entry("scope_opened", fields, at_ns=scope.opened_ns, tried_again=True)
    if refused:
        return refused
    ids: dict[str, int] = {}
    other_ids: dict[Any, int] = {}
    # From this test to the last store no bytecode runs a signal handler, and nothing is allocated.
    if not scope.closed_ns:
        # A thread on the hot path reads rows before ids: with new rows it must not find old ids.
        scope.ids = ids
        scope.other_ids = other_ids
        scope.scope_id = scope_id
        scope.rows = stream.rows
        scope.stream = stream
        if not scope.recorder.feed.sinks:
            scope.group_scope_id = scope_id
    else:  # by a nested call
        fields = {"scope_id": scope_id, "status": scope.status}
        stream.entry("scope_closed", fields, at_ns=scope.closed_ns, owed=True)
    return ""


def undeclare(scope: Scope) -> None:
    """Make a scope and what is open in it forget their stream, after a fork or when the spool is gone."""
    scope.ids = {}
    scope.other_ids = {}
    scope.group_scope_id = 0
    scope.rows = scope.no_rows
    scope.stream = None
    scope.declaring = False
    for child in list(scope.children.values()):
        undeclare(child)


def close(scope: Scope, status: str, reason: str | BaseException, *, wait: bool = True) -> None:
    """Close a scope and what is open in it. One that a parent process opened is closed in this process only.

    Raises ValidationError, and leaves all as it was, for a status that does not exist and a reason that is no text.
    """
    if status not in CLOSED_STATUSES:
        raise ValidationError(
            f"A {scope.kind_name} cannot be closed as {status!r}; write {', '.join(map(repr, CLOSED_STATUSES))}.",
            code="status_invalid",
            details={"status": status},
        )
    recorder = scope.recorder
    if isinstance(reason, BaseException):
        reason = _reason(type(reason).__name__, reason, recorder.config.security.secret_names)
    elif not isinstance(reason, str):
        raise ValidationError(
            f"The reason is a {type(reason).__name__}; write text, or give the exception.",
            code="value_wrong_type",
            details={"field": "reason"},
        )
    own = scope.pid == os.getpid()
    # Children, sinks, and what warns of a refusal may run the user's code: none of it under the lock.
    for child in reversed(list(scope.children.values())):
        close(child, status, reason, wait=False)
    stream = declared(scope) if own else None
    closed_ns = max(time_ns(), scope.opened_ns)
    with recorder.lock:
        if scope.closed_ns:
            return
        scope.status = status
        scope.closed_ns = closed_ns
        stream = stream if scope.stream is stream else None
        scope.ids = scope.other_ids = _NO_IDS
        scope.group_scope_id = 0
        if stream is not None:
            fields = {"scope_id": scope.scope_id, "status": status, "reason": reason[:MAX_REASON_CHARS]}
            stream.entry("scope_closed", fields, at_ns=scope.closed_ns, owed=True)
        siblings = recorder.roots if scope.parent is None else scope.parent.children
        siblings.pop(id(scope), None)
    recorder.current.leave(scope)
    scope.rows = scope.no_rows
    scope.stream = None
    if own:
        recorder.feed.scope(scope)
    if wait and own and scope.waits_when_closed and stream is not None:
        recorder.settle_within_bounds()


def outcome(
    kind: type[BaseException] | None, error: BaseException | None, secret_names: Sequence[str]
) -> tuple[str, str]:
    """Return the status and the reason of a scope that is left with an exception, or without one.

    What an error says was written by nobody for the record, and often shows what was connected to: secrets are taken
    out of it.
    """
    if kind is None:
        return "completed", ""
    if issubclass(kind, SystemExit):
        code = getattr(error, "code", None)
        return ("completed", "") if code in (None, 0) else ("failed", _reason("SystemExit", code, secret_names))
    name = kind.__name__
    reason = _reason(name, error, secret_names)
    # asyncio.CancelledError, by name: importing asyncio here would cost 50 ms.
    cancelled = issubclass(kind, KeyboardInterrupt | GeneratorExit) or name in ("CancelledError", "Cancelled")
    return "cancelled" if cancelled else "failed", reason


def _reason(name: str, said: object, secret_names: Sequence[str]) -> str:
    try:
        text = str(said)
    except Exception:  # an exception of the user's that cannot tell
        text = ""
    if not text:
        return name
    return f"{name}: {redact_text(text, secret_names)}"[:MAX_REASON_CHARS]
