"""Answers out of a catalog, a log and columns, without a daemon in between."""

import numpy as np
import pytest
from column_files import Bench
from logged import columns, entry, key_defined, run_opened, scope_closed, scope_opened, session_opened

from contexta.errors import NotFoundError, ValidationError
from contexta.v1 import capture_pb2 as pb
from contexta.v1 import query_pb2 as q
from contexta_daemon.query import fleet_answers, read_series, report_answers, run_answers
from contexta_daemon.query.sources import Sources


class Asked(Bench):
    """The same, with the sources that questions are asked of: of the log alone, and of columns where they are written.
    """

    def sources(self, *, of_columns: bool = False) -> Sources:
        self.run() if of_columns else self.catch_up()
        connection = self.catalog.connect()
        return Sources(connection, self.log, self.log.committed, (), self.folder if of_columns else None)


@pytest.fixture
def store(tmp_path):
    store = Asked(tmp_path)
    yield store
    store.close()


def begin(store, run="r", *, scope=1, session=1, unit="", rank=None):
    """Open a run as `scope`, a stage in it as the scope behind, and a metric `loss` with the id of the run."""
    store.log.add(
        session,
        session_opened(job="j", rank=rank),
        run_opened(scope, f"run:p.{run}"),
        scope_opened(scope + 1, scope, "stage", f"stage:p.{run}.train"),
        key_defined(scope, "loss", unit=unit),
    )


def charts(report):
    return {chart.title: [line.y for line in chart.lines] for section in report.sections for chart in section.charts}


# --- series ---


@pytest.mark.parametrize("of_columns", [False, True])
def test_a_chart_of_the_runs_own_metric_has_no_point_of_a_stage(store, of_columns):
    for number, run in enumerate(("r", "s")):
        begin(store, run, session=number)
        store.log.add(number, columns=[columns([100.0, 101.0], series=(1, 1), step=[1, 2])])
        store.log.add(number, columns=[columns([1.0, 0.5], series=(2, 1), step=[1, 2])])
    sources = store.sources(of_columns=of_columns)
    found = charts(report_answers.build(sources, q.BuildReportRequest(kind="snapshot", run_ids=["r"])))
    assert found["loss"] == [(100.0, 101.0)] and found["loss in train"] == [(1.0, 0.5)]
    found = charts(report_answers.build(sources, q.BuildReportRequest(kind="comparison", run_ids=["r", "s"])))
    assert found["loss"] == [(100.0, 101.0)] * 2 and found["loss in train"] == [(1.0, 0.5)] * 2


@pytest.mark.parametrize("of_columns", [False, True])
def test_a_line_of_no_rank_has_no_point_of_a_rank(store, of_columns):
    for session, rank in enumerate((None, 0)):
        begin(store, session=session, rank=rank)
        store.log.add(session, columns=[columns([session + 0.0, session + 0.5], series=(2, 1), step=[1, 2])])
    found = charts(
        report_answers.build(store.sources(of_columns=of_columns), q.BuildReportRequest(kind="snapshot", run_ids=["r"]))
    )
    assert found["loss in train"] == [(0.0, 0.5), (1.0, 1.5)]


def test_a_straggler_is_looked_for_among_points_of_the_run_itself(store):
    times = 1_767_225_600_000_000_000
    for rank in range(4):
        begin(store, session=rank, rank=rank)
        late = 10**9 * (10 if rank == 3 else 1)
        at = [times + late * step for step in range(1, 13)]
        store.log.add(rank, columns=[columns([0.0] * 12, series=(1, 1), step=range(2, 14), time_ns=at)])
        same = [times - 10**12 + step for step in range(1, 25)]
        store.log.add(rank, columns=[columns([0.0] * 24, series=(2, 1), step=range(2, 26), time_ns=same)])
    found = run_answers.stragglers(store.sources(), q.FindStragglersRequest(run_id="r"))
    assert [each.rank for each in found.stragglers if not each.stage_name] == [3]


@pytest.fixture
def few_at_once(monkeypatch):
    """No question but for the points themselves is refused because they are many."""
    monkeypatch.setattr("contexta_daemon.query.series.MAX_POINTS", 50)
    monkeypatch.setattr("contexta_daemon.query.sources.POINTS_AT_ONCE", 50)


