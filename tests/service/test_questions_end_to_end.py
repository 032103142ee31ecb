"""Every question of the surface, asked of a real daemon about runs that were really captured or put."""

import json
import math
import subprocess
import sys

import pytest
from served import Served

from contexta.contract import (
    EnvironmentSnapshot,
    LineageEdge,
    MetricPayload,
    MetricRecord,
    Project,
    ProvenanceRecord,
    RecordEnvelope,
    Run,
    StageExecution,
)
from contexta.errors import AmbiguousError, NotFoundError, RejectedError, ValidationError
from contexta.interpretation import AlertRule


def captured(served: Served):
    """Two runs of four; the second has a NaN, an event, and a failed batch."""
    ctx = served.contexta()
    for number, name in enumerate(("first", "second", "third", "fourth")):
        with ctx.run(
            name, tags={"family": "tree"}, dataset_ref="dataset:sales.jan", config_snapshot={"depth": number}
        ) as run:
            with run.stage("train") as stage:
                for step in range(20):
                    stage.metric("loss", 1.0 / (step + 1 + number), step=step)
                if name == "second":
                    stage.metric("loss", math.nan, step=20)
                    stage.event("note", message="the loss is gone")
            with run.stage("evaluate") as stage:
                stage.metric("accuracy", 0.8 + number / 100, unit="ratio")
                if name == "second":
                    stage.batch("b").close("failed")
            path = served.path.parent / f"{name}.bin"
            path.write_bytes(name.encode())
            run.register_artifact("model", path)
    return ctx


@pytest.fixture
def ctx(served: Served):
    return captured(served)


def test_a_snapshot_is_the_run_and_its_records_are_read_as_they_are_looked_at(ctx) -> None:
    snapshot = ctx.get_run_snapshot("second")
    assert (snapshot.run.name, snapshot.run.config_snapshot) == ("second", {"depth": 1})
    assert [stage.name for stage in snapshot.stages] == ["train", "evaluate"]
    assert [batch.status for batch in snapshot.batches] == ["failed"]
    records = snapshot.records
    assert len(records) == 23  # 21 losses, an accuracy, an event
    assert {each.key for each in records} == {"loss", "accuracy", "note"}
    assert records[-1].record_id == records[22].record_id
    assert [each.record_id for each in records] == [records[place].record_id for place in range(23)]
    assert len(records[5:8]) == 3
    with pytest.raises(IndexError):
        records[23]


def test_two_runs_are_compared_and_what_they_were_made_from_with_them(ctx) -> None:
    found = ctx.compare_runs("first", "demo.third")
    assert found.left_run_id == "run:demo.first" and found.right_run_id == "run:demo.third"
    deltas = {each.metric_key: each for stage in found.stage_comparisons for each in stage.metric_deltas}
    assert deltas["accuracy"].delta == pytest.approx(0.02) and deltas["accuracy"].unit == "ratio"
    assert [each.change for each in found.artifact_changes] == ["changed"]
    assert found.provenance_comparison["config"] == {"depth": {"left": 0, "right": 2}}
    assert ctx.compare_runs("first", "third", policy="max").stage_comparisons[0].metric_deltas[0].left_value == 1.0


def test_several_runs_stand_in_one_table_and_the_best_is_chosen(ctx) -> None:
    runs = [run.run_id for run in ctx.list_runs("demo")]
    found = ctx.compare_multiple_runs(runs)
    (accuracy,) = [row for row in found.metric_table if row.metric_key == "accuracy"]
    assert list(accuracy.values) == runs and accuracy.best_run_id == "run:demo.fourth"
    assert found.artifact_kind_counts["run:demo.first"] == {"model": 1}
    assert ctx.select_best_run(runs, "accuracy", stage_name="evaluate") == "run:demo.fourth"
    assert ctx.select_best_run(runs, "loss", higher_is_better=False) == "run:demo.fourth"
    with pytest.raises(NotFoundError, match="has a value of 'auc'"):
        ctx.select_best_run(runs, "auc")


