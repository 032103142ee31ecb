"""Trends, aggregates, anomalies, alerts and stragglers: from values to values."""

import math

import numpy as np
import pytest
from test_questions_about_runs import T1, T2, run, series, stage

from contexta.errors import ValidationError
from contexta.interpretation import AlertRule
from contexta.interpretation.fleet import (
    aggregate,
    aggregate_groups,
    anomaly_notes,
    detect_anomalies,
    evaluate_alerts,
    metric_trend,
    stage_duration_trend,
)
from contexta.interpretation.stragglers import RankTimes, find_stragglers


def test_a_trend_has_a_point_for_each_run_and_stage_that_has_the_metric():
    runs = [run("a"), run("b"), run("c")]
    by_run = {
        "run:p.a": [series("acc", 0.5), series("acc", 0.6, in_stage="evaluate"), series("loss", 1.0)],
        "run:p.b": [series("acc", 0.7, "b")],
        "run:p.c": [],
    }
    found = metric_trend("acc", runs, by_run)
    assert [(p.run_name, p.value, p.stage_name) for p in found.points] == [
        ("a", 0.5, "train"), ("a", 0.6, "evaluate"), ("b", 0.7, "train"),
    ]  # fmt: skip
    assert [p.value for p in metric_trend("acc", runs, by_run, stage_name="evaluate").points] == [0.6]


def test_a_stage_that_has_not_ended_has_no_duration():
    running = stage("train", "b", status="open")
    object.__setattr__(running, "ended_at", None)
    found = stage_duration_trend("train", [(run("a"), stage("train")), (run("b"), running)])
    assert [(p.run_name, p.value) for p in found.points] == [("a", 3600.0)]


def test_an_aggregate_is_of_the_finite_values():
    found = aggregate([1.0, 2.0, 3.0, 4.0, math.nan, math.inf])
    assert (found.count, found.mean, found.min, found.max, found.p50) == (4, 2.5, 1.0, 4.0, 2.5)
    assert found.std == pytest.approx(np.std([1, 2, 3, 4]))
    assert aggregate([math.nan]) is None


def test_groups_by_stage_rank_and_run():
    by_run = {
        "run:p.a": [series("x", 1.0, rank=0, last_at=T1), series("x", 3.0, rank=1, last_at=T2)],
        "run:p.b": [series("x", 5.0, "b", in_stage="evaluate")],
    }
    assert aggregate_groups("x", by_run)[""].mean == 4.0  # the newest of run a's ranks, and run b's
    assert {name: each.mean for name, each in aggregate_groups("x", by_run, by="stage").items()} == {
        "train": 3.0, "evaluate": 5.0,
    }  # fmt: skip
    assert {name: each.mean for name, each in aggregate_groups("x", by_run, by="rank").items()} == {
        "0": 1.0, "1": 3.0, "": 5.0,
    }  # fmt: skip
    assert aggregate_groups("x", by_run, by="run")["run:p.a"].count == 2
    assert aggregate_groups("y", by_run) == {}


def test_an_anomaly_is_far_from_what_is_usual():
    values = dict(zip("bcde", (0.8, 0.82, 0.79, 0.81), strict=True))
    baseline = {f"run:p.{n}": [series("acc", value, n)] for n, value in values.items()}
    (found,) = detect_anomalies("run:p.a", [series("acc", 0.5)], baseline)
    assert found.is_anomaly and found.score < -3 and found.baseline_count == 4
    (usual,) = detect_anomalies("run:p.a", [series("acc", 0.8)], baseline)
    assert not usual.is_anomaly
    (nan,) = detect_anomalies("run:p.a", [series("acc", math.nan)], baseline)
    assert nan.is_anomaly and nan.score == math.inf


def test_two_runs_say_nothing_about_what_is_usual_and_a_run_is_no_baseline_of_itself():
    baseline = {f"run:p.{n}": [series("acc", 0.8, n)] for n in "abc"}
    assert detect_anomalies("run:p.a", [series("acc", 0.1)], baseline) == []