@pytest.mark.parametrize("of_columns", [False, True])
@pytest.mark.parametrize(("most", "since"), [(1000, 11), (80, 22)], ids=["all steps", "some steps"])
def test_a_straggler_of_many_points_is_found_rank_by_rank(store, few_at_once, monkeypatch, of_columns, most, since):
    monkeypatch.setattr("contexta_daemon.query.run_answers.MAX_COMPARED_TIMES", most)
    start = 1_767_225_600_000_000_000
    for rank in range(4):
        begin(store, session=rank, rank=rank)
        late = np.where(np.arange(40) > 10, rank == 3, 0).cumsum()
        at = start + 10**9 * (np.arange(40) + late)
        values = rank + np.arange(40.0)
        store.log.add(rank, columns=[columns(values, series=(1, 1), step=np.arange(40) + 1, time_ns=at)])
    begin(store, session=4)  # of no rank
    store.log.add(4, columns=[columns([1.5] * 5, series=(1, 1), step=range(1, 6))])
    sources = store.sources(of_columns=of_columns)
    found = run_answers.stragglers(sources, q.FindStragglersRequest(run_id="r"))
    assert [(each.rank, each.since_step) for each in found.stragglers] == [(3, since)]
    notes = [each.summary for each in found.completeness_notes]
    assert notes == ["Of 40 steps of 'loss' the first 2 and the last 18 were looked at."] * (most == 80)
    report = report_answers.build(sources, q.BuildReportRequest(kind="comparison", run_ids=["r", "r"]))
    (mean,) = charts(report)["loss, mean of ranks"]
    assert mean == (*[(6 + 4 * step + 1.5) / 5 for step in range(5)], *[1.5 + step for step in range(5, 40)])


@pytest.mark.parametrize("asked, refused", [({}, True), ({"max_points": 60}, True), ({"max_points": 20}, False),
                                            ({"rank": 0}, False)])  # fmt: skip
def test_more_points_than_travel_are_refused_before_they_are_read(store, few_at_once, asked, refused):
    for rank in range(2):
        begin(store, session=rank, rank=rank)
        store.log.add(rank, columns=[columns([0.0] * 40, series=(1, 1), step=range(1, 41))])
    sources = store.sources()
    request = q.GetStepSeriesRequest(run_id="r", metric_key="loss", **asked)
    if refused:
        with pytest.raises(ValidationError, match="The series has 80 points; at most 50 travel"):
            read_series(sources.connection, store.log, request)
    else:
        assert read_series(sources.connection, store.log, request).total_points in (40, 80)


def test_a_series_is_of_its_run_alone_where_one_process_captured_several(store):
    begin(store, "a", unit="nats")
    begin(store, "b", scope=3)
    begin(store, "c", scope=5, unit="bits")
    store.log.add(1, columns=[columns([1.0], series=(2, 1)), columns([2.0], series=(6, 5))])
    sources = store.sources()

    def series(run):
        return read_series(sources.connection, store.log, q.GetStepSeriesRequest(run_id=run, metric_key="loss"))

    assert (series("a").unit, series("c").unit) == ("nats", "bits")
    with pytest.raises(NotFoundError, match="no metric 'loss'"):
        series("b")


# --- attempts ---


def two_attempts(store):
    """Run `r` twice, each time of another dataset and with a model of its own."""
    for number, size in ((1, 100), (2, 300)):
        made = pb.ArtifactRegistered(
            scope_id=2, ref=f"artifact:p.r.m{number}", artifact_kind="model", path="/x", exists=True, size_bytes=size
        )
        store.log.add(
            number,
            session_opened(),
            run_opened(1, dataset_ref=f"dataset:{number}"),
            scope_opened(2, 1, "stage", "stage:p.r.train", metadata_json=f'{{"attempt":{number}}}'),
            entry(artifact_registered=made),
            scope_closed(2),
            scope_closed(1),
        )


@pytest.mark.parametrize("number", [1, 2])
def test_an_artifact_came_from_the_attempt_that_registered_it(store, number):
    two_attempts(store)
    sources, ref = store.sources(), f"artifact:p.r.m{number}"
    found = run_answers.artifact_origin(sources, q.ArtifactOriginRequest(artifact_ref=ref))
    assert (found.run.attempt, found.run.dataset_ref) == (number, f"dataset:{number}")
    assert found.stage.metadata_json == f'{{"attempt":{number}}}'
    asked = q.TraverseLineageRequest(subject_ref=ref, direction="upstream")
    assert list(run_answers.lineage(sources, asked).visited_refs) == [ref, "run:p.r", f"dataset:{number}"]


def test_a_run_of_several_attempts_stands_for_the_newest(store):
    two_attempts(store)
    sources = store.sources()
    asked = q.TraverseLineageRequest(subject_ref="r", direction="upstream")
    assert list(run_answers.lineage(sources, asked).visited_refs) == ["run:p.r", "dataset:2"]
    trend = fleet_answers.trend(sources, q.GetTrendRequest(kind="artifact_size", subject="model"))
    assert [point.value for point in trend.points] == [300.0]


# --- losses ---


