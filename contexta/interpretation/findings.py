"""What questions about runs conclude: snapshots, comparisons, diagnoses, lineage, audits, alerts, reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from .answer import Answer
from .observed import (
    ArtifactRecord,
    BatchRecord,
    DeploymentRecord,
    ObservationRecord,
    ProvenanceView,
    RelationRecord,
    RunRecord,
    SampleRecord,
    StageRecord,
)


@dataclass(frozen=True, slots=True)
class EvidenceLink(Answer):
    """What a finding rests on."""

    kind: str
    ref: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class CompletenessNote(Answer):
    """What an answer could not take into account. severity: info, warning or error."""

    severity: str
    summary: str
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunSnapshot(Answer):
    """All about one run. `records` is read from the daemon page by page, as it is looked at, in the order of the log:
    records that became durable together are not sorted by their times."""

    run: RunRecord
    deployments: tuple[DeploymentRecord, ...]
    stages: tuple[StageRecord, ...]
    batches: tuple[BatchRecord, ...]
    samples: tuple[SampleRecord, ...]
    artifacts: tuple[ArtifactRecord, ...]
    relations: tuple[RelationRecord, ...]
    records: Sequence[ObservationRecord]
    evidence_links: tuple[EvidenceLink, ...] = ()
    completeness_notes: tuple[CompletenessNote, ...] = ()
    provenance: tuple[ProvenanceView, ...] = ()


@dataclass(frozen=True, slots=True)
class MetricDelta(Answer):
    """A metric on both sides. delta: right - left; change_ratio: delta / |left|, None where left is 0 or missing."""

    metric_key: str
    left_value: float | None
    right_value: float | None
    delta: float | None
    change_ratio: float | None
    stage_name: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class StageComparison(Answer):
    """A stage of the same name on both sides; an id is None where a side lacks it."""

    stage_name: str
    left_stage_id: str | None
    right_stage_id: str | None
    left_status: str | None
    right_status: str | None
    metric_deltas: tuple[MetricDelta, ...]
    completeness_notes: tuple[CompletenessNote, ...] = ()
    evidence_links: tuple[EvidenceLink, ...] = ()


@dataclass(frozen=True, slots=True)
class ArtifactChange(Answer):
    """What became of a kind of artifact. change: added, removed, changed, unchanged or ambiguous."""

    artifact_kind: str
    left_ref: str | None
    right_ref: str | None
    change: str
    change_detail: str = ""


@dataclass(frozen=True, slots=True)
class RunComparison(Answer):
    """Two runs side by side."""

    left_run_id: str
    right_run_id: str
    summary: str
    stage_comparisons: tuple[StageComparison, ...]
    artifact_changes: tuple[ArtifactChange, ...]
    completeness_notes: tuple[CompletenessNote, ...] = ()
    evidence_links: tuple[EvidenceLink, ...] = ()
    provenance_comparison: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class MultiRunMetricRow(Answer):
    """One metric over several runs: values by run id, None where a run lacks it."""

    metric_key: str
    stage_name: str | None
    values: Mapping[str, float | None]
    best_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class MultiRunComparison(Answer):
    """Several runs side by side. run_names: of run_ids, in their order; of the same name, by their references."""

    run_ids: tuple[str, ...]
    run_names: tuple[str, ...]
    metric_table: tuple[MultiRunMetricRow, ...]
    artifact_kind_counts: Mapping[str, Mapping[str, int]]
    completeness_notes: tuple[CompletenessNote, ...] = ()
    evidence_links: tuple[EvidenceLink, ...] = ()
    summary: str = ""


@dataclass(frozen=True, slots=True)
class DiagnosticsIssue(Answer):
    """One thing worth a look. severity: info, warning or error; `code` is stable."""

    severity: str
    code: str
    summary: str
    details: Mapping[str, object] = field(default_factory=dict)
    subject_ref: str | None = None
    evidence_links: tuple[EvidenceLink, ...] = ()


@dataclass(frozen=True, slots=True)
class DiagnosticsResult(Answer):
    """What is wrong with a run."""

    run_id: str
    issues: tuple[DiagnosticsIssue, ...]
    completeness_notes: tuple[CompletenessNote, ...] = ()
    evidence_links: tuple[EvidenceLink, ...] = ()


@dataclass(frozen=True, slots=True)
class LineageTraversal(Answer):
    """What a thing came from, or what came from it."""

    root_ref: str
    edges: tuple[RelationRecord, ...]
    visited_refs: tuple[str, ...]
    completeness_notes: tuple[CompletenessNote, ...] = ()
    evidence_links: tuple[EvidenceLink, ...] = ()


@dataclass(frozen=True, slots=True)
class ArtifactOrigin(Answer):
    """Where an artifact came from, and where it went: run and stage are None where they are not known."""

    artifact: ArtifactRecord
    run: RunRecord | None
    stage: StageRecord | None
    deployments: tuple[DeploymentRecord, ...] = ()
    relations: tuple[RelationRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Straggler(Answer):
    """A rank that is slower than its peers in a stage, from a step on.

    late_s: behind the median rank at the last common step. step_s and peer_step_s: its median time for a step since
    then, and that of its peers. metric_key: whose times tell.
    """

    run_id: str
    rank: int
    stage_id: str | None
    stage_name: str | None
    host: str
    since_step: int
    since_at: str
    late_s: float
    step_s: float
    peer_step_s: float
    metric_key: str


@dataclass(frozen=True, slots=True)
class StragglerReport(Answer):
    """The ranks that are slower than their peers, the latest first."""

    run_id: str
    stragglers: tuple[Straggler, ...]
    completeness_notes: tuple[CompletenessNote, ...] = ()


@dataclass(frozen=True, slots=True)
class AnomalyResult(Answer):
    """How far a run's metric lies from the same metric of other runs. score: standard deviations from their mean."""

    run_id: str
    metric_key: str
    stage_name: str | None
    value: float
    baseline_mean: float
    baseline_std: float
    score: float
    is_anomaly: bool
    baseline_count: int = 0


