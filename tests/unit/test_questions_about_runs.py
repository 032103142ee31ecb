"""Comparison, choice, diagnosis, lineage, audit: from values to values."""

import math
from dataclasses import replace

import pytest

from contexta.errors import NotFoundError, ValidationError
from contexta.interpretation import (
    ArtifactRecord,
    BatchRecord,
    DeploymentRecord,
    EnvironmentRecord,
    ObservationRecord,
    RelationRecord,
    RunFacts,
    RunRecord,
    SeriesSummary,
    StageRecord,
    WorkerRecord,
)
from contexta.interpretation.comparison import RUN_LEVEL, compare_multiple_runs, compare_runs, select_best_run
from contexta.interpretation.diagnosis import diagnose_run
from contexta.interpretation.environments import audit_reproducibility, compare_environments
from contexta.interpretation.lineage import traverse_lineage
from contexta.interpretation.reports import comparison_report, multi_run_report
from contexta.interpretation.values import lower_is_better

T0, T1, T2 = "2026-01-01T00:00:00.000000Z", "2026-01-01T01:00:00.000000Z", "2026-01-01T02:00:00.000000Z"


def run(name="a", **more):
    fields = {"run_id": f"run:p.{name}", "project_name": "p", "name": name, "status": "completed", "started_at": T0}
    return RunRecord(**{**fields, "ended_at": T1, **more})


def stage(name, of="a", status="completed", order=0):
    return StageRecord(f"stage:p.{of}.{name}", f"run:p.{of}", name, status, order, T0, T1)


def series(key, last, of="a", in_stage="train", rank=None, **more):
    fields = {
        "run_id": f"run:p.{of}", "metric_key": key, "stage_id": f"stage:p.{of}.{in_stage}" if in_stage else None,
        "stage_name": in_stage, "rank": rank, "unit": None, "count": 1, "non_finite": 0, "first": last, "last": last,
        "min": last, "max": last, "mean": last, "std": 0.0, "first_at": T0, "last_at": T1,
    }  # fmt: skip
    return SeriesSummary(**{**fields, **more})


def facts(name="a", *summaries, **more):
    return RunFacts(**{"run": run(name), "stages": (stage("train", name),), "summaries": summaries, **more})


def artifact(kind, ref, digest="", of="a", size=1, **more):
    return ArtifactRecord(ref, f"run:p.{of}", None, kind, T0, "path:/x", digest or None, size, **more)


def only_delta(found):
    return found.stage_comparisons[0].metric_deltas[0]


def test_a_comparison_goes_stage_by_stage_and_its_delta_is_right_minus_left():
    left, right = facts("a", series("acc", 0.9), series("only", 1.0)), facts("b", series("acc", 0.6, "b"))
    found = compare_runs(left, right)
    (train,) = found.stage_comparisons
    acc, only = train.metric_deltas
    assert (train.left_stage_id, train.right_stage_id) == ("stage:p.a.train", "stage:p.b.train")
    assert (acc.left_value, acc.right_value) == (0.9, 0.6)
    assert acc.delta == pytest.approx(-0.3) and acc.change_ratio == pytest.approx(-1 / 3)
    assert (only.right_value, only.delta, only.change_ratio) == (None, None, None)
    assert "1 of 2 metrics differ" in found.summary and "1 are on one side only" in found.summary


def test_a_change_from_zero_or_to_nan_has_no_ratio():
    left, right = facts("a", series("x", 0.0), series("y", 1.0)), facts("b", series("x", 2.0), series("y", math.nan))
    x, y = compare_runs(left, right).stage_comparisons[0].metric_deltas
    assert (x.delta, x.change_ratio) == (2.0, None)
    assert math.isnan(y.delta) and y.change_ratio is None