def test_a_diagnosis_finds_what_went_wrong(ctx) -> None:
    found = ctx.diagnose_run("second")
    assert [issue.code for issue in found.issues] == ["failed_batch", "non_finite_metric"]
    assert found.issues[1].details["first_step"] == 20
    assert ctx.diagnose_run("first").issues == ()


def test_why_something_failed_is_told_wherever_it_is_shown(served: Served, ctx) -> None:
    with pytest.raises(KeyError), ctx.run("broken") as run, run.stage("prepare"):
        raise KeyError("no column 'age'")
    (found,) = [each for each in ctx.list_runs("demo") if each.name == "broken"]
    assert found.status == "failed" and "no column 'age'" in found.reason
    assert "no column 'age'" in ctx.list_stages("broken")[0].reason
    (issue,) = [each for each in ctx.diagnose_run("broken").issues if each.code == "incomplete_stage"]
    assert "KeyError" in issue.summary
    assert "no column" in contexta(served, "run", "show", "broken").stdout
    assert "no column" in ctx.build_snapshot_report("broken").to_markdown()
    assert ctx.sql("SELECT reason FROM stages WHERE run_id = 'run:demo.broken'").rows[0][0] == found.reason


def test_lineage_follows_what_is_implied_and_what_was_put(ctx) -> None:
    (artifact,) = ctx.list_artifacts("first")
    up = ctx.traverse_lineage(artifact.artifact_ref, direction="upstream")
    assert up.visited_refs == (artifact.artifact_ref, "run:demo.first", "dataset:sales.jan")
    ctx.metadata_store.relations.put_relation(
        LineageEdge(
            relation_ref="relation:demo.first.cleaned", relation_type="derived_from", source_ref="dataset:sales.jan",
            target_ref="dataset:sales.raw", recorded_at="2026-01-01T00:00:00Z", origin_marker="explicit",
            confidence_marker="high",
        )
    )  # fmt: skip
    down = ctx.traverse_lineage("dataset:sales.raw", direction="downstream")
    assert {f"run:demo.{name}" for name in ("first", "second", "third", "fourth")} < set(down.visited_refs)
    with pytest.raises(NotFoundError, match="Nothing is known"):
        ctx.traverse_lineage("dataset:nowhere")
    origin = ctx.traverse_lineage("dataset:sales.raw", direction="upstream")  # known, though it came from nothing
    assert (origin.edges, list(origin.visited_refs)) == ((), ["dataset:sales.raw"])


def test_provenance_and_the_origin_of_an_artifact(ctx) -> None:
    store = ctx.metadata_store
    (artifact,) = ctx.list_artifacts("first")
    edge = LineageEdge(
        relation_ref="relation:demo.first.made", relation_type="generated_from", source_ref=artifact.artifact_ref,
        target_ref="run:demo.first", recorded_at="2026-01-01T00:00:00Z", origin_marker="explicit",
        confidence_marker="high",
    )  # fmt: skip
    store.relations.put_relation(edge)
    store.provenance.put_provenance(
        ProvenanceRecord(
            provenance_ref="provenance:demo.first.seen", relation_ref=edge.relation_ref, assertion_mode="explicit",
            asserted_at="2026-01-01T00:00:00Z",
        )
    )  # fmt: skip
    (view,) = ctx.get_provenance("first")
    assert (view.relation_ref, view.run_id) == (edge.relation_ref, "run:demo.first")
    origin = ctx.get_artifact_origin(artifact.artifact_ref)
    assert origin.run.name == "first" and origin.artifact.kind == "model"
    assert store.relations.get_relation(edge.relation_ref) == edge
    assert [section.title for section in ctx.build_snapshot_report("first").sections][-1] == "Provenance"


