"""Series of values: of one run over its steps, and of one metric over runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..contract.times import format_ns
from .answer import Answer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class StepPoint(Answer):
    """One value. step: None where none was given."""

    step: int | None
    value: float
    observed_at: str


@dataclass(frozen=True, eq=False)
class StepSeries(Answer):
    """One metric of one run, ordered by step and time; points without a step come first, in the order of time.

    The columns are numpy arrays of one length: `steps` int64 (0 where `has_step` is False), `values` float64,
    `times_ns` int64 (ns since 1970, UTC), `ranks` int32 (-1: none). `total_points` counts what there was before
    downsampling.
    `wide` holds the integers that a float64 cannot: index to exact value; `points` shows them.
    """

    run_id: str
    metric_key: str
    stage_id: str | None
    steps: NDArray[np.int64]
    has_step: NDArray[np.bool_]
    values: NDArray[np.float64]
    times_ns: NDArray[np.int64]
    ranks: NDArray[np.int32]
    unit: str | None = None
    total_points: int = 0
    wide: Mapping[int, int] = field(default_factory=dict)

    @cached_property
    def points(self) -> tuple[StepPoint, ...]:
        """The points as objects, made when first looked at."""
        steps, there = self.steps.tolist(), self.has_step.tolist()
        values: list[float] = self.values.tolist()
        for index, exact in self.wide.items():
            values[index] = exact
        rows = zip(steps, there, values, self.times_ns.tolist(), strict=True)
        return tuple(StepPoint(step if has else None, value, format_ns(time)) for step, has, value, time in rows)

    def __len__(self) -> int:
        return len(self.values)

    def to_dict(self) -> dict[str, Any]:
        """Return run_id, metric_key, stage_id, unit, total_points and the points as plain values."""
        return {
            "run_id": self.run_id,
            "metric_key": self.metric_key,
            "stage_id": self.stage_id,
            "unit": self.unit,
            "total_points": self.total_points,
            "points": [point.to_dict() for point in self.points],
        }

    def __repr__(self) -> str:
        return f"StepSeries({self.metric_key!r} of {self.run_id!r}: {len(self)} of {self.total_points} points)"


@dataclass(frozen=True, slots=True)
class TrendPoint(Answer):
    """One run's value in a trend."""

    run_id: str
    run_name: str
    value: float
    captured_at: str
    stage_name: str | None = None


@dataclass(frozen=True, slots=True)
class MetricTrend(Answer):
    """A metric over runs, oldest first."""

    metric_key: str
    project_name: str | None
    points: tuple[TrendPoint, ...]


@dataclass(frozen=True, slots=True)
class DurationTrend(Answer):
    """How long a stage took, over runs; values are seconds."""

    stage_name: str
    project_name: str | None
    points: tuple[TrendPoint, ...]


@dataclass(frozen=True, slots=True)
class ArtifactSizeTrend(Answer):
    """How large a kind of artifact was, over runs; values are bytes."""

    artifact_kind: str
    project_name: str | None
    points: tuple[TrendPoint, ...]


@dataclass(frozen=True, slots=True)
class MetricAggregate(Answer):
    """The values of a metric in numbers. std is that of the whole population; percentiles interpolate linearly."""

    count: int
    mean: float
    std: float
    min: float
    p25: float
    p50: float
    p75: float
    p90: float
    p95: float
    p99: float
    max: float
