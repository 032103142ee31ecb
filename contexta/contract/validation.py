"""Everything that is wrong with a value that should be a model, instead of the first thing only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ValidationError
from . import entities, records
from .model import Model, examine, unknown_fields
from .serialization import Source, mapping_of

Candidate = Model | Source


@dataclass(frozen=True, slots=True)
class ValidationIssue:
    """One thing that is wrong: a stable code, the field, and what to do about it."""

    code: str
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What is wrong with a value; nothing is when `ok`."""

    model: str
    issues: tuple[ValidationIssue, ...]

    @property
    def ok(self) -> bool:
        """Whether the model can be built from the value."""
        return not self.issues

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values."""
        issues = [{"code": each.code, "field": each.field, "message": each.message} for each in self.issues]
        return {"model": self.model, "ok": self.ok, "issues": issues}


def validate(model: type[Model], candidate: Candidate) -> ValidationReport:
    """Check a model, a mapping or JSON text against a model's rules. Never raises."""
    try:
        values = _values_of(model, candidate)
    except ValidationError as problem:
        return ValidationReport(model.__name__, (_issue(problem),))
    problems = list(unknown_fields(model, values))
    inner = [issue for name, part in _parts_of(model) for issue in _issues_inside(name, part, values.get(name))]
    if not inner:  # a part that is wrong would be reported again, once, as the whole's field
        problems += examine(model, values, strict_keys=True)[1]
    return ValidationReport(model.__name__, (*map(_issue, problems), *inner))


def _values_of(model: type[Model], candidate: Candidate) -> Mapping[str, Any]:
    if not isinstance(candidate, Model):
        return mapping_of(candidate)
    if not isinstance(candidate, model):
        raise ValidationError(f"This is a {type(candidate).__name__}, not a {model.__name__}.", code="model_mismatch")
    return candidate.to_dict()


def _parts_of(model: type[Model]) -> list[tuple[str, type[Model]]]:
    payload = PAYLOADS.get(model)
    return [("envelope", records.RecordEnvelope), ("payload", payload)] if payload else []


def _issues_inside(name: str, part: type[Model], value: Any) -> list[ValidationIssue]:
    if not isinstance(value, Mapping):
        return []
    return [
        ValidationIssue(issue.code, f"{name}.{issue.field}", issue.message) for issue in validate(part, value).issues
    ]


def _issue(problem: ValidationError) -> ValidationIssue:
    return ValidationIssue(problem.code, str(problem.details.get("field", "")), problem.message)


PAYLOADS: dict[type[Model], type[Model]] = {
    records.MetricRecord: records.MetricPayload,
    records.StructuredEventRecord: records.StructuredEventPayload,
    records.TraceSpanRecord: records.TraceSpanPayload,
    records.DegradedRecord: records.DegradedPayload,
}


def _validator(model: type[Model]) -> Callable[[Candidate], ValidationReport]:
    def check(candidate: Candidate) -> ValidationReport:
        return validate(model, candidate)

    check.__doc__ = f"Say everything that is wrong with a {model.__name__}, a mapping or JSON text. Never raises."
    return check


validate_project = _validator(entities.Project)
validate_run = _validator(entities.Run)
validate_stage_execution = _validator(entities.StageExecution)
validate_batch_execution = _validator(entities.BatchExecution)
validate_sample_observation = _validator(entities.SampleObservation)
validate_operation_context = _validator(entities.OperationContext)
validate_deployment_execution = _validator(entities.DeploymentExecution)
validate_environment_snapshot = _validator(entities.EnvironmentSnapshot)
validate_artifact_manifest = _validator(entities.ArtifactManifest)
validate_lineage_edge = _validator(entities.LineageEdge)
validate_provenance_record = _validator(entities.ProvenanceRecord)
validate_record_envelope = _validator(records.RecordEnvelope)
validate_metric_payload = _validator(records.MetricPayload)
validate_structured_event_payload = _validator(records.StructuredEventPayload)
validate_trace_span_payload = _validator(records.TraceSpanPayload)
validate_degraded_payload = _validator(records.DegradedPayload)
validate_metric_record = _validator(records.MetricRecord)
validate_structured_event_record = _validator(records.StructuredEventRecord)
validate_trace_span_record = _validator(records.TraceSpanRecord)
validate_degraded_record = _validator(records.DegradedRecord)