def test_trends_aggregates_and_the_distribution_of_statuses(ctx) -> None:
    trend = ctx.get_metric_trend("accuracy", project_name="demo")
    assert [point.run_name for point in trend.points] == ["first", "second", "third", "fourth"]
    assert len(ctx.get_stage_duration_trend("train").points) == 4
    sizes = ctx.get_artifact_size_trend("model")
    assert [point.value for point in sizes.points] == [5.0, 6.0, 5.0, 6.0]
    found = ctx.aggregate_metric("accuracy")
    assert (found.count, found.min, found.max) == (4, 0.8, pytest.approx(0.83))
    assert set(ctx.aggregate_by_stage("accuracy")) == {"evaluate"}
    assert ctx.run_status_distribution("demo") == {"completed": 4}
    with pytest.raises(NotFoundError, match="No run has"):
        ctx.aggregate_metric("nothing")


def test_anomalies_and_alerts(ctx) -> None:
    (found,) = ctx.detect_anomalies("fourth", metric_key="accuracy")
    assert found.baseline_count == 3 and found.value == pytest.approx(0.83)
    too_high = {"metric_key": "loss", "operator": "gt", "threshold": 9}
    rules = [AlertRule("accuracy", "lt", 0.82, name="too low"), too_high]
    report = ctx.evaluate_alerts("first", rules)
    assert [each.triggered for each in report.results] == [True, False]
    fleet = ctx.evaluate_alerts_fleet(rules[:1], project_name="demo")
    assert [each.run_id for each in fleet.triggered] == ["run:demo.first", "run:demo.second"]
    assert ctx.build_alert_report("first", rules).title == "Alert Report"


def test_audit_and_environments(ctx) -> None:
    audit = ctx.audit_reproducibility("first")
    assert audit.package_count > 10 and audit.python_version
    diff = ctx.compare_environments("first", "second")
    assert not diff.python_version_changed and not diff.changed_packages
    ctx.metadata_store.environments.put_environment_snapshot(
        EnvironmentSnapshot(
            environment_snapshot_ref="environment:demo.other.e", run_ref="run:demo.other",
            captured_at="2026-01-01T00:00:00Z", python_version="2.7", platform="amiga", packages={"numpy": "0.1"},
        )
    )  # fmt: skip
    diff = ctx.compare_environments("other", "first")
    assert diff.python_version_changed and diff.platform_changed and "numpy" in diff.changed_packages


def test_search_finds_every_word(ctx) -> None:
    assert [run.name for run in ctx.search_runs("TREE second")] == ["second"]
    assert len(ctx.search_runs("tree", limit=2)) == 2
    assert [each.kind for each in ctx.search_artifacts("third")] == ["model"]
    with pytest.raises(ValidationError, match="at least one word"):
        ctx.search_runs("  ")


def test_reports_of_every_kind_and_form(ctx) -> None:
    reports = {
        "Run Snapshot Report: run:demo.first": ctx.build_snapshot_report("first"),
        "Run Comparison Report: run:demo.first vs run:demo.second": ctx.build_run_report("first", "second"),
        "Multi Run Report: 2 runs": ctx.build_multi_run_report(["first", "second"]),
        "Project Summary Report: demo": ctx.build_project_summary_report(),
        "Trend Report: accuracy": ctx.build_trend_report("accuracy"),
    }
    for title, report in reports.items():
        assert report.title == title
        assert title in report.to_markdown() and "<html" in report.to_html() and json.loads(report.to_json())
        assert report.to_csv()
    sections = [section.title for section in ctx.build_snapshot_report("first").sections]
    assert sections == ["Run Summary", "Stages", "Artifacts", "Batches", "Deployments", "Samples", "Diagnostics",
                        "Completeness Notes"]  # fmt: skip
    difference = ctx.compare_report_documents(*(ctx.build_snapshot_report(name) for name in ("first", "second")))
    assert difference.sections


def test_series_in_numbers_need_no_points(ctx) -> None:
    (loss,) = ctx.list_series("second", metric_key="loss")
    assert (loss.count, loss.non_finite, loss.first_non_finite_step, loss.last_step) == (21, 1, 20, 20)
    assert math.isnan(loss.last) and loss.max == 0.5


