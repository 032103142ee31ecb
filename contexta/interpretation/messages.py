"""Answers to messages of contexta.v1 and back, by the names of their fields.

A message's field stands for the dataclass's field of the same name. An empty text or an absent optional field is None
where the dataclass allows it; a field `<name>_json` holds the JSON of the mapping or list `<name>`. So an answer of one
shape needs no code of its own on either side.
"""

from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from google.protobuf.message import Message

from ..contract.json_text import dumps
from ..v1 import query_pb2
from .answer import Answer, plain
from .observed import ObservationRecord
from .series import StepSeries

AnswerT = TypeVar("AnswerT", bound=Answer)
MessageT = TypeVar("MessageT", bound=Message)

_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_message(answer: Answer, kind: type[MessageT]) -> MessageT:
    """Return the message of an answer. Fields that the message lacks are left out."""
    message = kind()
    _fill(message, answer)
    return message


def from_message(message: Message, kind: type[AnswerT], **more: Any) -> AnswerT:
    """Return the answer of a message. more: fields that do not come from it."""
    values = dict(more)
    for name, hint in _hints(kind).items():  # type: ignore[arg-type]
        if name not in values:
            found = _read(message, name, hint)
            if found is not MISSING:
                values[name] = found
    return kind(**values)


def step_series(reply: query_pb2.GetStepSeriesResponse, metric_key: str) -> StepSeries:
    """Return the series of a reply; its columns are not copied."""
    import numpy as np

    values = np.frombuffer(reply.value, "<f8")
    count = len(values)
    if reply.step_stride:
        steps = np.arange(count, dtype=np.int64) * reply.step_stride + reply.step_start
    else:
        steps = np.frombuffer(reply.step, "<i8")
    ranks = np.frombuffer(reply.rank, "<i4")
    return StepSeries(
        run_id=reply.run_id,
        metric_key=metric_key,
        stage_id=reply.stage_id or None,
        steps=steps,
        has_step=np.frombuffer(reply.has_step, np.bool_) if reply.has_step else np.ones(count, dtype=np.bool_),
        values=values,
        times_ns=np.frombuffer(reply.time_ns, "<i8"),
        ranks=ranks if len(ranks) else np.full(count, reply.rank_of_all if count else -1, dtype=np.int32),
        unit=reply.unit or None,
        total_points=reply.total_points,
        wide={place: int(text) for place, text in reply.wide.items()},
    )


def _fill(message: Message, answer: Answer) -> None:
    for field in message.DESCRIPTOR.fields:
        name = field.name.removesuffix("_json")
        value = getattr(answer, name, None)
        if value is None:
            continue
        if field.name.endswith("_json"):
            if value:
                setattr(message, field.name, dumps(plain(value)))
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            getattr(message, field.name).update({key: item for key, item in value.items() if item is not None})
        elif field.message_type is not None and _is_repeated(field):
            for item in value:
                _fill(getattr(message, field.name).add(), item)
        elif field.message_type is not None:
            target = getattr(message, field.name)
            target.SetInParent()
            _fill(target, value)
        elif _is_repeated(field):
            getattr(message, field.name).extend(value)
        else:
            setattr(message, field.name, value)


def _read(message: Message, name: str, hint: Any) -> Any:
    descriptor = message.DESCRIPTOR.fields_by_name
    kind, optional = _without_none(hint)
    if f"{name}_json" in descriptor:
        text = getattr(message, f"{name}_json")
        if not text:
            return None if optional else {} if _is_mapping(kind) else ()
        return _frozen(_parsed(text), kind)
    field = descriptor.get(name)
    if field is None:
        return MISSING
    value = getattr(message, name)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return dict(value)
    if _is_repeated(field):
        inner = get_args(kind)[0]
        if field.message_type is not None:
            return tuple(from_message(item, inner) for item in value)
        return tuple(value)
    if field.message_type is not None:
        return from_message(value, kind) if message.HasField(name) else None
    if field.has_presence:
        return value if message.HasField(name) else None
    return None if optional and value == "" else value


def _is_repeated(field: Any) -> bool:
    known = getattr(field, "is_repeated", None)  # since protobuf 6.31, where asking for the label warns
    return bool(field.label == field.LABEL_REPEATED) if known is None else bool(known)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"text": text}  # a producer in another language may have put anything


def _mapping(text: str) -> Any:
    return _frozen(_parsed(text or "{}"), Mapping)


def _frozen(value: Any, kind: Any) -> Any:
    """Return parsed JSON as the type that a field promises: tuples for sequences, floats for texts of numbers."""
    if _is_mapping(kind):
        value = value if isinstance(value, dict) else {"value": value}
        item = (get_args(kind) or (str, Any))[1]
        return {key: _frozen(each, item) for key, each in value.items()} if item is not Any else value
    if get_origin(kind) is tuple and isinstance(value, list):
        inner = get_args(kind)
        item = inner[0] if inner and inner[-1] is Ellipsis else Any
        return tuple(_frozen(each, item) for each in value)
    if float in get_args(kind) and isinstance(value, str):
        return _NUMBERS.get(value, value)
    return value


def _is_mapping(kind: Any) -> bool:
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, Mapping) and not issubclass(origin, Sequence)


def _without_none(hint: Any) -> tuple[Any, bool]:
    """Return (the type, whether None is allowed too)."""
    if get_origin(hint) in (Union, types.UnionType):
        given = [each for each in get_args(hint) if each is not type(None)]
        optional = len(given) < len(get_args(hint))
        return (given[0] if len(given) == 1 else Union[tuple(given)]), optional  # noqa: UP007 - made at run time
    return hint, False


@cache
def _hints(kind: type[Answer]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}  # type: ignore[arg-type]


def observation(record: query_pb2.Record) -> ObservationRecord:
    """Return a record as questions return it; a metric's value is exact."""
    which = record.WhichOneof("value")
    value = None if which is None else record.number if which == "number" else int(record.integer)
    return ObservationRecord(
        record_id=record.record_ref,
        run_id=record.run_id,
        stage_id=record.stage_id or None,
        batch_id=record.batch_id or None,
        sample_id=record.sample_id or None,
        record_type=record.record_type,
        key=record.key,
        observed_at=record.observed_at,
        value=value,
        message=record.message or None,
        completeness_marker=record.completeness_marker,
        degradation_marker=record.degradation_marker,
        payload=_mapping(record.payload_json),
        tags=_mapping(record.tags_json),
        schema_version=record.schema_version,
        producer_ref=record.producer_ref or None,
        correlation_id=record.trace_id or None,
        unit=record.unit or None,
        step=record.step if record.HasField("step") else None,
        rank=record.rank if record.HasField("rank") else None,
        operation_id=record.operation_id or None,
        deployment_id=record.deployment_id or None,
        attempt=record.attempt,
        recorded_at=record.recorded_at or None,
    )
