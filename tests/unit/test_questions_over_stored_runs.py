"""Questions over runs out of a catalog: which runs they look at, and in which order."""

import json

import pytest
from logged import NS, columns, entry, key_defined, run_opened, scope_closed, scope_opened, session_opened
from test_answers_of_sources import begin
from test_answers_of_sources import store as store

from contexta.errors import NotFoundError, ValidationError
from contexta.v1 import capture_pb2 as pb
from contexta.v1 import query_pb2 as q
from contexta_client.query.findings import which_runs
from contexta_daemon.query import fleet_answers, report_answers


def begin_all(store, *names, values=()):
    """Open runs, each of a process of its own; each with a value of its loss in train."""
    for session, name in enumerate(names):
        begin(store, name, session=session)
        value = values[session] if values else float(session)
        store.log.add(session, columns=[columns([value], series=(2, 1), step=[1])])
    return store.sources()


def ids(runs):
    return [each.run_id for each in runs]


# --- which ---


def test_a_baseline_without_a_run_is_none(store):
    sources = begin_all(store, "a", "b", "c", "d", "e")
    asked = q.DetectAnomaliesRequest(run_id="e", baseline=q.RunsRequest())
    found = fleet_answers.anomalies(sources, asked)
    assert list(found.results) == []
    assert [note.summary[:26] for note in found.completeness_notes] == ["0 runs to compare with; 3 "]
    for baseline in (None, q.RunsRequest(project_name="p"), q.RunsRequest(filter=q.ListRunsRequest())):
        found = fleet_answers.anomalies(sources, q.DetectAnomaliesRequest(run_id="e", baseline=baseline)).results
        assert [each.baseline_count for each in found] == [4]


def test_a_run_that_began_within_the_same_second_but_later_is_no_baseline(store):
    for session, name in enumerate(("mine", "a", "b", "c")):
        began = NS + session * 10**6
        store.log.add(
            session,
            session_opened(),
            run_opened(1, f"run:p.{name}", time_ns=began),
            key_defined(1, "loss"),
            columns=[columns([1.0], series=(1, 1))],
        )
    mine = {"run_ref": "run:p.mine", "project_ref": "project:p", "name": "mine", "status": "open",
            "started_at": "2026-01-01T00:00:00Z"}  # fmt: skip
    store.log.add(9, entry(model_stored=pb.ModelStored(model="Run", ref="run:p.mine", json=json.dumps(mine))))
    sources = store.sources()
    assert list(fleet_answers.anomalies(sources, q.DetectAnomaliesRequest(run_id="mine")).results) == []
    report = report_answers.build(sources, q.BuildReportRequest(kind="project", project_name="p"))
    assert dict(report.sections[0].tables[0].rows)["newest run"] == "2026-01-01T00:00:00.003000Z"


def test_an_alert_report_of_no_run_is_not_of_all(store):
    begin_all(store, "a")
    rule = q.AlertRule(metric_key="loss", operator="gt", threshold=1)
    with pytest.raises(ValidationError, match="at least one"):
        report_answers.build(store.sources(), q.BuildReportRequest(kind="alerts", rules=[rule]))


def test_runs_are_named_or_those_of_a_project_but_not_both(store):
    sources = begin_all(store, "a", "b")
    for more in ({"project_name": "p"}, {"filter": q.ListRunsRequest()}):
        with pytest.raises(ValidationError, match="not both"):
            fleet_answers.which_runs(sources, q.RunsRequest(run_ids=["a"], **more))


def test_a_run_that_is_named_twice_is_one_and_a_name_of_none_is_no_run(store):
    sources = begin_all(store, "a", "b")
    named = q.RunsRequest(run_ids=["b", "run:p.b", "p.b", "a"])
    assert ids(fleet_answers.which_runs(sources, named)) == ["run:p.b", "run:p.a"]
    with pytest.raises(NotFoundError):
        fleet_answers.which_runs(sources, q.RunsRequest(run_ids=[""]))


def test_no_run_is_not_asked_for_as_all_runs():
    with pytest.raises(ValidationError, match="names no run"):
        which_runs(None, [])


# --- in which order ---


@pytest.mark.parametrize("kind, subject", [("metric", "loss"), ("duration", "train"), ("artifact_size", "model")])
def test_a_trend_goes_from_the_oldest_run_to_the_newest_however_the_runs_were_chosen(store, kind, subject):
    for session, name in enumerate("abcd"):
        began = NS + session * 10**9
        store.log.add(
            session,
            session_opened(),
            run_opened(1, f"run:p.{name}", time_ns=began),
            scope_opened(2, 1, "stage", f"stage:p.{name}.train", time_ns=began),
            key_defined(1, "loss"),
            columns=[columns([float(session)], series=(2, 1), step=[1])],
        )
    for session in (3, 1, 2, 0):  # in another order than that of the runs
        ref = f"artifact:p.{'abcd'[session]}.m"
        made = pb.ArtifactRegistered(
            scope_id=2, ref=ref, artifact_kind="model", path="/x", exists=True, size_bytes=9
        )
        store.log.add(session, entry(artifact_registered=made), scope_closed(2))
    newest = q.ListRunsRequest(sort_by="started_at", sort_desc=True, limit=3)
    for runs, names in ((q.RunsRequest(), "abcd"), (q.RunsRequest(filter=newest), "bcd")):
        found = fleet_answers.make_trend(store.sources(), q.GetTrendRequest(kind=kind, subject=subject, runs=runs))
        assert [point.run_id for point in found.points] == [f"run:p.{name}" for name in names]


def test_the_lines_of_runs_of_one_name_are_told_apart(store):
    for session, project in enumerate(("p", "q")):
        store.log.add(
            session,
            session_opened(),
            run_opened(1, f"run:{project}.base", project_name=project),
            key_defined(1, "loss"),
            columns=[columns([1.0, 2.0], series=(1, 1), step=[1, 2])],
        )
    sources = store.sources()
    report = report_answers.build(sources, q.BuildReportRequest(kind="comparison", run_ids=["p.base", "q.base"]))
    (chart, *_) = (chart for section in report.sections for chart in section.charts)
    assert [line.name for line in chart.lines] == ["p.base", "q.base"]
    trend = q.BuildReportRequest(kind="trend", trend=q.GetTrendRequest(kind="metric", subject="loss"))
    (chart,) = report_answers.build(sources, trend).sections[0].charts
    assert chart.x_labels == ("p.base", "q.base")


# --- how many ---


def test_a_search_finds_all_unless_it_is_limited(store):
    for number in range(60):
        made = pb.ArtifactRegistered(
            scope_id=1, ref=f"artifact:p.r{number}.m", artifact_kind="model", path="/x", exists=True, size_bytes=9
        )
        store.log.add(
            number, session_opened(), run_opened(1, f"run:p.r{number}", time_ns=NS + number * 10**9),
            entry(artifact_registered=made),
        )  # fmt: skip
    sources = store.sources()
    for limit, count in ((None, 60), (0, 0), (2, 2), (100, 60)):
        asked = q.SearchRequest(text="p.r", limit=limit)
        runs = fleet_answers.search_runs(sources, asked)
        assert (len(runs.runs), runs.total) == (count, 60)
        artifacts = fleet_answers.search_artifacts(sources, asked).artifacts
        newest = range(59, 59 - count, -1)
        assert ids(runs.runs) == ids(artifacts) == [f"run:p.r{number}" for number in newest]
