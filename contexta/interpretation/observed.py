"""What was captured, as questions return it: one shape for each kind of thing.

Ids are references (`run:iris-svm.linear-svm`). Times are ISO-8601 text in UTC ending in `Z`; None: not yet, or
not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .answer import Answer


@dataclass(frozen=True, slots=True)
class ProjectRecord(Answer):
    """A project."""

    project_ref: str
    name: str
    created_at: str
    description: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    run_count: int = 0


@dataclass(frozen=True, slots=True)
class RunRecord(Answer):
    """A run, as of one attempt. `metric_count`: points that were read so far; `dropped_count`: records that its
    processes did not keep, of whichever run; `reason`: of its status, where one was given: the exception that ended it.
    """

    run_id: str
    project_name: str
    name: str
    status: str
    started_at: str
    ended_at: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    dataset_ref: str | None = None
    code_revision: str | None = None
    config_snapshot: Mapping[str, Any] | None = None
    worker_count: int = 0
    lost_worker_count: int = 0
    metric_count: int = 0
    dropped_count: int = 0
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StageRecord(Answer):
    """A stage of a run."""

    stage_id: str
    run_id: str
    name: str
    status: str
    order: int
    started_at: str
    ended_at: str | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BatchRecord(Answer):
    """A batch of a stage."""

    batch_id: str
    run_id: str
    stage_id: str
    name: str
    status: str
    order: int
    started_at: str
    ended_at: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class SampleRecord(Answer):
    """A sample of a stage or a batch."""

    sample_id: str
    run_id: str
    stage_id: str
    batch_id: str | None
    name: str
    observed_at: str
    retention_class: str | None = None
    redaction_profile: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeploymentRecord(Answer):
    """A deployment, with the run and the artifact it came from where they are known."""

    deployment_id: str
    project_name: str
    name: str
    status: str
    run_id: str | None = None
    artifact_ref: str | None = None
    started_at: str | None = None
    ended_at: str | None = None
    order: int = 0
    metadata: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ArtifactRecord(Answer):
    """A registered file. location: `path:` and the absolute path; problem: changed, missing, unreadable or empty."""

    artifact_ref: str
    run_id: str | None
    stage_id: str | None
    kind: str
    created_at: str
    location: str
    hash_value: str | None = None
    size_bytes: int | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    content_type: str | None = None
    binding_status: str = "BOUND"
    problem: str = ""
    hash_pending: bool = False


@dataclass(frozen=True, slots=True)
class ObservationRecord(Answer):
    """A record: a metric, an event, a span, or a degraded one. `value` is a metric's, exact; `payload` has the rest."""

    record_id: str
    run_id: str
    stage_id: str | None
    batch_id: str | None
    sample_id: str | None
    record_type: str
    key: str
    observed_at: str
    value: float | None = None
    message: str | None = None
    completeness_marker: str = "complete"
    degradation_marker: str = "none"
    payload: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)
    schema_version: str = "1.0.0"
    producer_ref: str | None = None
    correlation_id: str | None = None
    unit: str | None = None
    step: int | None = None
    rank: int | None = None
    operation_id: str | None = None
    deployment_id: str | None = None
    attempt: int = 1
    recorded_at: str | None = None


@dataclass(frozen=True, slots=True)
class RelationRecord(Answer):
    """A relation between two things."""

    relation_ref: str
    relation_type: str
    source_ref: str
    target_ref: str
    recorded_at: str
    origin_marker: str
    confidence_marker: str


@dataclass(frozen=True, slots=True)
class ProvenanceView(Answer):
    """Who says that a relation of a run holds."""

    run_id: str
    provenance_ref: str
    relation_ref: str
    assertion_mode: str
    asserted_at: str
    formation_context_ref: str | None = None
    policy_ref: str | None = None
    evidence_bundle_ref: str | None = None
