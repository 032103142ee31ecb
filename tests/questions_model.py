"""What was captured, as a list of points, and the answers that follow from it. Knows nothing of catalog or columns."""

from __future__ import annotations

import math
import operator
from collections import Counter
from dataclasses import dataclass, field

OPERATORS = {"gt": operator.gt, "lt": operator.lt, "gte": operator.ge, "lte": operator.le, "eq": operator.eq,
             "ne": operator.ne}  # fmt: skip
WORST = ("completed", "cancelled", "failed")


@dataclass(frozen=True)
class Point:
    run: str
    stage: str  # "": the run itself
    key: str
    rank: int
    step: int | None
    time_ns: int
    value: float


@dataclass
class Model:
    """Runs of up to two ranks each, which open the same stages; each is opened and closed once by a rank."""

    points: list[Point] = field(default_factory=list)
    sessions: dict[tuple[str, int], int] = field(default_factory=dict)
    scopes: dict[tuple[str, int, str | None], str] = field(default_factory=dict)  # "open", or how it was closed
    events: dict[str, int] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)  # of runs, by their beginning

    def begin(self, run: str, rank: int) -> int:
        self.sessions[run, rank] = len(self.sessions) + 1
        self.scopes[run, rank, None] = "open"
        if run not in self.order:
            self.order.append(run)
        return self.sessions[run, rank]

    def open_stage(self, run: str, rank: int, stage: str) -> bool:
        """Return whether it was opened now: each is once."""
        if (run, rank, stage) in self.scopes:
            return False
        self.scopes[run, rank, stage] = "open"
        return True

    def is_open(self, run: str, rank: int, stage: str | None = None) -> bool:
        return self.scopes.get((run, rank, stage)) == self.scopes.get((run, rank, None)) == "open"

    def open_places(self) -> list[tuple[str, int, str | None]]:
        return [place for place in self.scopes if self.is_open(*place)]

    def close(self, run: str, rank: int, stage: str | None, status: str) -> None:
        self.scopes[run, rank, stage] = status

    def status(self, run: str, stage: str | None = None) -> str | None:
        """The worst of its ranks; open while one has it open. None: there is none."""
        found = [state for (of, _, name), state in self.scopes.items() if (of, name) == (run, stage)]
        if not found:
            return None
        return "open" if "open" in found else max(found, key=WORST.index)

    # --- answers ---

    def series(
        self, run: str, key: str | None = None, stage: str | None = None, rank: int | None = None
    ) -> list[Point]:
        """By step and time; points without a step first, in the order of time."""
        found = [
            point
            for point in self.points
            if point.run == run
            and (key is None or point.key == key)
            and (stage is None or point.stage == stage)
            and (rank is None or point.rank == rank)
        ]
        return sorted(found, key=lambda point: (point.step is not None, point.step or 0, point.time_ns))

    def by_series(self, run: str) -> dict[tuple[str, str, int], list[Point]]:
        """By stage, key and rank, each in the order of time."""
        found: dict[tuple[str, str, int], list[Point]] = {}
        for point in self.points:
            if point.run == run:
                found.setdefault((point.stage, point.key, point.rank), []).append(point)
        return found

    def value(self, run: str, key: str, policy: str, stage: str | None = None) -> float | None:
        points = [each for each in self.points if (each.run, each.key) == (run, key) and stage in (None, each.stage)]
        if policy == "latest":
            return points[-1].value if points else None
        finite = [point.value for point in points if math.isfinite(point.value)]
        if not finite:
            return None
        return {"min": min(finite), "max": max(finite), "mean": math.fsum(finite) / len(finite)}[policy]

    def runs(self, part: str, status: str, key: str, condition: str, threshold: float) -> list[str]:
        def fits(run: str) -> bool:
            if part.lower() not in run or status not in ("", self.status(run)):
                return False
            if not condition:
                return True
            value = self.value(run, key, "latest")
            return value is not None and not math.isnan(value) and OPERATORS[condition](value, threshold)

        return [run for run in self.order if fits(run)]

    def issues(self, run: str, expected: tuple[str, ...]) -> Counter[str]:
        found: Counter[str] = Counter()
        stages = {name for of, _, name in self.scopes if of == run and name is not None}
        measured = {point.stage for point in self.points if point.run == run}
        for stage in stages:
            if self.status(run, stage) != "completed":
                found["incomplete_stage"] += 1
            elif stage not in measured:
                found["missing_stage_metrics"] += 1
        if not stages.intersection(expected):
            found["missing_expected_stage"] += 1
        bad = {(point.stage, point.key) for point in self.points if point.run == run and not math.isfinite(point.value)}
        if bad:
            found["non_finite_metric"] += len(bad)
        return found


def same(left: float, right: float, *, close: bool = False) -> bool:
    """Whether two numbers are one, NaN included."""
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right or (close and math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-6))
