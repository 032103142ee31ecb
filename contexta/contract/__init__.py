"""The data model: references, models, validation, serialization. Names are imported when they are first used."""

from __future__ import annotations

from .._lazy import lazy_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .entities import (
        ArtifactManifest,
        BatchExecution,
        DeploymentExecution,
        EnvironmentSnapshot,
        LineageEdge,
        OperationContext,
        Project,
        ProvenanceRecord,
        Run,
        SampleObservation,
        StageExecution,
    )
    from .keys import (
        is_artifact_kind,
        is_canonical_key,
    )
    from .model import (
        Model,
    )
    from .records import (
        AnyRecord,
        DegradedPayload,
        DegradedRecord,
        MetricPayload,
        MetricRecord,
        Record,
        RecordEnvelope,
        StructuredEventPayload,
        StructuredEventRecord,
        TraceSpanPayload,
        TraceSpanRecord,
    )
    from .references import (
        Reference,
        child_ref,
        format_ref,
        is_ref,
        parse_ref,
        slug,
    )
    from .serialization import (
        MODELS,
        deserialize,
        deserialize_artifact_manifest,
        deserialize_batch_execution,
        deserialize_degraded_payload,
        deserialize_degraded_record,
        deserialize_deployment_execution,
        deserialize_environment_snapshot,
        deserialize_lineage_edge,
        deserialize_metric_payload,
        deserialize_metric_record,
        deserialize_operation_context,
        deserialize_project,
        deserialize_provenance_record,
        deserialize_record,
        deserialize_record_envelope,
        deserialize_run,
        deserialize_sample_observation,
        deserialize_stage_execution,
        deserialize_structured_event_payload,
        deserialize_structured_event_record,
        deserialize_trace_span_payload,
        deserialize_trace_span_record,
        to_json,
        to_payload,
    )
    from .times import (
        canonical_time,
        format_ns,
        format_time,
        parse_ns,
    )
    from .validation import (
        ValidationIssue,
        ValidationReport,
        validate,
        validate_artifact_manifest,
        validate_batch_execution,
        validate_degraded_payload,
        validate_degraded_record,
        validate_deployment_execution,
        validate_environment_snapshot,
        validate_lineage_edge,
        validate_metric_payload,
        validate_metric_record,
        validate_operation_context,
        validate_project,
        validate_provenance_record,
        validate_record_envelope,
        validate_run,
        validate_sample_observation,
        validate_stage_execution,
        validate_structured_event_payload,
        validate_structured_event_record,
        validate_trace_span_payload,
        validate_trace_span_record,
    )

__all__ = [
    "MODELS",
    "AnyRecord",
    "ArtifactManifest",
    "BatchExecution",
    "DegradedPayload",
    "DegradedRecord",
    "DeploymentExecution",
    "EnvironmentSnapshot",
    "LineageEdge",
    "MetricPayload",
    "MetricRecord",
    "Model",
    "OperationContext",
    "Project",
    "ProvenanceRecord",
    "Record",
    "RecordEnvelope",
    "Reference",
    "Run",
    "SampleObservation",
    "StageExecution",
    "StructuredEventPayload",
    "StructuredEventRecord",
    "TraceSpanPayload",
    "TraceSpanRecord",
    "ValidationIssue",
    "ValidationReport",
    "canonical_time",
    "child_ref",
    "deserialize",
    "deserialize_artifact_manifest",
    "deserialize_batch_execution",
    "deserialize_degraded_payload",
    "deserialize_degraded_record",
    "deserialize_deployment_execution",
    "deserialize_environment_snapshot",
    "deserialize_lineage_edge",
    "deserialize_metric_payload",
    "deserialize_metric_record",
    "deserialize_operation_context",
    "deserialize_project",
    "deserialize_provenance_record",
    "deserialize_record",
    "deserialize_record_envelope",
    "deserialize_run",
    "deserialize_sample_observation",
    "deserialize_stage_execution",
    "deserialize_structured_event_payload",
    "deserialize_structured_event_record",
    "deserialize_trace_span_payload",
    "deserialize_trace_span_record",
    "format_ns",
    "format_ref",
    "format_time",
    "is_artifact_kind",
    "is_canonical_key",
    "is_ref",
    "parse_ns",
    "parse_ref",
    "slug",
    "to_json",
    "to_payload",
    "validate",
    "validate_artifact_manifest",
    "validate_batch_execution",
    "validate_degraded_payload",
    "validate_degraded_record",
    "validate_deployment_execution",
    "validate_environment_snapshot",
    "validate_lineage_edge",
    "validate_metric_payload",
    "validate_metric_record",
    "validate_operation_context",
    "validate_project",
    "validate_provenance_record",
    "validate_record_envelope",
    "validate_run",
    "validate_sample_observation",
    "validate_stage_execution",
    "validate_structured_event_payload",
    "validate_structured_event_record",
    "validate_trace_span_payload",
    "validate_trace_span_record",
]

_HOMES = {name: "entities" for name in __all__ if name[0].isupper()}
_HOMES |= dict.fromkeys((name for name in __all__ if name.startswith(("deserialize", "to_"))), "serialization")
_HOMES |= dict.fromkeys((name for name in __all__ if name.lower().startswith("valid")), "validation")
_HOMES |= dict.fromkeys((name for name in __all__ if name.endswith(("Payload", "Envelope"))), "records")
_HOMES |= dict.fromkeys(
    ("AnyRecord", "DegradedRecord", "MetricRecord", "Record", "StructuredEventRecord", "TraceSpanRecord"), "records"
)
_HOMES |= dict.fromkeys(("Reference", "child_ref", "format_ref", "is_ref", "parse_ref", "slug"), "references")
_HOMES |= dict.fromkeys(("canonical_time", "format_ns", "format_time", "parse_ns"), "times")
_HOMES |= dict.fromkeys(("is_artifact_kind", "is_canonical_key"), "keys")
_HOMES |= {"MODELS": "serialization", "Model": "model"}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
