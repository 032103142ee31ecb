"""The long way of a capture call: checks, first uses, other types than float, sinks, and what could not be kept.

Everything given is checked before anything is captured. What is wrong raises with what to write instead; what the
outside world does (no room, no storage, no sender) only shows in the result and in the counts.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from time import time_ns
from typing import TYPE_CHECKING, Any

from contexta.capture import results
from contexta.capture.results import SUCCESS, BatchCaptureResult, CaptureResult, PayloadFamily
from contexta.contract import vocabulary as words
from contexta.contract.json_text import dumps
from contexta.contract.keys import MAX_KEY_CHARS, MAX_TEXT_BYTES
from contexta.contract.references import parse_ref, slug
from contexta.contract.times import canonical_time, parse_ns
from contexta.errors import ClosedScopeError, ValidationError

from . import scope_life
from .entry_encoding import utf8
from .notices import say_once
from .spool_format import encode_step
from .stream import FULL, NESTED, NO_STORAGE, TOO_LARGE, KeySpec, Stream
from .values import FLOAT, INT, PYTHON_TYPES, number, whole_step

if TYPE_CHECKING:
    from .scopes import Scope

PackError = struct.error

NO_SPOOL = "no place for a spool could be made, see the warning in the log"
DISABLED = CaptureResult("disabled", accepted=0, reason="capture.enabled is False")
_DROPPED = {reason: results.dropped(reason) for reason in (FULL, NO_STORAGE, TOO_LARGE, NESTED, NO_SPOOL)}
MAX_SPAN_NS = (1 << 63) - 1


def metric(
    scope: Scope,
    key: str,
    value: Any,
    unit: str | None,
    step: Any,
    aggregation_scope: str,
    tags: Mapping[str, Any] | None,
    summary_basis: str,
) -> CaptureResult:
    """Capture one metric of any kind."""
    check_open(scope)
    double, value_type, wide = number(value, key=key if isinstance(key, str) else "?")
    encoded = 0 if step is None else encode_step(whole_step(step))
    stream = _ready(scope, metrics=1)
    try:
        usage = (key, value_type, unit, aggregation_scope, summary_basis)
        series = scope.other_ids.get(usage) if tags is None else None
    except TypeError:  # something that is no text; the checks will say which
        series = None
    if series is None:
        spec = _key_spec(key, value_type, unit, aggregation_scope, tags, summary_basis)
        if isinstance(stream, CaptureResult):
            return stream
        series = _series(scope, stream, spec, usage if tags is None else None)
    if isinstance(stream, CaptureResult):
        return stream
    if not series:
        return result(stream.drop_undefined(metrics=1))
    if wide is None:
        reason = stream.row(series, double, encoded)
    else:
        reason = stream.wide(series >> 32, series & 0xFFFFFFFF, encoded, wide)
    if scope.recorder.feed.sinks:
        exact = wide if wide is not None else int(double) if value_type == INT else double
        scope.recorder.feed.metric(scope, key, exact, value_type, unit, step, aggregation_scope, tags, summary_basis)
    return result(reason)


def _series(scope: Scope, stream: Stream, spec: KeySpec, usage: Any) -> int:
    """Return the series of a key in a scope, remembered for the next call; 0 when there is no room to define it."""
    key_id = stream.key_id(spec)
    with scope.recorder.lock:
        ids, other_ids, series = scope.ids, scope.other_ids, scope.scope_id << 32 | key_id
        if not key_id or scope.closed_ns or scope.stream is not stream:  # or declared anew, by another thread
            return 0
        if usage is not None:
            other_ids[usage] = series
            if spec == _plain_spec(spec[0], FLOAT) and not scope.recorder.feed.sinks:
                ids[spec[0]] = series
        return series


def log(scope: Scope, metrics: Mapping[str, Any], step: Any) -> CaptureResult:
    """Capture many metrics with one time: as a row of a group where the set recurs, else one by one."""
    check_open(scope)
    if not isinstance(metrics, Mapping):
        raise ValidationError(
            f"log() takes a mapping such as {{'loss': 0.3}}, not a {type(metrics).__name__}.", code="log_wrong_type"
        )
    for key in metrics:
        check_key(key)
    numbers = [number(value, key=key) for key, value in metrics.items()]
    encoded = 0 if step is None else encode_step(whole_step(step))
    stream = _ready(scope, metrics=len(metrics))
    if isinstance(stream, CaptureResult):
        return stream if not metrics else results.dropped(stream.reason, count=len(metrics))
    if not metrics:
        return SUCCESS
    if not scope.recorder.feed.sinks and all(wide is None for _, _, wide in numbers):
        signature = (tuple(metrics), tuple(PYTHON_TYPES[kind] for _, kind, _ in numbers))

        def key_ids() -> list[int]:
            return [stream.key_id(_plain_spec(key, kind)) for key, (_, kind, _) in zip(metrics, numbers, strict=True)]

        group = stream.groups.known.get(signature) or stream.group(signature, key_ids)
        if group is not None:
            reason = _group_row(stream, group, [each[0] for each in numbers], encoded, scope.scope_id)
            return results.dropped(reason, count=len(metrics)) if reason else SUCCESS
    outcomes = [scope.metric(key, value, step=step) for key, value in metrics.items()]
    lost = sum(not each.ok for each in outcomes)
    if lost == 0:
        return SUCCESS
    if lost == len(outcomes) == 1:
        return outcomes[0]
    return BatchCaptureResult(tuple(outcomes))


def _group_row(stream: Stream, group: Any, values: list[float], step: int, scope_id: int) -> str:
    while True:
        claim, capacity, memory = block = group.block
        index = -1
        try:
            index = claim()
            if index < capacity:
                now = time_ns()
                group.pack(memory, index * group.row_bytes, *values, step, scope_id, now)
                break
        except BaseException:
            group.abandon(block, index)
            raise
        reason = stream.next_group_block(group, block)
        if reason:
            return reason
    if stream.rows.due(now):
        stream.rows.look(now)
    return ""


def event(scope: Scope, key: str, message: Any, level: str, attributes: Any, tags: Any) -> CaptureResult:
    """Capture an event."""
    check_open(scope)
    check_key(key)
    choose("level", level, words.LEVELS)
    fields = {
        "key": key,
        "level": level,
        "message": message if isinstance(message, str) else str(message),
        "attributes_json": json_of("attributes", attributes),
        "tags_json": json_of("tags", tags),
    }
    stream = _ready(scope, entries=1)
    if isinstance(stream, CaptureResult):
        return stream
    reason = stream.entry("event", {"scope_id": scope.scope_id, **fields})
    if scope.recorder.feed.sinks:
        scope.recorder.feed.event(scope, key, fields["message"], level, attributes)
    return result(reason)


def span(
    scope: Scope,
    name: str,
    started_at: Any,
    ended_at: Any,
    status: str,
    span_kind: str,
    attributes: Any,
    linked_refs: Sequence[str] | None,
    parent_span_id: str | None,
) -> CaptureResult:
    """Capture a span. Without times it is a moment; with a start alone it ends now."""
    check_open(scope)
    check_key(name, what="span name")
    choose("status", status, words.SPAN_STATUSES)
    choose("span_kind", span_kind, words.SPAN_KINDS)
    now = time_ns()
    ended = moment_ns("ended_at", ended_at, now)
    started = moment_ns("started_at", started_at, ended)
    if started > ended:
        raise ValidationError(
            f"The span {name!r} ends ({ended_at or 'now'}) before it starts ({started_at}).", code="span_times_reversed"
        )
    linked = _references(linked_refs)
    fields: dict[str, Any] = {
        "name": name,
        "span_id": _random_hex(8),
        "parent_span_id": _optional_text("parent_span_id", parent_span_id),
        "started_ns": started,
        "ended_ns": ended,
        "status": status,
        "span_kind": span_kind,
        "attributes_json": json_of("attributes", attributes),
        "linked_ref": linked,
    }
    stream = _ready(scope, entries=1)
    if isinstance(stream, CaptureResult):
        return stream
    fields["trace_id"] = scope.recorder.trace_id(scope)  # known now: it is of the session, and the root's id in it
    reason = stream.entry("span", {"scope_id": scope.scope_id, **fields})
    if scope.recorder.feed.sinks:
        scope.recorder.feed.span(scope, fields, attributes)
    if reason:
        return result(reason)
    return CaptureResult(payload={"span_id": fields["span_id"], "trace_id": fields["trace_id"]})


def emit(scope: Scope, emission_name: str, emissions: Sequence[Any]) -> BatchCaptureResult:
    """Capture a sequence of emissions of one class, or mappings with its fields."""
    from dataclasses import fields

    from contexta.capture import emissions as shapes

    check_open(scope)
    shape = getattr(shapes, emission_name)
    calls: dict[str, Callable[..., CaptureResult]] = {
        "MetricEmission": scope.metric,
        "EventEmission": scope.event,
        "SpanEmission": scope.span,
        "ArtifactRegistrationEmission": scope.register_artifact,
    }
    call = calls[emission_name]
    positional = {"MetricEmission": 2, "EventEmission": 1, "SpanEmission": 1, "ArtifactRegistrationEmission": 2}
    names = [field.name for field in fields(shape)]
    first = positional[emission_name]
    given = [shape.of(each) for each in emissions]
    outcomes = [
        call(*(getattr(each, name) for name in names[:first]), **{name: getattr(each, name) for name in names[first:]})
        for each in given
    ]
    family = PayloadFamily.ARTIFACT if emission_name.startswith("Artifact") else PayloadFamily.RECORD
    return BatchCaptureResult(tuple(outcomes), family=family)


def _ready(scope: Scope, *, metrics: int = 0, entries: int = 0) -> Stream | CaptureResult:
    """Return the stream that takes the scope's records, or the result of a call that cannot be kept and is counted."""
    if not scope.recorder.enabled:
        return DISABLED
    stream = scope_life.declared(scope)
    return stream if stream is not None else result(unkept_reason(scope, metrics=metrics, entries=entries))