def test_a_run_is_the_same_as_itself_whatever_its_values_are():
    odd = [series(key, value, max=None) for key, value in (("nan", math.nan), ("inf", math.inf), ("low", -math.inf))]
    mine = facts("a", *odd, series("x", 1.0))
    for policy in ("latest", "max"):
        found = compare_runs(mine, mine, policy=policy)
        assert found.summary == "1 stages; 0 of 4 metrics differ"
        differing = dict(comparison_report(found).sections[0].tables[0].rows)["metrics that differ"]
        assert differing in (0, "0")
    found = compare_runs(mine, facts("b", series("nan", 1.0), series("inf", -math.inf)), policy="latest")
    assert found.summary == "1 stages; 2 of 4 metrics differ, 2 are on one side only"


def test_the_ratio_of_a_change_has_the_sign_of_its_direction_below_zero_too():
    found = compare_runs(facts("a", series("reward", -2.0)), facts("b", series("reward", -1.0)))
    assert (only_delta(found).delta, only_delta(found).change_ratio) == (1.0, 0.5)


def test_each_policy_takes_its_value_over_all_ranks():
    ranks = (
        series("loss", 3.0, rank=0, count=2, min=1.0, max=5.0, mean=3.0, last_at=T1),
        series("loss", 2.5, rank=1, count=6, min=2.0, max=9.0, mean=7.0, last_at=T2),
    )
    values = {
        policy: only_delta(compare_runs(facts("a", *ranks), facts("b"), policy=policy)).left_value
        for policy in ("latest", "max", "min", "mean")
    }
    assert values == {"latest": 2.5, "max": 9.0, "min": 1.0, "mean": 6.0}
    with pytest.raises(ValidationError, match="latest, max, min, mean"):
        compare_runs(facts("a"), facts("b"), policy="median")


def test_metrics_of_the_run_itself_stand_apart():
    found = compare_runs(facts("a", series("cost", 1.0, in_stage=None)), facts("b"))
    assert [each.stage_name for each in found.stage_comparisons] == ["train", RUN_LEVEL]


@pytest.mark.parametrize(
    ("left", "right", "change"),
    [
        ([artifact("model", "l", "h1")], [artifact("model", "r", "h1")], "unchanged"),
        ([artifact("model", "l", "h1")], [artifact("model", "r", "h2")], "changed"),
        ([artifact("model", "l", "h1")], [], "removed"),
        ([], [artifact("model", "r", "h1")], "added"),
        ([artifact("model", "l")], [artifact("model", "r", "h1")], "ambiguous"),
        ([artifact("model", "l")], [artifact("model", "r", "h1", size=2)], "changed"),
        ([artifact("model", "l", "h1"), artifact("model", "m", "h2")], [artifact("model", "r", "h3")], "ambiguous"),
        ([artifact("m", "1", "a"), artifact("m", "2", "b")], [artifact("m", "3", "b"), artifact("m", "4", "a")],
         "unchanged"),
    ],
)  # fmt: skip
def test_artifacts_of_a_kind_are_told_apart_by_content(left, right, change):
    found = compare_runs(facts("a", artifacts=tuple(left)), facts("b", artifacts=tuple(right)))
    assert [each.change for each in found.artifact_changes] == [change]


def test_a_comparison_says_what_the_runs_were_made_from_where_it_differs():
    environment = EnvironmentRecord("environment:p.a.e", T0, "3.11.7", "linux", {"numpy": "1.26", "x": "1"})
    left = facts("a", run=run("a", code_revision="r1", config_snapshot={"opt": {"lr": 0.1, "wd": 0}}))
    right = facts("b", run=run("b", code_revision="r2", config_snapshot={"opt": {"lr": 0.2, "wd": 0}}))
    left = replace(left, environment=environment)
    right = replace(right, environment=replace(environment, packages={"numpy": "2.0", "y": "3"}))
    made_from = compare_runs(left, right).provenance_comparison
    assert made_from["code_revision"] == {"left": "r1", "right": "r2"}
    assert made_from["config"] == {"opt.lr": {"left": 0.1, "right": 0.2}}
    assert made_from["environment"]["changed_packages"] == {"numpy": ["1.26", "2.0"]}
    assert "dataset_ref" not in made_from


