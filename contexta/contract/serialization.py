"""Models to JSON and back. What was written is read back equal; what is no model raises ValidationError."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..errors import ValidationError, nearest
from . import entities, records
from .json_text import jsonable
from .model import Model

ModelT = TypeVar("ModelT", bound=Model)
Source = str | bytes | Mapping[str, Any]

# The name of a model -> the model; payloads and envelopes are parts, and are read with their records.
MODELS: dict[str, type[Model]] = {
    model.__name__: model
    for model in (
        entities.Project,
        entities.Run,
        entities.StageExecution,
        entities.BatchExecution,
        entities.SampleObservation,
        entities.OperationContext,
        entities.DeploymentExecution,
        entities.EnvironmentSnapshot,
        entities.ArtifactManifest,
        entities.LineageEdge,
        entities.ProvenanceRecord,
        records.MetricRecord,
        records.StructuredEventRecord,
        records.TraceSpanRecord,
        records.DegradedRecord,
    )
}


def to_payload(model: Model) -> dict[str, Any]:
    """Return a model as what JSON can hold: NaN and infinities are texts."""
    payload: dict[str, Any] = jsonable(model.to_dict())
    return payload


def to_json(model: Model) -> str:
    """Return a model as one line of strict JSON."""
    return model.to_json()


def deserialize(name: str, source: Source) -> Model:
    """Build the model of a name (`Run`) from JSON or a mapping. Raises ValidationError."""
    if name not in MODELS:
        raise ValidationError(
            f"There is no model {name!r}.{nearest(name, list(MODELS))}", code="model_unknown", details={"model": name}
        )
    return MODELS[name].from_dict(mapping_of(source))


def deserialize_record(source: Source) -> records.Record:
    """Build the record that JSON or a mapping describes, of the type that its envelope names."""
    values = mapping_of(source)
    envelope = values.get("envelope")
    record_type = envelope.get("record_type") if isinstance(envelope, Mapping) else None
    model = records.RECORD_OF_TYPE.get(str(record_type))
    if model is None:
        raise ValidationError(
            f"No record: envelope.record_type is {record_type!r}; it is one of {', '.join(records.RECORD_OF_TYPE)}.",
            code="record_type_unknown",
            details={"record_type": record_type},
        )
    return model.from_dict(values)


def mapping_of(source: Source) -> Mapping[str, Any]:
    """Return JSON text as a mapping, a mapping as it is. Raises ValidationError for anything else."""
    if isinstance(source, Mapping):
        return source
    try:
        values = json.loads(source, parse_constant=_refuse_constant)
    except (ValueError, TypeError, RecursionError) as error:
        raise ValidationError(f"This is no JSON: {error}.", code="json_invalid", cause=error) from error
    if not isinstance(values, dict):
        raise ValidationError(f"A model is a JSON object, not {type(values).__name__}.", code="json_invalid")
    return values


def _refuse_constant(token: str) -> Any:
    raise ValueError(f"{token} is not JSON; write it as text")


def _reader(model: type[ModelT]) -> Callable[[Source], ModelT]:
    def read(source: Source) -> ModelT:
        return model.from_dict(mapping_of(source))

    read.__doc__ = f"Build a {model.__name__} from JSON text or a mapping. Raises ValidationError."
    return read


deserialize_project = _reader(entities.Project)
deserialize_run = _reader(entities.Run)
deserialize_stage_execution = _reader(entities.StageExecution)
deserialize_batch_execution = _reader(entities.BatchExecution)
deserialize_sample_observation = _reader(entities.SampleObservation)
deserialize_operation_context = _reader(entities.OperationContext)
deserialize_deployment_execution = _reader(entities.DeploymentExecution)
deserialize_environment_snapshot = _reader(entities.EnvironmentSnapshot)
deserialize_artifact_manifest = _reader(entities.ArtifactManifest)
deserialize_lineage_edge = _reader(entities.LineageEdge)
deserialize_provenance_record = _reader(entities.ProvenanceRecord)
deserialize_record_envelope = _reader(records.RecordEnvelope)
deserialize_metric_payload = _reader(records.MetricPayload)
deserialize_structured_event_payload = _reader(records.StructuredEventPayload)
deserialize_trace_span_payload = _reader(records.TraceSpanPayload)
deserialize_degraded_payload = _reader(records.DegradedPayload)
deserialize_metric_record = _reader(records.MetricRecord)
deserialize_structured_event_record = _reader(records.StructuredEventRecord)
deserialize_trace_span_record = _reader(records.TraceSpanRecord)
deserialize_degraded_record = _reader(records.DegradedRecord)
