"""Metrics in reports: summaries of several ranks put together, and charts of how far the ranks lie apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..contract.times import parse_ns
from .facts import SeriesSummary
from .findings import Chart, ChartLine
from .report_parts import MAX_CHARTS, Row

MAX_RANK_BARS = 32

METRIC_COLUMNS = (
    "metric", "stage", "unit", "ranks", "points", "last", "min", "max", "mean", "std", "last step", "not finite",
)  # fmt: skip
RANK_COLUMNS = ("metric", "stage", "rank", "points", "last", "min", "max", "mean", "std", "last step", "not finite")


@dataclass(frozen=True, slots=True)
class MetricOfStage:
    """One metric of one stage over all ranks. Numbers are of the finite values; None where there are none."""

    key: str
    stage_name: str | None
    parts: tuple[SeriesSummary, ...]

    @property
    def ranks(self) -> tuple[SeriesSummary, ...]:
        """The parts that a rank captured, in the order of ranks."""
        ranked = [part for part in self.parts if part.rank is not None]
        return tuple(sorted(ranked, key=lambda part: part.rank or 0))

    @property
    def newest(self) -> SeriesSummary:
        """The part that holds the newest value."""
        return max(self.parts, key=lambda part: parse_ns(part.last_at))

    def moments(self) -> tuple[float | None, float | None]:
        """Return mean and standard deviation of all parts together, each part weighing as many points as it has."""
        known = [
            (part.count - part.non_finite, part.mean, part.std or 0.0) for part in self.parts if part.mean is not None
        ]
        total = sum(count for count, _, _ in known)
        if not total:
            return None, None
        mean = sum(part_mean * (count / total) for count, part_mean, _ in known)
        spread = sum(
            (std * std + (part_mean - mean) * (part_mean - mean)) * (count / total) for count, part_mean, std in known
        )
        return mean, spread**0.5

    def row(self) -> Row:
        """Return the cells of METRIC_COLUMNS."""
        newest = self.newest
        mean, std = self.moments()
        return (
            self.key,
            self.stage_name or "",
            newest.unit or "",
            len(self.ranks) or None,
            sum(part.count for part in self.parts),
            newest.last,
            min((part.min for part in self.parts if part.min is not None), default=None),
            max((part.max for part in self.parts if part.max is not None), default=None),
            mean,
            std,
            max((part.last_step for part in self.parts if part.last_step is not None), default=None),
            sum(part.non_finite for part in self.parts),
        )

    def spread(self) -> float:
        """Return how far apart the means of the ranks lie, in parts of the largest of them; -1: fewer than two."""
        means = [part.mean for part in self.ranks if part.mean is not None]
        if len(means) < 2:
            return -1.0
        largest = max(abs(mean) for mean in means)
        return max(means) / largest - min(means) / largest if largest else 0.0


def metrics_of_stages(summaries: Iterable[SeriesSummary]) -> list[MetricOfStage]:
    """Return the metrics, each stage's ranks put together, in the order in which they first appear."""
    groups: dict[tuple[str, str | None, str | None], list[SeriesSummary]] = {}
    for summary in summaries:
        groups.setdefault((summary.metric_key, summary.stage_id, summary.stage_name), []).append(summary)
    return [MetricOfStage(key, stage_name, tuple(parts)) for (key, _, stage_name), parts in groups.items()]


def rank_rows(metrics: Sequence[MetricOfStage]) -> list[Row]:
    """Return the cells of RANK_COLUMNS for the metrics that several ranks captured."""
    return [
        (
            part.metric_key, part.stage_name or "", part.rank, part.count, part.last,
            part.min, part.max, part.mean, part.std, part.last_step, part.non_finite,
        )
        for metric in metrics
        if len(metric.ranks) > 1
        for part in metric.ranks
    ]  # fmt: skip


def rank_charts(metrics: Sequence[MetricOfStage]) -> list[Chart]:
    """Return the means of the ranks as charts, at most MAX_CHARTS: those first whose ranks lie furthest apart."""
    several = [metric for metric in metrics if len(metric.ranks) > 1]
    return [_rank_chart(metric) for metric in sorted(several, key=MetricOfStage.spread, reverse=True)[:MAX_CHARTS]]


def _rank_chart(metric: MetricOfStage) -> Chart:
    ranks = metric.ranks
    title = f"{metric.key} by rank" + (f" ({metric.stage_name})" if metric.stage_name else "")
    means = tuple(part.mean for part in ranks)
    unit = metric.newest.unit or ""
    y_title = f"mean, {unit}" if unit else "mean"
    if len(ranks) > MAX_RANK_BARS:  # too many for bars with names
        line = ChartLine(name="mean", x=tuple(float(part.rank or 0) for part in ranks), y=means)
        return Chart(title=title, kind="line", lines=(line,), x_title="rank", y_title=y_title)
    line = ChartLine(name="mean", x=tuple(map(float, range(len(ranks)))), y=means)
    labels = tuple(str(part.rank) for part in ranks)
    return Chart(title=title, kind="bar", lines=(line,), x_title="rank", y_title=y_title, x_labels=labels)