def test_an_unknown_run_names_the_nearest_and_an_ambiguous_one_its_candidates(ctx) -> None:
    with pytest.raises(NotFoundError, match=r"run:demo\.second"):
        ctx.diagnose_run("secondd")
    with pytest.raises(NotFoundError):
        ctx.build_project_summary_report("nowhere")
    store = ctx.metadata_store
    for project in ("x", "y"):
        store.runs.put_run(run_model(project, "same"))
    with pytest.raises(AmbiguousError, match=r"run:x\.same.*run:y\.same|run:y\.same.*run:x\.same"):
        ctx.compare_runs("same", "first")
    with pytest.raises(ValidationError, match="a text"):
        ctx.compare_multiple_runs(ctx.list_runs("demo"))


def run_model(project: str, name: str) -> Run:
    return Run(
        run_ref=f"run:{project}.{name}", project_ref=f"project:{project}", name=name, status="completed",
        started_at="2025-01-01T00:00:00Z", ended_at="2025-01-01T01:00:00Z",
    )  # fmt: skip


def metric(name: str, value: float, *, run: str = "r") -> MetricRecord:
    return MetricRecord(
        envelope=RecordEnvelope(
            record_ref=f"record:p.{run}.{name}", record_type="metric", recorded_at="2025-01-01T00:30:00Z",
            observed_at="2025-01-01T00:30:00Z", producer_ref="test", run_ref=f"run:p.{run}",
            stage_execution_ref=f"stage:p.{run}.train",
        ),
        payload=MetricPayload(metric_key="score", value=value, value_type="float64"),
    )  # fmt: skip


@pytest.fixture
def stored(served: Served):
    ctx = served.contexta()
    store = ctx.metadata_store
    store.projects.put_project(Project(project_ref="project:p", name="P", created_at="2025-01-01T00:00:00Z"))
    store.runs.put_run(run_model("p", "r"))
    store.stages.put_stage_execution(
        StageExecution(
            stage_execution_ref="stage:p.r.train", run_ref="run:p.r", stage_name="train", status="completed",
            started_at="2025-01-01T00:00:00Z", ended_at="2025-01-01T00:50:00Z", order_index=0,
        )
    )  # fmt: skip
    return ctx


def test_what_is_put_is_there_as_it_was_put_and_putting_again_replaces(stored) -> None:
    store = stored.metadata_store
    assert store.runs.get_run("run:p.r") == run_model("p", "r")
    changed = Run(**{**run_model("p", "r").to_dict(), "description": "again", "name": "renamed"})
    store.runs.put_run(changed)
    assert store.runs.list_runs("project:p") == [changed]
    assert [run.name for run in stored.list_runs()] == ["renamed"]
    assert not store.stages.exists("stage:p.r.other")
    with pytest.raises(NotFoundError, match="There is no Run"):
        store.runs.get_run("run:p.none")
    with pytest.raises(ValidationError, match="takes Run, not Project"):
        store.runs.put_run(store.projects.get_project("project:p"))


def test_what_was_captured_is_a_model_too(ctx) -> None:
    store = ctx.metadata_store
    run = store.runs.get_run("run:demo.first")
    assert (run.name, run.status) == ("first", "completed")
    assert {stage.stage_name for stage in store.stages.list_stage_executions("run:demo.first")} == {"train", "evaluate"}
    assert store.batches.get_batch_execution("batch:demo.second.evaluate.b").status == "failed"
    (manifest,) = store.artifacts.list("run:demo.first")
    assert manifest.hash_value.startswith("sha256:")
    assert store.environments.list_environment_snapshots("run:demo.first")[0].packages


def test_a_record_is_stored_once_however_often_it_is_appended(stored) -> None:
    records = [metric(f"m{n}", float(n)) for n in range(100)]
    receipts = stored.record_store.append_many(records)
    assert [each.duplicate for each in receipts] == [False] * 100
    assert [each.duplicate for each in stored.record_store.append_many(records[:3])] == [True] * 3
    found = list(stored.record_store.scan(run_id="run:p.r"))
    assert [each.value for each in found] == [float(n) for n in range(100)]
    assert len(stored.get_run_snapshot("p.r").records) == 100
    assert stored.list_series("p.r")[0].count == 100
    assert stored.get_step_series("p.r", "score").values.tolist() == [float(n) for n in range(100)]
    with pytest.raises(RejectedError, match="other content"):
        stored.record_store.append(metric("m1", 7.0))
    handled = []
    assert stored.record_store.replay(run_id="run:p.r", handler=handled.append) == 100 == len(handled)
    report = stored.record_store.check_integrity()
    assert report.intact and report.items >= 100


