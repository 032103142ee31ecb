"""The things that a project holds: runs, their scopes, deployments, environments, artifacts and relations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import ValidationError
from . import vocabulary as words
from .model import Check, Model, Values
from .rules import Rule, choice


def ended_when_closed(values: Values) -> Iterator[ValidationError]:
    """ended_at is absent exactly when the status is open."""
    status, ended = values["status"], values["ended_at"]
    if (status == "open") == (ended is not None):
        advice = "leave ended_at out" if ended is not None else "give ended_at"
        yield ValidationError(
            f"status is {status!r} and ended_at is {ended!r}; ended_at is absent exactly when open: {advice}.",
            code="ended_at_status_mismatch",
            details={"field": "ended_at", "status": status, "ended_at": ended},
        )


def of_a_run_or_deployment(values: Values) -> Iterator[ValidationError]:
    """What is captured belongs to a run, or else to a deployment."""
    if values["run_ref"] is None and values["deployment_execution_ref"] is None:
        yield ValidationError(
            "run_ref is missing; only what belongs to a deployment_execution_ref may be without a run.",
            code="run_ref_missing",
            details={"field": "run_ref"},
        )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Project(Model):
    """A project: what its runs are about."""

    ref_field: ClassVar[str] = "project_ref"
    project_ref: str
    name: str
    created_at: str
    description: str | None = None
    tags: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Run(Model):
    """One run of a project. Times are ISO-8601 text in UTC (given also as aware datetimes)."""

    ref_field: ClassVar[str] = "run_ref"
    checks: ClassVar[tuple[Check, ...]] = (ended_when_closed,)
    run_ref: str
    project_ref: str
    name: str
    status: str
    started_at: str
    ended_at: str | None = None
    description: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class StageExecution(Model):
    """A stage of a run."""

    ref_field: ClassVar[str] = "stage_execution_ref"
    checks: ClassVar[tuple[Check, ...]] = (ended_when_closed,)
    stage_execution_ref: str
    run_ref: str
    stage_name: str
    status: str
    started_at: str
    ended_at: str | None = None
    order_index: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BatchExecution(Model):
    """A batch of a stage: an epoch, a file, a window of calls."""

    ref_field: ClassVar[str] = "batch_execution_ref"
    checks: ClassVar[tuple[Check, ...]] = (ended_when_closed,)
    batch_execution_ref: str
    run_ref: str
    stage_execution_ref: str
    batch_name: str
    status: str
    started_at: str
    ended_at: str | None = None
    order_index: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SampleObservation(Model):
    """One input or result that was looked at, in a stage or a batch."""

    ref_field: ClassVar[str] = "sample_observation_ref"
    sample_observation_ref: str
    run_ref: str
    stage_execution_ref: str
    sample_name: str
    observed_at: str
    batch_execution_ref: str | None = None
    retention_class: str | None = None
    redaction_profile: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OperationContext(Model):
    """An operation inside a stage or a batch."""

    ref_field: ClassVar[str] = "operation_context_ref"
    operation_context_ref: str
    run_ref: str
    stage_execution_ref: str
    operation_name: str
    observed_at: str
    batch_execution_ref: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DeploymentExecution(Model):
    """A result put to use: an activity of the project, linked to a run and an artifact where it can be."""

    ref_field: ClassVar[str] = "deployment_execution_ref"
    links: ClassVar[tuple[str, ...]] = ("run_ref", "artifact_ref", "environment_snapshot_ref")
    checks: ClassVar[tuple[Check, ...]] = (ended_when_closed,)
    deployment_execution_ref: str
    project_ref: str
    deployment_name: str
    status: str
    started_at: str
    ended_at: str | None = None
    order_index: int | None = None
    run_ref: str | None = None
    artifact_ref: str | None = None
    environment_snapshot_ref: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EnvironmentSnapshot(Model):
    """What a run ran in. packages: name to version; environment_variables: only those on the allow-list."""

    ref_field: ClassVar[str] = "environment_snapshot_ref"
    environment_snapshot_ref: str
    run_ref: str
    captured_at: str
    python_version: str
    platform: str
    packages: Mapping[str, str] | None = None
    environment_variables: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ArtifactManifest(Model):
    """A file that a run made or used. location_ref: `path:` and the absolute path; hash_value: `sha256:` and hex.

    run_ref is there, except for an artifact of a deployment without a run.
    """

    ref_field: ClassVar[str] = "artifact_ref"
    checks: ClassVar[tuple[Check, ...]] = (of_a_run_or_deployment,)
    artifact_ref: str
    artifact_kind: str
    created_at: str
    producer_ref: str
    run_ref: str | None = None
    location_ref: str
    deployment_execution_ref: str | None = None
    stage_execution_ref: str | None = None
    batch_execution_ref: str | None = None
    sample_observation_ref: str | None = None
    operation_context_ref: str | None = None
    hash_value: str | None = None
    size_bytes: int | None = None
    attributes: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LineageEdge(Model):
    """A relation between two things, by reference."""

    ref_field: ClassVar[str] = "relation_ref"
    own_rules: ClassVar[Mapping[str, Rule]] = {"origin_marker": choice(words.ASSERTION_MODES)}
    relation_ref: str
    relation_type: str
    source_ref: str
    target_ref: str
    recorded_at: str
    origin_marker: str
    confidence_marker: str
    operation_context_ref: str | None = None
    evidence_refs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ProvenanceRecord(Model):
    """Who says so: how a relation came to be asserted."""

    ref_field: ClassVar[str] = "provenance_ref"
    provenance_ref: str
    relation_ref: str
    assertion_mode: str
    asserted_at: str
    formation_context_ref: str | None = None
    policy_ref: str | None = None
    evidence_bundle_ref: str | None = None
