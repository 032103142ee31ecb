"""Series: what downsampling keeps, and how columns become points."""

from __future__ import annotations

import numpy as np
import pytest

from contexta.errors import ValidationError
from contexta.interpretation import AlertRule, MetricCondition, RunListQuery, RunRecord, StepSeries, TimeRange
from contexta.interpretation.downsample import CHUNK_POINTS, downsample


def test_a_short_series_is_kept_whole() -> None:
    assert downsample(np.arange(5.0), 5).tolist() == [0, 1, 2, 3, 4]
    assert downsample(np.array([]), 5).tolist() == []


def test_a_single_spike_in_a_long_series_is_kept() -> None:
    values = np.zeros(3 * CHUNK_POINTS + 17)
    values[2 * CHUNK_POINTS + 5] = 1.0
    values[7] = -1.0
    kept = downsample(values, 100)
    assert {0, 7, 2 * CHUNK_POINTS + 5, len(values) - 1} <= set(kept.tolist())
    assert len(kept) <= 100


def test_the_first_value_that_is_not_finite_is_kept() -> None:
    values = np.sin(np.arange(100_000.0))
    values[54_321:] = np.nan
    kept = downsample(values, 200)
    assert 54_321 in kept
    assert len(kept) <= 200


def test_a_series_of_nothing_finite_is_still_seen() -> None:
    kept = downsample(np.full(1000, np.nan), 50)
    assert {0, 999} <= set(kept.tolist())
    assert len(kept) <= 50


def test_few_places_go_to_the_most_telling_points() -> None:
    values = np.array([1.0, 5.0, 2.0, np.nan, -7.0, 3.0, 3.0])
    assert downsample(values, 1).tolist() == [0]
    assert downsample(values, 2).tolist() == [0, 6]
    assert downsample(values, 4).tolist() == [0, 1, 4, 6]
    assert downsample(values, 5).tolist() == [0, 1, 3, 4, 6]


@pytest.mark.parametrize("max_points", [0, -1])
def test_no_places_are_refused(max_points: int) -> None:
    with pytest.raises(ValidationError):
        downsample(np.arange(9.0), max_points)


def series() -> StepSeries:
    return StepSeries(
        run_id="run:p.r",
        metric_key="loss",
        stage_id=None,
        steps=np.array([0, 1, 2]),
        has_step=np.array([False, True, True]),
        values=np.array([0.5, np.nan, 2.0**70]),
        times_ns=np.array([0, 1_000, 2_000_000_000]),
        ranks=np.array([-1, 0, 1], np.int32),
        unit="ratio",
        total_points=3,
        wide={2: 2**70 + 1},
    )


def test_columns_become_points_when_looked_at() -> None:
    points = series().points
    assert [point.step for point in points] == [None, 1, 2]
    assert points[0].value == 0.5
    assert np.isnan(points[1].value)
    assert points[2].value == 2**70 + 1
    assert [point.observed_at for point in points] == [
        "1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00.000001Z",
        "1970-01-01T00:00:02Z",
    ]


def test_a_series_has_its_columns_and_its_plain_values() -> None:
    one = series()
    assert len(one) == 3
    assert one.ranks.tolist() == [-1, 0, 1]
    assert one.to_dict()["points"][0] == {"step": None, "value": 0.5, "observed_at": "1970-01-01T00:00:00Z"}
    assert one.points is one.points


def test_an_answer_turns_into_plain_values() -> None:
    run = RunRecord("run:p.r", "p", "r", "open", "2025-01-10T09:00:00Z", tags={"a": (1, 2)})
    plain = run.to_dict()
    assert plain["run_id"] == "run:p.r"
    assert plain["ended_at"] is None
    assert plain["tags"] == {"a": [1, 2]}


def test_questions_are_checked_when_they_are_built() -> None:
    assert TimeRange(start="2025-01-10T11:00:00+02:00").start == "2025-01-10T09:00:00Z"
    assert RunListQuery(metric_conditions=[MetricCondition("loss", "lt", 0.5)]).metric_conditions  # type: ignore[arg-type]
    for build in (
        lambda: TimeRange(start="yesterday"),
        lambda: MetricCondition("loss", "<", 0.5),
        lambda: MetricCondition("loss", "lt", "low"),  # type: ignore[arg-type]
        lambda: AlertRule("loss", "gt", 1.0, severity="fatal"),
        lambda: RunListQuery(status="done"),
        lambda: RunListQuery(sort_by="loss"),
        lambda: RunListQuery(limit=-1),
    ):
        with pytest.raises(ValidationError):
            build()