@pytest.mark.parametrize(
    "asked, said",
    [
        ({"metric_key": "ac"}, "run:p.a has no metric 'ac'. Did you mean 'acc'?"),
        ({"stage_name": "trian"}, "run:p.a has no metric in stage 'trian'. Did you mean 'train'?"),
        ({"metric_key": "acc", "stage_name": "evaluate"}, "run:p.a has no metric 'acc' in stage 'evaluate'."),
        ({"series": []}, "run:p.a has no metric."),
        ({"baseline": "bc"}, "2 runs to compare with; 3 are needed to know what is usual."),
        ({}, "1 of 2 metrics were not compared: fewer than 3 of 3 runs have a finite value."),
        ({"metric_key": "acc"}, None),
    ],
)
def test_what_was_not_compared_is_said(asked, said):
    asked = dict(asked)
    mine = asked.pop("series", [series("acc", 0.8), series("rare", 1.0, in_stage="evaluate")])
    baseline = {f"run:p.{n}": [series("acc", 0.8, n)] for n in asked.pop("baseline", "bcd")}
    results = detect_anomalies("run:p.a", mine, baseline, **asked)
    notes = anomaly_notes("run:p.a", mine, results, baseline_count=len(baseline), **asked)
    assert [note.summary for note in notes] == ([said] if said else [])


def test_where_nothing_ever_varied_any_other_value_is_infinitely_far_off():
    baseline = {f"run:p.{n}": [series("rows", 100.0, n)] for n in "bcd"}
    (same,) = detect_anomalies("run:p.a", [series("rows", 100.0)], baseline)
    assert same.score == 0 and not same.is_anomaly
    (less,) = detect_anomalies("run:p.a", [series("rows", 99.0)], baseline)
    assert less.score == -math.inf and less.is_anomaly


def test_a_baseline_that_varies_by_rounding_alone_does_not_vary():
    baseline = {f"run:p.{n}": [series("acc", 0.7, n)] for n in "bcd"}
    (same,) = detect_anomalies("run:p.a", [series("acc", 0.7)], baseline, threshold=0.5)
    assert (same.score, same.baseline_std, same.is_anomaly) == (0.0, 0.0, False)


@pytest.mark.parametrize(
    ("operator", "threshold", "holds"),
    [("gt", 0.8, True), ("gt", 0.9, False), ("gte", 0.9, True), ("lt", 0.9, False), ("lte", 0.9, True),
     ("eq", 0.9, True), ("ne", 0.9, False)],
)  # fmt: skip
def test_every_operator_of_a_rule(operator, threshold, holds):
    report = evaluate_alerts([AlertRule("acc", operator, threshold)], {"run:p.a": [series("acc", 0.9)]})
    assert [each.triggered for each in report.results] == [holds]
    assert len(report.triggered) == holds


def test_nan_raises_an_alert_and_a_missing_metric_is_said():
    rule = AlertRule("acc", "lt", 0.5)
    (found,) = evaluate_alerts([rule], {"run:p.a": [series("acc", math.nan)]}).results
    assert found.triggered
    (missing,) = evaluate_alerts([rule], {"run:p.a": []}).results
    assert missing.value is None and not missing.triggered and "has no 'acc'" in missing.message
    with pytest.raises(ValidationError, match="operator cannot be 'below'"):
        AlertRule("acc", "below", 0.5)


def test_an_alert_tells_all_digits():
    (found,) = evaluate_alerts([AlertRule("acc", "lt", 0.70000001)], {"run:p.a": [series("acc", 0.7)]}).results
    assert found.message == "acc < 0.70000001 holds: acc is 0.7 in stage 'train' of run:p.a"
    (found,) = evaluate_alerts([AlertRule("acc", "gt", 9)], {"run:p.a": [series("acc", 12345678.0)]}).results
    assert found.message == "acc > 9 holds: acc is 12345678 in stage 'train' of run:p.a"


