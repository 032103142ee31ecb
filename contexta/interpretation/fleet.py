"""Questions over many runs: trends, aggregates, anomalies, alerts."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..contract.times import parse_ns
from ..errors import nearest
from .asking import AlertReport, AlertResult, AlertRule
from .facts import SeriesSummary
from .findings import AnomalyResult, CompletenessNote
from .observed import ArtifactRecord, RunRecord, StageRecord
from .series import ArtifactSizeTrend, DurationTrend, MetricAggregate, MetricTrend, TrendPoint
from .values import by_stage_and_key, value_of

ANOMALY_THRESHOLD = 3.0  # standard deviations
CONSTANT = 1e-12  # of the mean: what a deviation may be of rounding alone
MIN_BASELINE = 3  # runs; fewer say nothing about what is usual
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "gt": operator.gt, "lt": operator.lt, "gte": operator.ge, "lte": operator.le, "eq": operator.eq, "ne": operator.ne,
}  # fmt: skip
_SIGNS = {"gt": ">", "lt": "<", "gte": ">=", "lte": "<=", "eq": "==", "ne": "!="}

RunSeries = Mapping[str, Sequence[SeriesSummary]]  # by run id


def metric_trend(
    metric_key: str, runs: Sequence[RunRecord], series: RunSeries, *, project_name: str | None = None,
    stage_name: str | None = None, policy: str = "latest",
) -> MetricTrend:  # fmt: skip
    """Return a metric over runs in the order given; a run that has it in several stages has a point for each."""
    points = []
    for run in runs:
        for (stage, key), found in by_stage_and_key(series.get(run.run_id, ())).items():
            value = value_of(found, policy)
            if key == metric_key and stage_name in (None, stage) and value is not None:
                points.append(TrendPoint(run.run_id, run.name, value, max(each.last_at for each in found), stage))
    return MetricTrend(metric_key, project_name, tuple(points))


def stage_duration_trend(
    stage_name: str, stages: Sequence[tuple[RunRecord, StageRecord]], *, project_name: str | None = None
) -> DurationTrend:
    """Return how long a stage took, in seconds, over the runs in which it has ended."""
    points = []
    for run, stage in stages:
        if stage.name == stage_name and stage.ended_at is not None:
            seconds = (parse_ns(stage.ended_at) - parse_ns(stage.started_at)) / 1e9
            points.append(TrendPoint(run.run_id, run.name, seconds, stage.ended_at, stage.name))
    return DurationTrend(stage_name, project_name, tuple(points))


def artifact_size_trend(
    artifact_kind: str, artifacts: Sequence[tuple[RunRecord, ArtifactRecord]], *, project_name: str | None = None
) -> ArtifactSizeTrend:
    """Return how large a kind of artifact was, in bytes, over runs; where its size is known."""
    points = [
        TrendPoint(run.run_id, run.name, float(each.size_bytes), each.created_at)
        for run, each in artifacts
        if each.kind == artifact_kind and each.size_bytes is not None
    ]
    return ArtifactSizeTrend(artifact_kind, project_name, tuple(points))


def aggregate(values: Sequence[float]) -> MetricAggregate | None:
    """Return the finite values in numbers (std of the population, percentiles interpolated); None where none is."""
    array = np.asarray(values, dtype=np.float64)
    finite = array[np.isfinite(array)]
    if not len(finite):
        return None
    p25, p50, p75, p90, p95, p99 = np.percentile(finite, [25, 50, 75, 90, 95, 99]).tolist()
    mean, std, low, high = float(finite.mean()), float(finite.std()), float(finite.min()), float(finite.max())
    return MetricAggregate(len(finite), mean, std, low, p25, p50, p75, p90, p95, p99, high)


def aggregate_groups(
    metric_key: str, series: RunSeries, *, by: str = "", stage_name: str | None = None, policy: str = "latest"
) -> dict[str, MetricAggregate]:
    """Return the values of a metric over runs in numbers, by "" (all in one), stage, rank or run.

    Each stage of a run gives one value, and each of its ranks where `by` is rank or run.
    """
    groups: dict[str, list[float]] = {}
    for run_id, summaries in series.items():
        mine = [each for each in summaries if each.metric_key == metric_key and stage_name in (None, each.stage_name)]
        parts = [[each] for each in mine] if by in ("rank", "run") else list(by_stage_and_key(mine).values())
        for part in parts:
            value = value_of(part, policy)
            if value is not None:
                rank = part[0].rank
                names = {"stage": part[0].stage_name or "", "run": run_id, "rank": "" if rank is None else str(rank)}
                groups.setdefault(names.get(by, ""), []).append(value)
    found = {name: aggregate(values) for name, values in groups.items()}
    return {name: each for name, each in found.items() if each is not None}


def detect_anomalies(
    run_id: str, series: Sequence[SeriesSummary], baseline: RunSeries, *, metric_key: str | None = None,
    stage_name: str | None = None, threshold: float = ANOMALY_THRESHOLD, policy: str = "latest",
) -> list[AnomalyResult]:  # fmt: skip
    """Compare each metric of a run with the same metric of other runs; the farthest off comes first.

    A metric that fewer than MIN_BASELINE runs have is left out. Where the baseline does not vary at all, any other
    value is infinitely far off.
    """
    usual: dict[tuple[str | None, str], list[float]] = {}
    for other, summaries in baseline.items():
        if other != run_id:
            for place, found in by_stage_and_key(summaries).items():
                value = value_of(found, policy)
                if value is not None and math.isfinite(value):
                    usual.setdefault(place, []).append(value)
    results = []
    for (stage, key), mine in by_stage_and_key(series).items():
        value, others = value_of(mine, policy), usual.get((stage, key), [])
        if metric_key not in (None, key) or stage_name not in (None, stage) or value is None:
            continue
        if len(others) >= MIN_BASELINE:
            results.append(_anomaly(run_id, key, stage, value, np.asarray(others), threshold))
    return sorted(results, key=lambda result: -abs(result.score))


def _anomaly(
    run_id: str, key: str, stage: str | None, value: float, others: np.ndarray[tuple[int], np.dtype[np.float64]],
    threshold: float,
) -> AnomalyResult:  # fmt: skip
    mean, std = float(others.mean()), float(others.std())
    if std <= CONSTANT * abs(mean):
        std = 0.0
    distance = value - mean
    if math.isnan(distance):
        score = math.inf
    elif std > 0:
        score = distance / std
    else:
        score = 0.0 if math.isclose(value, mean, rel_tol=CONSTANT) else math.copysign(math.inf, distance)
    return AnomalyResult(run_id, key, stage, value, mean, std, score, abs(score) > threshold, len(others))


def anomaly_notes(
    run_id: str, series: Sequence[SeriesSummary], results: Sequence[AnomalyResult], *, baseline_count: int,
    metric_key: str | None = None, stage_name: str | None = None,
) -> list[CompletenessNote]:  # fmt: skip
    """Say which of the metrics asked for are not among the results of detect_anomalies, and why."""
    keys, stages = {each.metric_key for each in series}, {each.stage_name or "" for each in series}
    asked = [(stage, key) for stage, key in by_stage_and_key(series)
             if metric_key in (None, key) and stage_name in (None, stage)]  # fmt: skip
    text = ""
    if not series:
        text = f"{run_id} has no metric."
    elif metric_key is not None and metric_key not in keys:
        text = f"{run_id} has no metric {metric_key!r}.{nearest(metric_key, sorted(keys))}"
    elif stage_name is not None and stage_name not in stages:
        text = f"{run_id} has no metric in stage {stage_name!r}.{nearest(stage_name, sorted(stages))}"
    elif not asked:
        text = f"{run_id} has no metric {metric_key!r} in stage {stage_name!r}."
    elif baseline_count < MIN_BASELINE:
        text = f"{baseline_count} runs to compare with; {MIN_BASELINE} are needed to know what is usual."
    elif len(results) < len(asked):
        left_out = len(asked) - len(results)
        text = (
            f"{left_out} of {len(asked)} metrics were not compared: fewer than {MIN_BASELINE} of {baseline_count} runs "
            "have a finite value."
        )
    return [CompletenessNote("warning", text)] if text else []


def evaluate_alerts(rules: Sequence[AlertRule], series: RunSeries) -> AlertReport:
    """Compare the newest value of each rule's metric in each run with its threshold, in each stage that has it.

    A rule without a stage holds for a run when it holds in any of its stages. NaN raises every alert but `eq`.
    """
    return AlertReport(
        tuple(_alert(rule, run_id, summaries) for run_id, summaries in series.items() for rule in rules)
    )


def _alert(rule: AlertRule, run_id: str, summaries: Sequence[SeriesSummary]) -> AlertResult:
    values = [
        (value, stage)
        for (stage, key), found in by_stage_and_key(summaries).items()
        if key == rule.metric_key and rule.stage_name in (None, stage) and (value := value_of(found)) is not None
    ]
    title = rule.name or f"{rule.metric_key} {_SIGNS[rule.operator]} {_digits(rule.threshold)}"
    if not values:
        where = f" in stage {rule.stage_name!r}" if rule.stage_name else ""
        return AlertResult(rule, run_id, None, False, f"{title}: {run_id} has no {rule.metric_key!r}{where}")
    holding = [(value, stage) for value, stage in values if _holds(rule, value)]
    value, stage = (holding or values)[0]
    place = f" in stage {stage!r}" if stage else ""
    said = "holds" if holding else "does not hold"
    return AlertResult(
        rule, run_id, value, bool(holding), f"{title} {said}: {rule.metric_key} is {_digits(value)}{place} of {run_id}"
    )


def _digits(value: float) -> str:
    """All digits of a number, so that what is said of two of them is so."""
    return repr(float(value)).removesuffix(".0")


def _holds(rule: AlertRule, value: float) -> bool:
    if math.isnan(value):
        return rule.operator != "eq"
    return _OPERATORS[rule.operator](value, rule.threshold)
