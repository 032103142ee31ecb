"""Records: their rules, their JSON, and everything that is wrong at once."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import numpy as np
import pytest

from contexta import contract
from contexta.contract import (
    DegradedPayload,
    DegradedRecord,
    MetricPayload,
    MetricRecord,
    RecordEnvelope,
    StructuredEventPayload,
    StructuredEventRecord,
    TraceSpanPayload,
    TraceSpanRecord,
    deserialize,
    deserialize_metric_record,
    deserialize_record,
    to_json,
    to_payload,
    validate_metric_record,
    validate_run,
)
from contexta.errors import ValidationError

ENVELOPE: dict[str, Any] = {
    "record_ref": "record:p.r.metric-1",
    "record_type": "metric",
    "recorded_at": "2025-01-10T09:00:00Z",
    "observed_at": "2025-01-10T09:00:00Z",
    "producer_ref": "contexta.case11",
    "run_ref": "run:p.r",
    "stage_execution_ref": "stage:p.r.train",
}
METRIC: dict[str, Any] = {"metric_key": "accuracy", "value": 0.5, "value_type": "float64"}
EVENT: dict[str, Any] = {"event_key": "dataset.loaded", "level": "info", "message": "Loaded."}
SPAN: dict[str, Any] = {
    "span_id": "a1",
    "trace_id": "b2",
    "span_name": "forward",
    "started_at": "2025-01-10T09:00:00Z",
    "ended_at": "2025-01-10T09:00:01Z",
    "status": "ok",
    "span_kind": "operation",
}
DEGRADED: dict[str, Any] = {
    "issue_key": "capture.dropped",
    "category": "capture",
    "severity": "warning",
    "summary": "3 metrics were not kept.",
}


def envelope(**changes: Any) -> RecordEnvelope:
    return RecordEnvelope(**{**ENVELOPE, **changes})


def metric(value: Any = 0.5, **changes: Any) -> MetricRecord:
    return MetricRecord(envelope=envelope(), payload=MetricPayload(**{**METRIC, "value": value, **changes}))


def code_of(build: Any, **values: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        build(**values)
    return caught.value.code


def test_every_record_comes_back_from_its_json() -> None:
    records = [
        metric(),
        StructuredEventRecord(envelope=envelope(record_type="event"), payload=StructuredEventPayload(**EVENT)),
        TraceSpanRecord(envelope=envelope(record_type="span"), payload=TraceSpanPayload(**SPAN)),
        DegradedRecord(
            envelope=envelope(record_type="degraded", degradation_marker="capture_gap", completeness_marker="absent"),
            payload=DegradedPayload(**DEGRADED),
        ),
    ]
    for record in records:
        again = deserialize_record(to_json(record))
        assert type(again) is type(record)
        assert again == record
        assert again.ref == record.ref == ENVELOPE["record_ref"]
        assert deserialize(type(record).__name__, to_payload(record)) == record


def test_a_record_prints_as_envelope_and_payload() -> None:
    plain = metric().to_dict()
    assert list(plain) == ["envelope", "payload"]
    assert plain["envelope"]["stage_execution_ref"] == "stage:p.r.train"
    assert plain["payload"]["value"] == 0.5


def test_a_record_shares_its_runs_prefix() -> None:
    assert code_of(envelope, record_ref="record:p.other.metric-1") == "record_ref_prefix_mismatch"


def test_a_batch_sample_or_operation_of_a_record_needs_its_stage() -> None:
    code = code_of(envelope, stage_execution_ref=None, batch_execution_ref="batch:p.r.train.b")
    assert code == "stage_execution_ref_missing"


def test_a_record_of_a_deployment_needs_no_run() -> None:
    values = {"run_ref": None, "stage_execution_ref": None, "record_ref": "record:p.prod.event-1"}
    assert envelope(**values, deployment_execution_ref="deployment:p.prod").run_ref is None
    assert code_of(envelope, **values) == "run_ref_missing"


def test_a_record_is_not_recorded_before_it_was_observed() -> None:
    assert code_of(envelope, observed_at="2025-01-10T09:00:00.000000001Z") == "recorded_before_observed"
    assert envelope(recorded_at="2025-01-10T11:00:00+01:00")


def test_only_a_degraded_record_may_be_absent() -> None:
    assert code_of(envelope, completeness_marker="absent") == "completeness_marker_not_allowed"


def test_a_degraded_record_says_what_degraded_it() -> None:
    assert code_of(envelope, record_type="degraded") == "degradation_marker_missing"


def test_a_record_whose_envelope_names_another_type_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        MetricRecord(envelope=envelope(record_type="event"), payload=MetricPayload(**METRIC))
    assert caught.value.code == "record_type_mismatch"


@pytest.mark.parametrize(
    ("field", "value"),
    [("completeness_marker", "whole"), ("degradation_marker", "broken"), ("record_type", "log")],
)
def test_an_envelope_takes_only_its_words(field: str, value: str) -> None:
    assert code_of(envelope, **{field: value}) == "value_not_allowed"


@pytest.mark.parametrize(
    ("model", "values", "field"),
    [
        (StructuredEventPayload, EVENT, "level"),
        (StructuredEventPayload, EVENT, "origin_marker"),
        (MetricPayload, METRIC, "aggregation_scope"),
        (TraceSpanPayload, SPAN, "status"),
        (TraceSpanPayload, SPAN, "span_kind"),
        (DegradedPayload, DEGRADED, "category"),
        (DegradedPayload, DEGRADED, "severity"),
    ],
)
def test_a_payload_takes_only_its_words(model: Any, values: dict[str, Any], field: str) -> None:
    assert code_of(model, **{**values, field: "completed"}) == "value_not_allowed"


@pytest.mark.parametrize("key", ["train/loss", "val_acc", "Loss", "1loss", "", ".a", "a.", "a..b", "a b"])
def test_a_model_asks_for_a_strict_key_and_reading_takes_what_was_captured(key: str) -> None:
    assert code_of(MetricPayload, **{**METRIC, "metric_key": key}) == "key_invalid"
    if key:
        read = MetricPayload.from_dict({**METRIC, "metric_key": key})
        assert read.metric_key == key
        assert contract.deserialize_metric_payload(read.to_json()) == read
    assert not contract.is_canonical_key(key)


def test_a_correlation_has_a_trace_and_a_session_only() -> None:
    assert envelope(correlation_refs={"trace_id": "a", "session_id": None}).correlation_refs == {"trace_id": "a"}
    assert code_of(envelope, correlation_refs={"user": "a"}) == "value_not_allowed"


@pytest.mark.parametrize(
    ("value", "text"), [(math.nan, '"NaN"'), (math.inf, '"Infinity"'), (-math.inf, '"-Infinity"'), (2**70, str(2**70))]
)
def test_values_that_json_has_no_number_for_are_texts_and_come_back(value: Any, text: str) -> None:
    record = metric(value)
    assert f'"value":{text}' in to_json(record)
    again = deserialize_metric_record(to_json(record)).payload.value
    assert again == value or (math.isnan(again) and math.isnan(value))


@pytest.mark.parametrize("value", [-0.0, 5e-324, 1.7976931348623157e308, 0.1, 0.9777777777777777])
def test_a_float_comes_back_bit_for_bit(value: float) -> None:
    again = deserialize_metric_record(to_json(metric(value))).payload.value
    assert struct.pack("d", again) == struct.pack("d", value)


def test_a_scalar_of_numpy_is_a_number() -> None:
    assert metric(np.float32(0.5)).payload.value == 0.5
    assert metric(np.int64(7)).payload.value == 7


@pytest.mark.parametrize("value", ["0.5", "nan", None, [], {}, object()])
def test_a_value_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        metric(value)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "NaN", '{"envelope": NaN}', "null", '{"envelope": 3}', "\0"])
def test_text_that_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        deserialize_record(text)
    with pytest.raises(ValidationError):
        deserialize_metric_record(text)


def test_an_unknown_model_is_refused_and_the_nearest_named() -> None:
    with pytest.raises(ValidationError, match="'MetricRecord'"):
        deserialize("MetricRecords", "{}")


def test_attributes_hold_whatever_users_put_in_as_strict_json() -> None:
    attributes = {"nan": math.nan, "array": np.arange(2), "nested": {1: (np.float64(2.5), None)}, "odd": "\ud800"}
    event = StructuredEventPayload(**EVENT, attributes=attributes)
    plain = json.loads(event.to_json(), parse_constant=lambda token: pytest.fail(token))["attributes"]
    assert plain == {"nan": "NaN", "array": [0, 1], "nested": {"1": [2.5, None]}, "odd": "\ufffd"}


def test_a_value_that_holds_itself_is_refused() -> None:
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    assert code_of(StructuredEventPayload, **EVENT, attributes=cycle) == "value_too_deep"


def test_a_report_names_everything_that_is_wrong() -> None:
    report = validate_run({"run_ref": "run:p", "name": "", "status": "done", "startet_at": "x"})
    assert not report.ok
    assert {(issue.code, issue.field) for issue in report.issues} == {
        ("field_unknown", "startet_at"),
        ("ref_component_count", "run_ref"),
        ("field_missing", "project_ref"),
        ("value_wrong_type", "name"),
        ("value_not_allowed", "status"),
        ("field_missing", "started_at"),
    }
    assert report.to_dict()["ok"] is False


def test_a_report_names_what_is_wrong_inside_a_record() -> None:
    values = {"envelope": {**ENVELOPE, "producer_ref": "Me"}, "payload": {**METRIC, "metric_key": "train/loss"}}
    report = validate_metric_record(values)
    assert [(issue.code, issue.field) for issue in report.issues] == [
        ("key_invalid", "envelope.producer_ref"),
        ("key_invalid", "payload.metric_key"),
    ]


def test_a_report_about_a_valid_model_is_empty_and_one_about_another_model_is_not() -> None:
    assert validate_metric_record(metric()).ok
    assert validate_metric_record(to_json(metric())).ok
    assert [issue.code for issue in validate_run(metric()).issues] == ["model_mismatch"]
    assert [issue.code for issue in validate_run("{").issues] == ["json_invalid"]
