"""One value out of a series, and which of two values is the better one."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

from ..errors import ValidationError
from .facts import SeriesSummary

POLICIES = ("latest", "max", "min", "mean")
# Parts of a metric's key that mean: less is better. Everything else is taken as a score, of which more is better.
_LOWER = re.compile(
    r"(^|[/._\-\s])(loss|error|err|mae|mse|rmse|mape|rmsle|nll|perplexity|ppl|wer|cer|fid|latency|duration|time|seconds|"
    r"cost|regret|divergence|kl|miss|misses|failures|ece|brier|rank_loss|drift|toxicity)($|[/._\-\s\d])"
)


def check_policy(policy: str) -> str:
    """Return a policy, `latest` for an empty one. Raises ValidationError."""
    if policy in ("", *POLICIES):
        return policy or "latest"
    raise ValidationError(
        f"policy cannot be {policy!r}; it takes {', '.join(POLICIES)}.",
        code="query_invalid",
        details={"field": "policy"},
    )


def check_threshold(threshold: Any) -> float:
    """Return a threshold. Raises ValidationError unless it is a number greater than 0."""
    if isinstance(threshold, Real) and float(threshold) > 0:
        return float(threshold)
    raise ValidationError(
        f"threshold cannot be {threshold!r}; give a number greater than 0, or none for the usual one.",
        code="query_invalid",
        details={"field": "threshold"},
    )


def lower_is_better(metric_key: str) -> bool:
    """Tell by a metric's key whether less of it is better: losses, errors, times and costs."""
    return _LOWER.search(metric_key.lower()) is not None


def value_of(series: Sequence[SeriesSummary], policy: str = "latest") -> float | None:
    """Return the one value that stands for a metric over its ranks; None where there is no point.

    latest: the newest point of all ranks, finite or not. max, min, mean: of all finite points of all ranks.
    """
    if not series:
        return None
    if policy == "latest":
        return max(series, key=lambda each: each.last_at).last
    if policy == "max":
        return max((each.max for each in series if each.max is not None), default=None)
    if policy == "min":
        return min((each.min for each in series if each.min is not None), default=None)
    weighted = [(each.mean, each.count - each.non_finite) for each in series if each.mean is not None]
    total = sum(count for _, count in weighted)
    return sum(mean * count for mean, count in weighted) / total if total else None


def by_stage_and_key(
    summaries: Iterable[SeriesSummary],
) -> dict[tuple[str | None, str], list[SeriesSummary]]:
    """Return the series of all ranks under (stage name, metric key), in the order in which they come."""
    grouped: dict[tuple[str | None, str], list[SeriesSummary]] = {}
    for each in summaries:
        grouped.setdefault((each.stage_name, each.metric_key), []).append(each)
    return grouped


def is_better(value: float, than: float, *, lower: bool) -> bool:
    """Whether a value beats another one; NaN never does."""
    return value < than if lower else value > than


def best_of(values: Iterable[tuple[str, float | None]], *, lower: bool) -> tuple[str, float] | None:
    """Return the (name, value) with the best value, the first of equals; None where no value is a number."""
    best: tuple[str, float] | None = None
    for name, value in values:
        if value is None or math.isnan(value):
            continue
        if best is None or is_better(value, best[1], lower=lower):
            best = (name, value)
    return best