def test_the_best_of_each_row_follows_from_the_metrics_name():
    runs = [facts("a", series("loss", 0.5), series("acc", 0.8)), facts("b", series("loss", 0.4), series("acc", 0.7))]
    best = {row.metric_key: row.best_run_id for row in compare_multiple_runs(runs).metric_table}
    assert best == {"acc": "run:p.a", "loss": "run:p.b"}
    best = {row.metric_key: row.best_run_id for row in compare_multiple_runs(runs, lower=["acc"]).metric_table}
    assert best["acc"] == "run:p.b"


LOW = ["loss", "train/loss", "val_loss", "mae", "eval.rmse", "latency_ms", "wer", "step_time"]


@pytest.mark.parametrize("key", LOW)
def test_losses_errors_and_times_are_better_low(key):
    assert lower_is_better(key)


@pytest.mark.parametrize("key", ["acc", "accuracy", "auc", "f1", "throughput", "reward", "r2", "closeness", "timely"])
def test_scores_are_better_high(key):
    assert not lower_is_better(key)


def test_the_best_run_is_looked_for_in_every_stage_unless_one_is_named():
    runs = [facts("a", series("auc", 0.7, in_stage="evaluate")), facts("b", series("auc", 0.9, "b", in_stage="train"))]
    assert select_best_run(runs, "auc") == ("run:p.b", 0.9, "train")
    assert select_best_run(runs, "auc", stage_name="evaluate") == ("run:p.a", 0.7, "evaluate")
    assert select_best_run(runs, "auc", higher_is_better=False)[0] == "run:p.a"


@pytest.mark.parametrize("higher", [True, False])
def test_of_equally_good_runs_and_stages_the_first_is_best(higher):
    runs = [facts(each, series("auc", 0.5, each, "x"), series("auc", 0.5, each, "y")) for each in "abc"]
    assert select_best_run(runs, "auc", higher_is_better=higher) == ("run:p.a", 0.5, "x")


def test_a_mean_over_ranks_counts_only_points_that_are_numbers():
    ranks = (series("x", 1.0, rank=0, count=10, non_finite=9, mean=1.0), series("x", 5.0, rank=1, mean=5.0))
    found = compare_runs(facts("a", *ranks), facts("b"), policy="mean")
    assert only_delta(found).left_value == 3.0


def test_nan_is_never_best_and_nothing_at_all_is_an_error():
    runs = [facts("a", series("auc", math.nan)), facts("b", series("auc", 0.1))]
    assert select_best_run(runs, "auc")[0] == "run:p.b"
    with pytest.raises(NotFoundError, match="None of the 1 runs has a value of 'auc'"):
        select_best_run(runs[:1], "auc")


def codes(found):
    return [(issue.severity, issue.code) for issue in found.issues]


def test_a_sound_run_has_no_issue():
    sound = facts("a", series("acc", 1.0, in_stage="evaluate"), stages=(stage("evaluate"),))
    assert codes(diagnose_run(sound)) == []