@dataclass(frozen=True, slots=True)
class ReproducibilityAudit(Answer):
    """Whether what a run ran in is known well enough to run it again."""

    run_id: str
    environment_ref: str | None
    python_version: str | None
    platform: str | None
    package_count: int
    reproducibility_status: str
    completeness_notes: tuple[CompletenessNote, ...] = ()
    evidence_links: tuple[EvidenceLink, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvironmentDiff(Answer):
    """How two environments differ. added: name to value; changed: name to (left, right)."""

    python_version_changed: bool
    platform_changed: bool
    added_packages: Mapping[str, str]
    removed_packages: Mapping[str, str]
    changed_packages: Mapping[str, tuple[str, str]]
    added_variables: Mapping[str, str]
    removed_variables: Mapping[str, str]
    changed_variables: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Table(Answer):
    """Rows of values under column names; every row is as long as `columns`."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | int | None, ...], ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class ChartLine(Answer):
    """One line or one group of bars: x and y of one length; a missing or non-finite y is a gap."""

    name: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Chart(Answer):
    """A picture of numbers. kind: line or bar; x_labels: names of the places 0, 1, 2 ... of x, for bars and runs."""

    title: str
    kind: str
    lines: tuple[ChartLine, ...]
    x_title: str = ""
    y_title: str = ""
    x_labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportSection(Answer):
    """A section of a report: Markdown, then tables and charts that it speaks of."""

    title: str
    body: str
    evidence_links: tuple[EvidenceLink, ...] = ()
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportDocument(Answer):
    """A report: what `contexta.rendering` turns into a file."""

    title: str
    sections: tuple[ReportSection, ...]

    def to_markdown(self) -> str:
        """Return the report as Markdown."""
        return _rendered("to_markdown", self)

    def to_html(self) -> str:
        """Return the report as one HTML file, without scripts and without anything from outside."""
        return _rendered("to_html", self)

    def to_json(self) -> str:
        """Return the report as one line of strict JSON."""
        return _rendered("to_json", self)

    def to_csv(self) -> str:
        """Return the report's tables as CSV."""
        return _rendered("to_csv", self)


def _rendered(form: str, document: ReportDocument) -> str:
    # Rendering is a layer above this one: it is found by name when it is asked for, never imported from here.
    text: str = getattr(import_module("contexta.rendering"), form)(document)
    return text
