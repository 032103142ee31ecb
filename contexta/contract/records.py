"""Records: what was observed. An envelope says where and when, a payload says what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import ValidationError
from . import vocabulary as words
from .entities import of_a_run_or_deployment
from .model import Check, Model, Values
from .rules import Rule, choice, wrong
from .times import parse_ns


def observed_before_recorded(values: Values) -> Iterator[ValidationError]:
    """recorded_at is not before observed_at."""
    if parse_ns(values["recorded_at"]) < parse_ns(values["observed_at"]):
        yield ValidationError(
            f"recorded_at is {values['recorded_at']!r}, before observed_at {values['observed_at']!r}.",
            code="recorded_before_observed",
            details={"recorded_at": values["recorded_at"], "observed_at": values["observed_at"]},
        )


def markers_agree(values: Values) -> Iterator[ValidationError]:
    """Only a degraded record may be absent, and a degraded record is degraded by something."""
    degraded = values["record_type"] == "degraded"
    if values["completeness_marker"] == "absent" and not degraded:
        yield ValidationError(
            f"completeness_marker is 'absent' on a record of type {values['record_type']}; "
            "only a degraded record may be absent.",
            code="completeness_marker_not_allowed",
            details={"field": "completeness_marker"},
        )
    if degraded and values["degradation_marker"] == "none":
        yield ValidationError(
            "degradation_marker is 'none' on a degraded record; say what degraded it: "
            + ", ".join(words.DEGRADATION_MARKERS[1:]),
            code="degradation_marker_missing",
            details={"field": "degradation_marker"},
        )


def of_type(record_type: str) -> Check:
    """A record's envelope names the record's own type."""

    def check(values: Values) -> Iterator[ValidationError]:
        found = values["envelope"].record_type
        if found != record_type:
            yield ValidationError(
                f"The envelope's record_type is {found!r}; this record's is {record_type!r}.",
                code="record_type_mismatch",
                details={"field": "record_type", "value": found},
            )

    return check


def nested(model: type[Model]) -> Rule:
    """A model inside a model, given as one or as a mapping."""

    def rule(field: str, value: Any) -> Model:
        if isinstance(value, model):
            return value
        if isinstance(value, Mapping):
            return model.from_dict(value)
        raise wrong(field, value, f"a {model.__name__} or a mapping")

    return rule


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RecordEnvelope(Model):
    """Where and when a record was made. `rank` and `attempt` tell workers and attempts of a run apart.

    run_ref is there, except for a record of a deployment without a run.
    """

    ref_field: ClassVar[str] = "record_ref"
    checks: ClassVar[tuple[Check, ...]] = (of_a_run_or_deployment, observed_before_recorded, markers_agree)
    record_ref: str
    record_type: str
    recorded_at: str
    observed_at: str
    producer_ref: str
    run_ref: str | None = None
    deployment_execution_ref: str | None = None
    stage_execution_ref: str | None = None
    batch_execution_ref: str | None = None
    sample_observation_ref: str | None = None
    operation_context_ref: str | None = None
    correlation_refs: Mapping[str, str] | None = None
    completeness_marker: str = "complete"
    degradation_marker: str = "none"
    rank: int | None = None
    attempt: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MetricPayload(Model):
    """A measured value. NaN and infinities are values like others; JSON holds them as text."""

    metric_key: str
    value: float
    value_type: str
    unit: str | None = None
    aggregation_scope: str = "step"
    subject_ref: str | None = None
    slice_ref: str | None = None
    tags: Mapping[str, Any] | None = None
    summary_basis: str | None = None
    step: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class StructuredEventPayload(Model):
    """Something that happened."""

    event_key: str
    level: str
    message: str
    subject_ref: str | None = None
    attributes: Mapping[str, Any] | None = None
    origin_marker: str = "explicit_capture"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TraceSpanPayload(Model):
    """Something that took time."""

    own_rules: ClassVar[Mapping[str, Rule]] = {"status": choice(words.SPAN_STATUSES)}
    span_id: str
    trace_id: str
    parent_span_id: str | None = None
    span_name: str
    started_at: str
    ended_at: str
    status: str
    span_kind: str
    attributes: Mapping[str, Any] | None = None
    linked_refs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DegradedPayload(Model):
    """Something that is missing or worse than it should be."""

    issue_key: str
    category: str
    severity: str
    summary: str
    subject_ref: str | None = None
    origin_marker: str = "explicit_capture"
    attributes: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Record(Model):
    """The common part of the four records. `ref` is the envelope's."""

    envelope: RecordEnvelope

    @property
    def ref(self) -> str:
        """The record's reference."""
        return self.envelope.record_ref

    def to_dict(self) -> dict[str, Any]:
        """Return `{"envelope": {...}, "payload": {...}}`, as a line of the capture files holds it."""
        plain = super().to_dict()
        if plain["schema_version"] == self.envelope.schema_version:
            del plain["schema_version"]
        return plain


_ENVELOPE = nested(RecordEnvelope)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MetricRecord(Record):
    """One value of a metric."""

    own_rules: ClassVar[Mapping[str, Rule]] = {"envelope": _ENVELOPE, "payload": nested(MetricPayload)}
    checks: ClassVar[tuple[Check, ...]] = (of_type("metric"),)
    payload: MetricPayload


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class StructuredEventRecord(Record):
    """One event."""

    own_rules: ClassVar[Mapping[str, Rule]] = {"envelope": _ENVELOPE, "payload": nested(StructuredEventPayload)}
    checks: ClassVar[tuple[Check, ...]] = (of_type("event"),)
    payload: StructuredEventPayload


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TraceSpanRecord(Record):
    """One span."""

    own_rules: ClassVar[Mapping[str, Rule]] = {"envelope": _ENVELOPE, "payload": nested(TraceSpanPayload)}
    checks: ClassVar[tuple[Check, ...]] = (of_type("span"),)
    payload: TraceSpanPayload


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DegradedRecord(Record):
    """One degraded record: what was lost, or is not as it should be."""

    own_rules: ClassVar[Mapping[str, Rule]] = {"envelope": _ENVELOPE, "payload": nested(DegradedPayload)}
    checks: ClassVar[tuple[Check, ...]] = (of_type("degraded"),)
    payload: DegradedPayload


AnyRecord = MetricRecord | StructuredEventRecord | TraceSpanRecord | DegradedRecord
RECORD_OF_TYPE: dict[str, type[Record]] = {
    "metric": MetricRecord,
    "event": StructuredEventRecord,
    "span": TraceSpanRecord,
    "degraded": DegradedRecord,
}