def test_every_code_of_a_diagnosis():
    def batch(name, status):
        return BatchRecord(f"batch:p.a.train.{name}", "run:p.a", "stage:p.a.train", name, status, 0, T0, T1)

    degraded = ObservationRecord(
        "record:p.a.d1", "run:p.a", None, None, None, "degraded", "slow-disk", T0, degradation_marker="capture_gap",
        payload={"severity": "error", "summary": "the disk was slow"},
    )  # fmt: skip
    worker = WorkerRecord("00", "h", 1, 3, 3, 4, "lost", T0, T1, 10, 0, False)
    everything = facts(
        "a",
        series("loss", math.nan, rank=1, non_finite=2, first_non_finite_step=7),
        series("loss", 1.0, rank=0, non_finite=1, first_non_finite_step=9),
        stages=(stage("train"), stage("prepare"), stage("late", status="cancelled")),
        batches=(batch("b0", "failed"), batch("b1", "cancelled"), batch("b2", "open"), batch("b3", "completed")),
        deployments=(DeploymentRecord("deployment:p.d", "p", "d", "failed", "run:p.a"),),
        degraded=(degraded, replace(degraded, key="worker-lost")),
        workers=(worker, replace(worker, status="ended", rank=0)),
        artifacts=(
            artifact("m", "artifact:p.a.m", problem="changed"),
            artifact("n", "artifact:p.a.n", problem="missing"),
        ),
        dropped={"spool_full": 5},
    )
    found = diagnose_run(everything)
    assert sorted(codes(found)) == sorted([
        ("error", "failed_batch"), ("warning", "incomplete_batch"), ("error", "failed_deployment"),
        ("warning", "incomplete_stage"), ("info", "missing_stage_metrics"), ("info", "missing_expected_stage"),
        ("error", "degraded_record"), ("warning", "non_finite_metric"), ("error", "lost_worker"),
        ("error", "dropped_records"), ("error", "artifact_changed"), ("error", "artifact_missing"),
    ])  # fmt: skip
    severities = [issue.severity for issue in found.issues]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    (turned,) = [issue for issue in found.issues if issue.code == "non_finite_metric"]
    assert (turned.details["first_step"], turned.details["first_rank"], turned.details["points"]) == (7, 1, 3)
    assert "missing_expected_stage" not in [
        issue.code for issue in diagnose_run(everything, expected_terminal_stages=["train"]).issues
    ]


def test_a_stage_is_one_of_those_expected_by_its_name_or_by_its_reference():
    for name, ref, missed in (("Evaluate", "evaluate", False), ("evaluate", "evaluate-2", False), ("x", "y", True)):
        found = diagnose_run(facts(stages=(replace(stage(ref), name=name),)))
        assert ("missing_expected_stage" in [issue.code for issue in found.issues]) == missed


def test_where_a_metric_turned_nan_is_told_by_the_rank_that_knows_its_step():
    without = series("loss", math.nan, rank=0, non_finite=1, first_non_finite_step=None)
    later, first = (
        series("loss", math.nan, rank=rank, non_finite=1, first_non_finite_step=step) for rank, step in ((1, 9), (2, 4))
    )
    (issue,) = [
        each for each in diagnose_run(facts("a", without, later, first)).issues if each.code == "non_finite_metric"
    ]
    assert (issue.details["first_step"], issue.details["first_rank"], issue.details["points"]) == (4, 2, 3)


def relation(source, kind, target):
    ref = f"relation:p.a.{source}-{target}".replace(":", "-")
    return RelationRecord(ref, kind, source, target, T0, "explicit", "high")


EDGES = [
    relation("run:p.a", "used", "dataset:d"),
    relation("artifact:p.a.m", "generated_from", "run:p.a"),
    relation("deployment:p.d", "deployed_from", "artifact:p.a.m"),
    relation("dataset:d", "consumed_by", "run:p.b"),
    relation("dataset:d", "derived_from", "dataset:raw"),
]


def neighbours(ref):
    return [edge for edge in EDGES if ref in (edge.source_ref, edge.target_ref)]


def test_upstream_is_what_a_thing_came_from():
    found = traverse_lineage("deployment:p.d", neighbours, direction="upstream")
    assert found.visited_refs == ("deployment:p.d", "artifact:p.a.m", "run:p.a", "dataset:d", "dataset:raw")


def test_downstream_is_what_came_from_it_also_over_relations_told_the_other_way_round():
    found = traverse_lineage("dataset:raw", neighbours, direction="downstream")
    assert set(found.visited_refs) == {
        "dataset:raw", "dataset:d", "run:p.a", "run:p.b", "artifact:p.a.m", "deployment:p.d"
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["consumed_by", "reported_by"])
def test_of_what_was_consumed_or_reported_the_target_came_from_the_source(kind):
    edges = [relation("artifact:p.a.m", kind, "run:p.b")]
    assert traverse_lineage("run:p.b", lambda ref: edges, direction="upstream").visited_refs[1:] == ("artifact:p.a.m",)
    assert traverse_lineage("run:p.b", lambda ref: edges, direction="downstream").visited_refs[1:] == ()