def unkept_reason(scope: Scope, *, metrics: int = 0, entries: int = 0) -> str:
    """Count what cannot be kept because its scope is not in a stream; return why."""
    check_open(scope)
    if not scope.recorder.enabled:
        return DISABLED.reason
    stream = scope.recorder.stream()
    if stream is None:
        scope.recorder.note_unkept(metrics, entries)
        return NESTED if scope.recorder.beginning else NO_SPOOL
    return stream.drop_undefined(metrics=metrics, entries=entries, nested=scope.declaring)


def result(reason: str) -> CaptureResult:
    """Return the result for why something was not kept; empty: it was."""
    return SUCCESS if not reason else _DROPPED.get(reason) or results.dropped(reason)


# --- checks ----------------------------------------------------------------------------------------------------------


def check_open(scope: Scope) -> None:
    """Raise ClosedScopeError on a scope that is closed."""
    if scope.closed_ns:
        raise ClosedScopeError(
            f"The {scope.kind_name} {scope.name!r} was closed ({scope.status}) at {scope.closed_at}. "
            f"Capture inside its `with` block, or open a new {scope.kind_name}.",
            details={"ref": scope.ref},
        )


def component(name: str, kind: str) -> str:
    """Return what stands for a name in references; say once for each kind when letters are left out of it, since then
    things of different names may be one. Raises ValidationError."""
    made = slug(name, what=f"{kind} name")
    if not name.isascii():
        say_once(
            f"letters of a {kind}",
            f"the {kind} name {name!r} is {made!r} in references, where only a to z and 0 to 9 stand; a {kind} whose "
            "name differs in other letters alone is the same one",
        )
    return made


