"""Rules of single fields: functions from a given value to the value that a model keeps, or a ValidationError.

Field names mean the same in every model, so one table says the rule of each name; a model may say otherwise for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ..errors import ValidationError
from . import vocabulary as words
from .json_text import jsonable
from .keys import MAX_KEY_CHARS, is_artifact_kind, is_canonical_key
from .references import parse_ref
from .times import canonical_time

Rule = Callable[[str, Any], Any]


def wrong(field: str, value: object, expected: str, code: str = "value_wrong_type") -> ValidationError:
    """The error for a value that a field cannot take."""
    return ValidationError(
        f"{field} cannot be {value!r}; it takes {expected}.", code=code, details={"field": field, "value": value}
    )


def reference(kind: str | None = None) -> Rule:
    """A reference of a kind, or of any."""

    def rule(field: str, value: Any) -> str:
        return str(parse_ref(value, kind=kind, field=field))

    return rule


def choice(allowed: tuple[str, ...]) -> Rule:
    """One of some words."""

    def rule(field: str, value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise wrong(field, value, " or ".join(map(repr, allowed)), "value_not_allowed")
        return str(value)

    return rule


def text(field: str, value: Any) -> str:
    """Text with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise wrong(field, value, "text that is not empty")
    return value


def any_text(field: str, value: Any) -> str:
    """Text, which may be empty."""
    if not isinstance(value, str):
        raise wrong(field, value, "text")
    return value


def key(field: str, value: Any) -> str:
    """A key in its strict form."""
    if not is_canonical_key(value):
        expected = "dot-joined tokens of a to z, 0 to 9 and '-', each beginning with a letter, such as 'train.loss'"
        raise wrong(field, value, expected, "key_invalid")
    return str(value)


def captured_key(field: str, value: Any) -> str:
    """A key as users really write it."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_KEY_CHARS:
        raise wrong(field, value, f"text of 1 to {MAX_KEY_CHARS} characters", "key_invalid")
    return value


def artifact_kind(field: str, value: Any) -> str:
    """An artifact's kind."""
    if not is_artifact_kind(value):
        expected = "a to z, 0 to 9 and '_', beginning with a letter, such as 'model'"
        raise wrong(field, value, expected, "artifact_kind_invalid")
    return str(value)


def time(field: str, value: Any) -> str:
    """A time, as text in UTC."""
    return canonical_time(value, field=field)


def whole(field: str, value: Any) -> int:
    """A whole number of any sign and size."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise wrong(field, value, "a whole number")
    return int(value.__index__())


def count(field: str, value: Any) -> int:
    """A whole number, not negative."""
    number = whole(field, value)
    if number < 0:
        raise wrong(field, value, "a whole number, not negative")
    return number


def number(field: str, value: Any) -> float:
    """A number or a truth value, exactly as given; NaN and infinities too, which JSON holds as text."""
    if isinstance(value, str) and value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if isinstance(value, int | float):
        return value
    try:
        scalar = value.item()  # of numpy or torch
    except Exception:  # it has none, or holds many numbers
        scalar = None
    if not isinstance(scalar, int | float):
        raise wrong(field, value, "one number")
    return scalar


def mapping(field: str, value: Any) -> Mapping[str, Any]:
    """A mapping of texts to anything that JSON can hold."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise wrong(field, value, "a mapping with texts as keys")
    return MappingProxyType(jsonable(value))


def texts(field: str, value: Any) -> Mapping[str, str]:
    """A mapping of texts to texts."""
    checked = mapping(field, value)
    for name, item in checked.items():
        if not isinstance(item, str):
            raise wrong(f"{field}[{name!r}]", item, "text")
    return checked


def correlation(field: str, value: Any) -> Mapping[str, str]:
    """What a record belongs to besides its scopes: trace_id, session_id."""
    if not isinstance(value, Mapping):
        raise wrong(field, value, "a mapping with trace_id and session_id")
    checked = texts(field, {name: item for name, item in value.items() if item is not None})
    for name in checked:
        if name not in ("trace_id", "session_id"):
            raise wrong(field, value, "trace_id and session_id", "value_not_allowed")
    return checked


def several(rule: Rule) -> Rule:
    """A sequence, each item by a rule."""

    def each(field: str, value: Any) -> tuple[Any, ...]:
        if isinstance(value, str) or not hasattr(value, "__iter__"):
            raise wrong(field, value, "a sequence")
        return tuple(rule(f"{field}[{index}]", item) for index, item in enumerate(value))

    return each


def json_value(field: str, value: Any) -> Any:
    """Anything that JSON can hold."""
    return jsonable(value)


def schema_version(field: str, value: Any) -> str:
    """A version of this data model's first generation."""
    parts = value.split(".") if isinstance(value, str) else []
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts) or parts[0] != "1":
        raise wrong(field, value, "a version 1.x.y, such as '1.0.0'", "schema_version_unsupported")
    return str(value)


RULES: dict[str, Rule] = {
    "schema_version": schema_version,
    "extensions": several(json_value),
    "project_ref": reference("project"),
    "run_ref": reference("run"),
    "stage_execution_ref": reference("stage"),
    "batch_execution_ref": reference("batch"),
    "sample_observation_ref": reference("sample"),
    "operation_context_ref": reference("op"),
    "deployment_execution_ref": reference("deployment"),
    "environment_snapshot_ref": reference("environment"),
    "artifact_ref": reference("artifact"),
    "record_ref": reference("record"),
    "relation_ref": reference("relation"),
    "provenance_ref": reference("provenance"),
    "location_ref": text,
    "producer_ref": key,
    "correlation_refs": correlation,
    "evidence_refs": several(reference()),
    "linked_refs": several(reference()),
    "order_index": count,
    "size_bytes": count,
    "rank": count,
    "attempt": count,
    "step": whole,
    "value": number,
    "artifact_kind": artifact_kind,
    "metric_key": key,
    "event_key": key,
    "issue_key": key,
    "status": choice(words.STATUSES),
    "record_type": choice(words.RECORD_TYPES),
    "completeness_marker": choice(words.COMPLETENESS_MARKERS),
    "degradation_marker": choice(words.DEGRADATION_MARKERS),
    "origin_marker": choice(words.ORIGIN_MARKERS),
    "level": choice(words.LEVELS),
    "aggregation_scope": choice(words.AGGREGATION_SCOPES),
    "span_kind": choice(words.SPAN_KINDS),
    "category": choice(words.DEGRADED_CATEGORIES),
    "severity": choice(words.DEGRADED_SEVERITIES),
    "relation_type": choice(words.RELATION_TYPES),
    "assertion_mode": choice(words.ASSERTION_MODES),
    "confidence_marker": choice(words.CONFIDENCE_MARKERS),
    "message": any_text,
    "summary": any_text,
    "description": any_text,
    "unit": any_text,
    "tags": mapping,
    "attributes": mapping,
    "packages": texts,
    "environment_variables": texts,
}


def rule_of(field: str) -> Rule:
    """Return the rule of a field name: from the table, else by its ending (`_at`: a time, `_ref`: any reference)."""
    found = RULES.get(field)
    if found is not None:
        return found
    if field.endswith("_at"):
        return time
    return reference() if field.endswith("_ref") else text
