"""Whatever users put in: text becomes valid references, values strict JSON, and nothing raises but ValidationError."""

from __future__ import annotations

import json
import struct
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from contexta.contract import (
    MODELS,
    MetricPayload,
    RecordEnvelope,
    deserialize_metric_payload,
    deserialize_record,
    format_ns,
    is_ref,
    parse_ns,
    validate,
)
from contexta.contract.json_text import dumps
from contexta.contract.model import plan
from contexta.contract.references import slug
from contexta.errors import ValidationError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(), inner, max_size=4),
    max_leaves=12,
)


def refuse(token: str) -> Any:
    raise AssertionError(f"{token} is not JSON")


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_every_value_becomes_strict_json_on_one_line(value: object) -> None:
    text = dumps(value)
    assert "\n" not in text
    json.loads(text.encode("utf-8"), parse_constant=refuse)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=200))
def test_a_name_becomes_a_valid_component_or_is_refused(name: str) -> None:
    try:
        component = slug(name)
    except ValidationError:
        return
    assert is_ref(f"project:{component}")


@settings(max_examples=200, deadline=None)
@given(st.floats())
def test_a_value_comes_back_from_json_exactly(value: float) -> None:
    payload = MetricPayload(metric_key="loss", value=value, value_type="float64")
    again = deserialize_metric_payload(payload.to_json())
    assert again == payload
    if value == value:
        assert struct.pack("d", again.value) == struct.pack("d", value)


@settings(max_examples=200, deadline=None)
@given(st.integers(min_value=-(2**62), max_value=2**63 - 1))
def test_a_time_comes_back_to_the_microsecond(time_ns: int) -> None:
    assert parse_ns(format_ns(time_ns)) == time_ns // 1000 * 1000


@settings(max_examples=200, deadline=None)
@given(VALUES | st.fixed_dictionaries({"envelope": VALUES, "payload": VALUES}))
def test_hostile_records_raise_nothing_but_a_validation_error(value: Any) -> None:
    for source in (value, dumps(value)):
        try:
            deserialize_record(source)
        except ValidationError:
            continue
        raise AssertionError("accepted")


FIELDS = [(model, name) for model in (*MODELS.values(), RecordEnvelope, MetricPayload) for name, _, _ in plan(model)]


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(FIELDS), VALUES | st.lists(st.text()) | st.dictionaries(st.text(), st.text()))
def test_a_hostile_field_raises_nothing_but_a_validation_error(field: tuple[Any, str], value: Any) -> None:
    model, name = field
    validated = validate(model, {name: value})
    assert not validated.ok
    try:
        model.from_dict({name: value})
    except ValidationError:
        return
    raise AssertionError("accepted")