def check_key(key: Any, *, what: str = "key") -> None:
    """Raise ValidationError for what is no key: any text of 1 to 255 characters is one."""
    if not isinstance(key, str) or not 0 < len(key) <= MAX_KEY_CHARS:
        raise ValidationError(
            f"The {what} is {key!r}; write text of 1 to {MAX_KEY_CHARS} characters, such as 'train.loss'.",
            code="key_invalid",
            details={"key": key},
        )


def choose(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    """Raise ValidationError unless the value is one of the allowed words."""
    if value not in allowed:
        raise ValidationError(
            f"{name} is {value!r}; write one of {', '.join(map(repr, allowed))}.",
            code="value_not_allowed",
            details={"field": name, "value": value},
        )


def json_of(name: str, value: Any) -> str:
    """Return a mapping as JSON, empty for none. Raises ValidationError for what is no mapping."""
    if value is None:
        return ""
    if not isinstance(value, Mapping):
        raise ValidationError(
            f"{name} is a {type(value).__name__}; write a mapping such as {{'fold': 3}}.",
            code="value_wrong_type",
            details={"field": name},
        )
    if not value:
        return ""
    return dumps(value)


def texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Return the texts that are there. Raises ValidationError for what is no text."""
    return {name: _optional_text(name, value) for name, value in values.items() if value is not None}


def moment_ns(name: str, value: Any, default: int) -> int:
    """Return a time given as ISO-8601 text or aware datetime in nanoseconds since 1970. Raises ValidationError."""
    if value is None:
        return default
    time = parse_ns(canonical_time(value, field=name))
    if abs(time) > MAX_SPAN_NS:
        raise ValidationError(f"{name} is {value!r}; give a time between 1678 and 2262.", code="time_out_of_range")
    return time


def _optional_text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ValidationError(
            f"{name} is {value!r}; write text.", code="value_wrong_type", details={"field": name, "value": value}
        )
    return value


def _references(values: Sequence[str] | None) -> list[str]:
    if not values:
        return []
    if isinstance(values, str):
        raise ValidationError(f"linked_refs is one text; write [{values!r}].", code="value_wrong_type")
    return [str(parse_ref(value, field="linked_refs")) for value in values]


def _plain_spec(key: str, value_type: str) -> KeySpec:
    return key, "", value_type, "step", "raw_observation", ""


def _key_spec(key: Any, value_type: str, unit: Any, aggregation_scope: Any, tags: Any, summary_basis: Any) -> KeySpec:
    check_key(key)
    choose("aggregation_scope", aggregation_scope, words.AGGREGATION_SCOPES)
    basis = _of_a_metric("summary_basis", _optional_text("summary_basis", summary_basis))
    unit = _of_a_metric("unit", _optional_text("unit", unit))
    return key, unit, value_type, aggregation_scope, basis, _of_a_metric("tags", json_of("tags", tags))


def _of_a_metric(name: str, text: str) -> str:
    """Return what is said of every value of a metric. Raises ValidationError where it is too large for that."""
    size = len(utf8(text))
    if size > MAX_TEXT_BYTES:
        raise ValidationError(
            f"{name} takes {size} bytes; at most {MAX_TEXT_BYTES} are kept with each value of a metric. Write a short "
            "name there, and give the rest once: in the attributes of an event, or as an artifact.",
            code="value_too_large",
            details={"field": name, "size_bytes": size, "limit_bytes": MAX_TEXT_BYTES},
        )
    return text


def _random_hex(count: int) -> str:
    from os import urandom

    return urandom(count).hex()