def test_a_rule_of_one_stage_looks_at_no_other():
    by_run = {"run:p.a": [series("acc", 0.1), series("acc", 0.9, in_stage="evaluate")]}
    assert evaluate_alerts([AlertRule("acc", "lt", 0.5)], by_run).triggered
    assert not evaluate_alerts([AlertRule("acc", "lt", 0.5, stage_name="evaluate")], by_run).triggered


def test_an_alert_tells_the_stage_in_which_its_rule_holds():
    by_run = {"run:p.a": [series("acc", 0.9), series("acc", 0.1, in_stage="evaluate")]}
    (found,) = evaluate_alerts([AlertRule("acc", "lt", 0.5)], by_run).triggered
    assert found.value == 0.1 and "'evaluate'" in found.message


def ranks(lateness_s, *, hosts=None, steps=100, step_s=0.1):
    """lateness_s: for each rank a function of the step."""
    at = np.arange(steps)
    rng = np.random.default_rng(0)
    return [
        RankTimes(
            rank, (hosts or {}).get(rank, "h0"), at,
            ((at * step_s + [late(step) for step in at] + rng.uniform(0, 0.002, steps)) * 1e9).astype(np.int64),
        )
        for rank, late in enumerate(lateness_s)
    ]  # fmt: skip


def on_time(step):
    return 0.0


def find(times, **more):
    return find_stragglers("run:p.a", "loss", "stage:p.a.train", "train", times, **more)


def test_a_rank_that_falls_behind_is_named_with_the_step_from_which_it_does():
    found = find(ranks([on_time, on_time, lambda step: max(0, step - 40) * 0.05, on_time]))
    (slow,) = found.stragglers
    assert slow.rank == 2 and slow.stage_name == "train"
    assert 40 <= slow.since_step <= 42
    assert slow.step_s == pytest.approx(0.15, rel=0.1) and slow.peer_step_s == pytest.approx(0.1, rel=0.1)
    assert slow.late_s == pytest.approx(59 * 0.05, rel=0.1)


def test_a_rank_for_which_all_wait_is_late_by_the_same_each_time():
    (slow,) = find(ranks([on_time, lambda step: 0.06 * (step >= 70), on_time, on_time])).stragglers
    assert (slow.rank, slow.since_step) == (1, 70)


def test_a_rank_that_was_late_once_and_caught_up_is_none():
    assert find(ranks([on_time, lambda step: 0.5 * (20 <= step < 50), on_time])).stragglers == ()


def test_a_rank_that_was_late_in_the_last_steps_alone_is_none_yet():
    assert find(ranks([on_time, lambda step: 0.09 * (step >= 97), on_time])).stragglers == ()
    (slow,) = find(ranks([on_time, lambda step: 0.09 * (step >= 90), on_time])).stragglers
    assert (slow.rank, slow.since_step) == (1, 90)


def test_a_rank_that_only_began_later_is_none():
    assert find(ranks([on_time, lambda step: 3.0, on_time, on_time])).stragglers == ()


def test_a_clock_that_is_off_makes_no_straggler():
    hosts = {2: "h1"}
    off = ranks([on_time, on_time, lambda step: 5.0, on_time], hosts=hosts)
    assert find(off).stragglers == ()
    slower = [on_time, on_time, lambda step: 5.0 + max(0, step - 50) * 0.02, on_time]
    (slow,) = find(ranks(slower, hosts=hosts)).stragglers
    assert slow.rank == 2 and slow.since_step >= 50


def test_too_few_ranks_or_steps_are_said():
    assert "3 are needed" in find(ranks([on_time, on_time])).completeness_notes[0].summary
    assert "in common" in find(ranks([on_time] * 3, steps=5)).completeness_notes[0].summary


