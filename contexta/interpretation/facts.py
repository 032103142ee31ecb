"""What the pure questions are asked of: everything that is known of a run, apart from its single points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
class SeriesSummary(Answer):
    """One metric of one stage on one rank, in numbers; kept by the daemon, so that no point need be read.

    count: all points, non_finite of them NaN or infinite. first and last: the oldest and the newest value, finite or
    not. min, max, mean, std (of the population): of the finite ones, None where there are none.
    """

    run_id: str
    metric_key: str
    stage_id: str | None
    stage_name: str | None
    rank: int | None
    unit: str | None
    count: int
    non_finite: int
    first: float
    last: float
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    first_at: str
    last_at: str
    last_step: int | None = None
    first_non_finite_step: int | None = None


@dataclass(frozen=True, slots=True)
class WorkerRecord(Answer):
    """One process that captured into a run. status: open, ended or lost."""

    session_id: str
    host: str
    pid: int
    rank: int | None
    local_rank: int | None
    world_size: int | None
    status: str
    opened_at: str
    ended_at: str | None
    items: int
    dropped: int
    inherited: bool


@dataclass(frozen=True, slots=True)
class EnvironmentRecord(Answer):
    """What a run ran in, as captured or put."""

    environment_ref: str
    captured_at: str
    python_version: str
    platform: str
    packages: Mapping[str, str] = field(default_factory=dict)
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    host: str = ""
    git: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunFacts(Answer):
    """All of a run but its single records. Lists are cut at a bound; `cut` says which, and how many there are."""

    run: RunRecord
    stages: tuple[StageRecord, ...] = ()
    batches: tuple[BatchRecord, ...] = ()
    samples: tuple[SampleRecord, ...] = ()
    deployments: tuple[DeploymentRecord, ...] = ()
    artifacts: tuple[ArtifactRecord, ...] = ()
    relations: tuple[RelationRecord, ...] = ()
    provenance: tuple[ProvenanceView, ...] = ()
    summaries: tuple[SeriesSummary, ...] = ()
    degraded: tuple[ObservationRecord, ...] = ()
    workers: tuple[WorkerRecord, ...] = ()
    environment: EnvironmentRecord | None = None
    dropped: Mapping[str, int] = field(default_factory=dict)  # by reason; counted by process
    dropped_shared: bool = False  # whether the processes that dropped captured other runs or attempts too
    cut: Mapping[str, int] = field(default_factory=dict)

    @property
    def dropped_text(self) -> str:
        """How many records were not kept, and of what they may be."""
        of = " of its processes, which captured other runs too," if self.dropped_shared else ""
        return f"{sum(self.dropped.values())} records{of} were not kept"