def test_non_finite_values_are_put_and_read_bit_exact(stored) -> None:
    stored.record_store.append_many([metric("nan", math.nan), metric("inf", -math.inf)])
    values = [each.value for each in stored.record_store.scan(key="score")]
    assert math.isnan(values[0]) and values[1] == -math.inf


def contexta(served: Served, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "contexta_client.cli", "--workspace", str(served.path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_the_command_line_answers_for_people_and_for_programs(served: Served, ctx, tmp_path) -> None:
    for arguments in (
        ["compare", "first", "third"],
        ["compare-multi", "first", "second", "third"],
        ["run", "compare", "first", "third"],
        ["lineage", "run:demo.first"],
        ["search", "runs", "tree"],
        ["search", "artifacts", "model"],
        ["trend", "accuracy"],
        ["aggregate", "accuracy", "--by", "stage"],
        ["anomaly", "fourth"],
        ["provenance", "audit", "first"],
        ["provenance", "diff", "first", "second"],
        ["stragglers", "first"],
        ["artifact", "verify"],
        ["report", "snapshot", "first"],
    ):
        text = contexta(served, *arguments)
        assert text.returncode == 0 and text.stdout.strip(), (arguments, text.stderr)
        said = contexta(served, "--format", "json", *arguments)
        assert said.returncode == 0 and json.loads(said.stdout) is not None, (arguments, said.stderr)


def test_the_command_line_shows_the_artifacts_of_the_attempt_that_is_asked_for(served: Served, tmp_path) -> None:
    ctx = served.contexta()
    for number in (1, 2):
        path = tmp_path / f"model{number}"
        path.write_bytes(b"x" * number)
        with ctx.run("again") as run:
            run.register_artifact("model", path)
    for number in (1, 2):
        said = contexta(served, "--format", "json", "run", "show", "again", "--attempt", str(number))
        assert [each["size_bytes"] for each in json.loads(said.stdout)["artifacts"]] == [number]


def test_the_command_line_says_by_its_exit_status_what_it_found(served: Served, ctx, tmp_path) -> None:
    assert contexta(served, "diagnostics", "second").returncode == 0
    assert contexta(served, "diagnostics", "second", "--fail-on", "error").returncode == 1
    assert contexta(served, "diagnostics", "first", "--fail-on", "info").returncode == 0
    assert contexta(served, "alert", "first", "accuracy<0.9").returncode == 1
    assert contexta(served, "alert", "first", "evaluate:accuracy>0.9").returncode == 0
    assert "No metrics." in contexta(served, "compare", "second", "second", "--changed").stdout  # its loss is NaN
    unknown = contexta(served, "--format", "json", "compare", "first", "nobody")
    assert unknown.returncode == 1 and json.loads(unknown.stderr)["code"] == "not_found"
    assert contexta(served, "compare", "first").returncode == 2


def test_reports_and_records_become_files(served: Served, ctx, tmp_path) -> None:
    page, table, lines = tmp_path / "r.html", tmp_path / "r.csv", tmp_path / "loss.csv"
    assert contexta(served, "report", "compare", "first", "second", "--output", str(page)).returncode == 0
    assert "<svg" in page.read_text()
    assert contexta(served, "report", "snapshot", "first", "--output", str(table)).returncode == 0
    assert contexta(served, "export", "csv", str(lines), "--run", "first", "--key", "loss").returncode == 0
    assert len(lines.read_text().splitlines()) == 21
    assert contexta(served, "export", "html", "first", str(tmp_path / "x.html")).returncode == 0
    assert contexta(served, "ui", "--no-open").returncode == 0
    assert "run:demo.first" in (served.path / "reports" / "ui" / "index.html").read_text()