def test_the_worst_of_many_degraded_records_are_told_and_that_there_are_more(store):
    begin(store)
    for n in range(1500):
        gap = pb.DegradedCaptured(
            scope_id=1, issue_key="gap", category="capture", summary=f"gap {n}",
            severity={1400: "error", 100: "info"}.get(n, "warning"),
        )  # fmt: skip
        store.log.add(1, entry(degraded=gap))
    found = run_answers.diagnosis(store.sources(), q.RunRequest(run_id="r"))
    issues = [each for each in found.issues if each.code == "degraded_record"]
    assert len(issues) == 1000 and (issues[0].severity, issues[0].summary) == ("error", "gap 1400")
    assert {each.severity for each in issues[1:]} == {"warning"} and issues[1].summary == "gap 0"
    assert "Of 1500 degraded records only the worst were looked at." in [n.summary for n in found.completeness_notes]


def test_what_a_process_of_several_runs_dropped_is_counted_once(store):
    begin(store, "a")
    begin(store, "b", scope=3)
    begin(store, "c", session=2)
    for session, count in ((1, 7), (2, 5)):
        store.log.add(session, entry(dropped=pb.Dropped(reason="spool_full", metrics_total=count)))
    sources = store.sources()
    report = report_answers.build(sources, q.BuildReportRequest(kind="project", project_name="p"))
    assert dict(report.sections[0].tables[0].rows)["records not kept"] == 12

    def said(run):
        found = run_answers.diagnosis(sources, q.RunRequest(run_id=run)).issues
        return [each.summary for each in found if each.code == "dropped_records"]

    shared = "7 records of its processes, which captured other runs too, were not kept: 7 spool_full."
    assert (said("a"), said("b"), said("c")) == ([shared], [shared], ["5 records were not kept: 5 spool_full."])


# --- finding ---


def test_a_project_is_found_by_its_name_its_reference_and_what_becomes_it(store):
    store.log.add(1, session_opened(), run_opened(ref="run:my-project.r", project_name="My Project"))
    sources = store.sources()
    for name in ("My Project", "my-project", "project:my-project", "my project", "MY PROJECT"):
        report = report_answers.build(sources, q.BuildReportRequest(kind="project", project_name=name))
        assert report.title == "Project Summary Report: My Project"
    for name in ("mine", "?!", ""):
        with pytest.raises(NotFoundError, match="there are My Project"):
            report_answers.build(sources, q.BuildReportRequest(kind="project", project_name=name))


@pytest.mark.parametrize("text", ["ÄRGER", "ärger", "Größe", "GRÖSSE", "наука"])
def test_words_are_found_in_any_case_of_any_letters(store, text):
    tags = '{"what":"Größe","where":"НАУКА"}'
    store.log.add(1, session_opened(), run_opened(1, "run:p.r", name="Ärger 1", tags_json=tags))
    sources = store.sources()
    assert [run.name for run in fleet_answers.search_runs(sources, q.SearchRequest(text=text)).runs] == ["Ärger 1"]
    in_name = [run.name for run in sources.listing.runs(q.ListRunsRequest(name_contains=text)).runs]
    assert in_name == (["Ärger 1"] if "rger" in text.lower() else [])


@pytest.mark.parametrize(
    "asked, found",
    [
        ({"started_before": "9999-12-31T23:59:59.999999Z"}, True),
        ({"started_after": "9999-12-31T23:59:59.999999Z"}, False),
        ({"started_after": "0001-01-01T00:00:00Z"}, True),
        ({"started_before": "0001-01-01T00:00:00Z"}, False),
        ({"tags_json": '{"n": 9223372036854775807}'}, True),
        ({"tags_json": '{"n": 9223372036854775808}'}, False),
        ({"tags_json": '{"n": -1180591620717411303424}'}, False),
    ],
)
def test_times_and_numbers_beyond_64_bits_may_be_asked_for(store, asked, found):
    store.log.add(1, session_opened(), run_opened(tags_json='{"n":9223372036854775807}'))
    assert store.sources().listing.runs(q.ListRunsRequest(**asked)).total == found


def test_a_time_before_all_time_is_said(store):
    with pytest.raises(ValidationError, match="is no time"):
        store.sources().listing.runs(q.ListRunsRequest(started_after="0001-01-01T00:00:00+05:00"))


# --- limits ---


@pytest.mark.parametrize("threshold", [-1.0, float("nan")])
def test_a_threshold_that_is_not_above_0_is_refused(store, threshold):
    begin(store)
    with pytest.raises(ValidationError, match="threshold cannot be"):
        fleet_answers.anomalies(store.sources(), q.DetectAnomaliesRequest(run_id="r", threshold=threshold))
    with pytest.raises(ValidationError, match="threshold cannot be"):
        run_answers.stragglers(store.sources(), q.FindStragglersRequest(run_id="r", threshold=threshold))
