"""What a question is asked with: filters, conditions, alert rules. Checked when they are built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..contract.times import canonical_time
from ..contract.vocabulary import STATUSES
from ..errors import ValidationError
from .answer import Answer

OPERATORS = ("gt", "lt", "gte", "lte", "eq", "ne")
RUN_SORT_KEYS = ("started_at", "ended_at", "name", "status", "project_name")
ALERT_SEVERITIES = ("info", "warning", "error")


@dataclass(frozen=True, slots=True)
class MetricCondition(Answer):
    """A run's newest value of a metric compared with a threshold. stage_name: None for any stage."""

    metric_key: str
    operator: str
    threshold: float
    stage_name: str | None = None

    def __post_init__(self) -> None:
        _one_of("operator", self.operator, OPERATORS)
        _number("threshold", self.threshold)


@dataclass(frozen=True, slots=True)
class TimeRange(Answer):
    """From `start` (included) to `end` (excluded), as text or aware datetimes; None leaves a side open."""

    start: str | datetime | None = None
    end: str | datetime | None = None

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, canonical_time(value, field=name))


@dataclass(frozen=True, slots=True)
class RunListQuery(Answer):
    """Which runs, in which order. Every given tag must match, a text also the number or truth value that it stands
    for; all_attempts: not only each run's newest."""

    project_name: str | None = None
    status: str | None = None
    tags: Mapping[str, Any] | None = None
    metric_conditions: tuple[MetricCondition, ...] = ()
    time_range: TimeRange | None = None
    limit: int | None = None
    offset: int = 0
    sort_by: str | None = None
    sort_desc: bool = False
    name_contains: str | None = None
    all_attempts: bool = False

    def __post_init__(self) -> None:
        if self.status is not None:
            _one_of("status", self.status, STATUSES)
        if self.sort_by is not None:
            _one_of("sort_by", self.sort_by, RUN_SORT_KEYS)
        for name in ("limit", "offset"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
                raise ValidationError(
                    f"{name} cannot be {value!r}; it takes a whole number, not negative.",
                    code="query_invalid",
                    details={"field": name},
                )
        object.__setattr__(self, "metric_conditions", tuple(self.metric_conditions))


@dataclass(frozen=True, slots=True)
class AlertRule(Answer):
    """When to raise an alert: a metric compared with a threshold."""

    metric_key: str
    operator: str
    threshold: float
    stage_name: str | None = None
    severity: str = "warning"
    name: str | None = None

    def __post_init__(self) -> None:
        _one_of("operator", self.operator, OPERATORS)
        _one_of("severity", self.severity, ALERT_SEVERITIES)
        _number("threshold", self.threshold)


@dataclass(frozen=True, slots=True)
class AlertResult(Answer):
    """What a rule said about a run. value: None where the run has no such metric."""

    rule: AlertRule
    run_id: str
    value: float | None
    triggered: bool
    message: str


@dataclass(frozen=True, slots=True)
class AlertReport(Answer):
    """What all rules said."""

    results: tuple[AlertResult, ...]

    @property
    def triggered(self) -> tuple[AlertResult, ...]:
        """The results whose rule holds."""
        return tuple(result for result in self.results if result.triggered)


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValidationError(
            f"{name} cannot be {value!r}; it takes {', '.join(map(repr, allowed))}.",
            code="query_invalid",
            details={"field": name, "value": value},
        )


def _number(name: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValidationError(
            f"{name} cannot be {value!r}; it takes a number.", code="query_invalid", details={"field": name}
        )