def test_both_directions_do_not_turn_round_on_the_way():
    found = traverse_lineage("run:p.a", neighbours)
    assert "run:p.b" not in found.visited_refs  # it shares a dataset, but is neither cause nor effect
    assert len(found.edges) == 4


def test_depth_is_bounded_and_circles_end():
    assert traverse_lineage("deployment:p.d", neighbours, direction="upstream", max_depth=1).visited_refs == (
        "deployment:p.d", "artifact:p.a.m",
    )  # fmt: skip
    assert traverse_lineage("run:p.a", neighbours, max_depth=0).edges == ()
    circle = [relation("a:x", "derived_from", "a:y"), relation("a:y", "derived_from", "a:x")]
    found = traverse_lineage("a:x", lambda ref: circle)
    assert set(found.visited_refs) == {"a:x", "a:y"} and len(found.edges) == 2
    with pytest.raises(ValidationError, match="upstream or downstream"):
        traverse_lineage("a:x", neighbours, direction="sideways")


def test_runs_of_one_name_are_told_apart_by_their_references():
    def made(ref, name):
        return facts(run=replace(run(), run_id=f"run:{ref}", name=name))

    runs = [made("q1.base", "base"), made("q2.base", "base"), made("q1.other", "other")]
    found = compare_multiple_runs(runs)
    assert found.run_names == ("q1.base", "q2.base", "other")
    assert multi_run_report(found).sections[0].tables[0].rows[0][:2] == ("q1.base", "run:q1.base")
    found = compare_multiple_runs([*runs, made("q3.x", "q1.base")])
    assert found.run_names == ("q1.base", "q2.base", "q1.other", "q3.x")


def test_code_that_is_in_no_commit_is_said_of_each_run_that_ran_it():
    made = {
        name: facts(name, environment=EnvironmentRecord("e", T0, "3.11", "linux", git={"revision": "1", **git}))
        for name, git in {"a": {"dirty": False}, "b": {"dirty": True}, "c": {}}.items()
    }
    for found in (compare_runs(made["a"], made["b"]), compare_multiple_runs([*made.values(), facts("d")])):
        (note,) = found.completeness_notes
        assert note.summary.startswith("run:p.b ran code with changes that are in no commit")


def test_an_audit_names_what_is_missing():
    bare = audit_reproducibility(facts("a"))
    assert bare.reproducibility_status == "unknown" and bare.package_count == 0
    environment = EnvironmentRecord("environment:p.a.e", T0, "3.11.7", "linux", {"numpy": "1"}, git={"revision": "abc"})
    part = audit_reproducibility(facts("a", environment=environment))
    assert part.reproducibility_status == "partial"
    assert {note.summary.split(" ")[1] for note in part.completeness_notes} == {"dataset", "configuration"}
    whole = facts("a", run=run("a", dataset_ref="dataset:d", config_snapshot={"lr": 1}), environment=environment)
    assert audit_reproducibility(whole).reproducibility_status == "reproducible"
    dirty = replace(whole, environment=replace(environment, git={"revision": "abc", "dirty": True}))
    assert audit_reproducibility(dirty).reproducibility_status == "partial"


def test_environments_differ_by_what_was_added_removed_and_changed():
    left = EnvironmentRecord("e", T0, "3.11", "linux", {"a": "1", "b": "1"}, {"X": "1"})
    right = EnvironmentRecord("e", T0, "3.12", "linux", {"b": "2", "c": "1"}, {"X": "1", "Y": "2"})
    found = compare_environments(left, right)
    assert found.python_version_changed and not found.platform_changed
    assert (found.added_packages, found.removed_packages, found.changed_packages) == (
        {"c": "1"}, {"a": "1"}, {"b": ("1", "2")},
    )  # fmt: skip
    assert found.added_variables == {"Y": "2"}
