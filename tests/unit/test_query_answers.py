"""What may be asked of one store, kind by kind; one file, because all of it shares the store and the runs below."""

import json
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from logged import (
    NS,
    FakeLog,
    columns,
    entry,
    key_defined,
    rows,
    run_opened,
    scope_closed,
    scope_opened,
    session_ended,
    session_opened,
)

from contexta.errors import AmbiguousError, NotFoundError, ValidationError
from contexta.interpretation.messages import step_series
from contexta.v1 import capture_pb2 as pb
from contexta.v1 import query_pb2 as q
from contexta_daemon.catalog import Catalog
from contexta_daemon.query import Cursor, Listing, Pages, RecordFilter, find_run, read_series


class Store:
    """A log with its catalog, and what may be asked of them."""

    def __init__(self, root: Path) -> None:
        self.log = FakeLog()
        self.catalog = Catalog(root / "catalog.sqlite3")

    def connect(self):
        self.catalog.follow(list(self.log.read(self.catalog.position)), self.log.committed)
        return closing(self.catalog.connect())

    def list(self, method, **request):
        names = {"runs": "ListRuns", "environment": "GetEnvironment"}
        kind = getattr(q, f"{names.get(method) or 'List' + method.title()}Request")
        with self.connect() as connection:
            return getattr(Listing(connection), method)(*([] if method == "projects" else [kind(**request)]))

    def series(self, run_id="r", metric_key="loss", **request):
        with self.connect() as connection:
            return read_series(connection, self.log, q.GetStepSeriesRequest(
                run_id=run_id, metric_key=metric_key, **request))

    def scan(self, limit=1000, cursor=b"", pages=None, **wanted):
        found = []
        with self.connect() as connection:
            reader = Pages(self.log, connection, RecordFilter.of(connection, q.RecordFilter(**wanted)),
                           Cursor.unpack(cursor))
            while reader.at.position < self.log.committed:
                before = reader.at
                page = reader.next(self.log.committed, limit=limit)
                assert reader.at != before, "a page that leads nowhere"
                found += page.records
                if pages is not None:
                    pages.append(page)
        return found


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.catalog.close()


def begin(log, session=1, ref="run:p.r", **options):
    log.add(
        session,
        session_opened(**options),
        run_opened(1, ref),
        scope_opened(2, 1, "stage", ref.replace("run:", "stage:") + ".train"),
        scope_opened(3, 2, "batch", ref.replace("run:", "batch:") + ".train.b"),
        key_defined(1, "loss", unit="nats"),
        key_defined(2, "acc"),
        entry(group_defined=pb.GroupDefined(group_id=1, key_id=[1, 2])),
    )


# --- naming a run ---


def test_a_run_is_named_by_its_reference_or_an_end_of_it(store):
    begin(store.log)
    with store.connect() as connection:
        for name in ("run:p.r", "p.r", "r"):
            assert find_run(connection, name).run_ref == "run:p.r"


def test_an_end_that_fits_two_runs_lists_them(store):
    begin(store.log, 1, "run:a.same")
    begin(store.log, 2, "run:b.same")
    with store.connect() as connection, pytest.raises(AmbiguousError, match=r"run:a\.same.*|run:b\.same"):
        find_run(connection, "same")


def test_an_unknown_run_is_told_with_the_nearest(store):
    begin(store.log, 1, "run:iris.linear-svm")
    with store.connect() as connection:
        with pytest.raises(NotFoundError, match=r"run:iris\.linear-svm"):
            find_run(connection, "linear-svn")
        with pytest.raises(NotFoundError, match="attempt 7"):
            find_run(connection, "linear-svm", 7)


# --- lists ---


def three_runs(store):
    for number, (name, status) in enumerate([("b", "completed"), ("a", "failed"), ("c", "completed")], 1):
        at = NS + number * 10**9
        store.log.add(
            number, session_opened(), run_opened(1, f"run:p.{name}", time_ns=at, tags_json=f'{{"n": {number}}}'),
            key_defined(1, "acc"), scope_closed(1, status, time_ns=at + 10**9),
            columns=[columns([float(number)], series=(1, 1))],
        )


def test_runs_are_listed_oldest_first_and_sorted_filtered_and_paged_as_asked(store):
    three_runs(store)

    def names(**request):
        return [run.name for run in store.list("runs", **request).runs]

    assert names() == ["b", "a", "c"]
    assert names(sort_by="name", sort_desc=True) == ["c", "b", "a"]
    assert names(status="failed") == ["a"]
    assert names(limit=1, offset=1) == ["a"]
    assert store.list("runs", limit=1).total == 3
    assert names(tags_json='{"n": 3}') == ["c"]
    assert names(name_contains="B") == ["b"]
    assert names(started_after="2026-01-01T00:00:02Z", started_before="2026-01-01T00:00:03Z") == ["a"]
    assert names(project_name="other") == []
    above = q.MetricCondition(metric_key="acc", operator="gte", threshold=2.0)
    assert names(metric_conditions=[above]) == ["a", "c"]


def test_a_project_is_not_taken_for_one_of_nearly_its_name(store):
    for number, ref in enumerate(("a-b", "axb", "a-b2"), 1):
        opened = run_opened(ref=f"run:{ref}.r{number}", project_name={"a-b": "A_b"}.get(ref, ref))
        store.log.add(number, session_opened(), opened, scope_closed(1))
    for asked in ("A_b", "a-b", "a_b"):
        assert [run.run_id for run in store.list("runs", project_name=asked).runs] == ["run:a-b.r1"]
    assert [run.run_id for run in store.list("runs", project_name="a%").runs] == []
    assert [each.run_count for each in store.list("projects").projects] == [1, 1, 1]


@pytest.mark.parametrize("request_", [
    {"sort_by": "x"}, {"status": "x"}, {"started_after": "soon"}, {"started_after": "0001-01-01T00:00:00+01:00"},
    {"tags_json": "["}, {"tags_json": "[" * 100_000},
], ids=lambda request_: str(request_)[:40])  # fmt: skip
def test_a_wrong_filter_says_what_to_write(store, request_):
    with pytest.raises(ValidationError):
        store.list("runs", **request_)


def test_the_newest_attempt_answers_unless_all_are_asked_for(store):
    store.log.add(1, session_opened(), run_opened(), scope_closed(1), run_opened(2))
    assert [run.attempt for run in store.list("runs").runs] == [2]
    assert [run.attempt for run in store.list("runs", all_attempts=True).runs] == [1, 2]


def test_everything_in_a_run_is_listed(store):
    begin(store.log)
    store.log.add(
        1,
        scope_opened(4, 3, "sample", "sample:p.r.train.b.s", retention_class="review", redaction_profile="pii"),
        scope_opened(5, 0, "deployment", "deployment:p.d", run_ref="run:p.r", project_name="p"),
        scope_closed(5, "failed"),
        entry(environment=pb.EnvironmentCaptured(scope_id=1, ref="environment:p.r.e", python_version="3.11.2")),
        entry(dropped=pb.Dropped(reason="spool_full", metrics_total=3)),
        session_ended(lost=True),
    )
    assert [stage.stage_id for stage in store.list("stages", run_id="r").stages] == ["stage:p.r.train"]
    (batch,) = store.list("batches", run_id="r", stage_id="stage:p.r.train").batches
    assert (batch.batch_id, batch.status, batch.order) == ("batch:p.r.train.b", "failed", 0)
    (sample,) = store.list("samples", run_id="r", batch_id="batch:p.r.train.b").samples
    assert (sample.retention_class, sample.redaction_profile) == ("review", "pii")
    (deployment,) = store.list("deployments", run_id="r").deployments
    assert (deployment.deployment_id, deployment.status) == ("deployment:p.d", "failed")
    (worker,) = store.list("workers", run_id="r").workers
    assert (worker.status, worker.dropped, worker.pid) == ("lost", 3, 7)
    assert store.list("environment", run_id="r").python_version == "3.11.2"
    (project,) = store.list("projects").projects
    assert (project.name, project.run_count) == ("p", 1)
    (run,) = store.list("runs").runs
    assert (run.status, run.lost_worker_count, run.dropped_count) == ("failed", 1, 3)


# --- series ---


def points(reply):
    found = step_series(reply, "any")
    return list(zip(
        found.steps.tolist(), found.has_step.astype(int).tolist(), found.values.tolist(), found.ranks.tolist(),
        strict=True,
    ))


def test_evenly_rising_steps_and_one_rank_travel_as_numbers(store):
    begin(store.log)
    store.log.add(1, columns=[columns(np.arange(1000.0), series=(2, 1), step=np.arange(1000) * 5 + 8)])
    reply = store.series()
    assert (reply.step, reply.has_step, reply.rank) == (b"", b"", b"")
    assert [step for step, *_ in points(reply)] == [7 + 5 * n for n in range(1000)]
    store.log.add(1, columns=[columns([1.0], series=(2, 1), step=[3])])
    assert [step for step, *_ in points(store.series())][:3] == [2, 7, 12]


def test_a_series_is_ordered_by_step_and_knows_its_ranks(store):
    for rank in (0, 1):
        begin(store.log, rank, job="j", rank=rank)
        store.log.add(rank, columns=[columns([rank + 0.5, rank + 0.25], series=(2, 1), step=[3, 2])])
    store.log.add(0, columns=[columns([9.0], series=(2, 1))], rows=[rows([[7.0], [8.0]], group=1, scope=3, step=[5])])
    reply = store.series()
    assert points(reply) == [
        (0, 0, 9.0, 0), (1, 1, 0.25, 0), (1, 1, 1.25, 1), (2, 1, 0.5, 0), (2, 1, 1.5, 1), (4, 1, 7.0, 0)]
    assert (reply.unit, reply.total_points, reply.run_id) == ("nats", 6, "run:p.r")
    assert [value for _, _, value, _ in points(store.series(rank=1))] == [1.25, 1.5]
    assert [value for _, _, value, _ in points(store.series(rank=0))] == [9.0, 0.25, 0.5, 7.0]
    assert [value for _, _, value, _ in points(store.series(metric_key="acc"))] == [8.0]


def test_points_of_one_step_are_ordered_by_time(store):
    begin(store.log)
    for times, steps in (([5, 1], [3, 3]), ([4, 2], [3, 2])):
        at = [NS + each for each in times]
        store.log.add(1, columns=[columns(list(map(float, times)), series=(2, 1), step=steps, time_ns=at)])
    assert [value for _, _, value, _ in points(store.series())] == [2.0, 1.0, 4.0, 5.0]


def test_points_of_one_step_alone_are_ordered_by_time(store):
    begin(store.log)
    for time_ns in (3, 1, 2):
        store.log.add(1, columns=[columns([float(time_ns)], series=(2, 1), step=[8], time_ns=[NS + time_ns])])
    assert [value for _, _, value, _ in points(store.series())] == [1.0, 2.0, 3.0]


def test_a_series_of_one_stage_has_what_was_captured_within_it(store):
    begin(store.log)
    store.log.add(1, columns=[columns([float(scope)], series=(scope, 1)) for scope in (1, 2, 3)])
    assert [value for _, _, value, _ in points(store.series(stage_name="train"))] == [2.0, 3.0]
    with pytest.raises(NotFoundError, match="train"):
        store.series(stage_name="evaluate")


def test_an_unknown_metric_is_told_with_the_nearest(store):
    begin(store.log)
    store.log.add(1, columns=[columns([1.0], series=(2, 1))])
    with pytest.raises(NotFoundError, match="loss"):
        store.series(metric_key="los")


def test_integers_beyond_a_double_keep_their_digits(store):
    begin(store.log)
    wide = pb.WideMetric(scope_id=2, key_id=1, step=3, value=str(2**60 + 1))
    bad = pb.WideMetric(scope_id=2, key_id=1, step=4, value='1,"x":2')
    store.log.add(1, entry(wide_metric=wide), entry(wide_metric=bad), columns=[columns([1.0], series=(2, 1), step=[9])])
    reply = store.series()
    assert dict(reply.wide) == {0: str(2**60 + 1)}
    assert len(points(reply)) == 2


def test_downsampling_keeps_extremes_and_says_how_many_there_were(store):
    begin(store.log)
    values = np.sin(np.arange(10_000) / 100)
    values[5_000], values[7_000] = 99.0, float("nan")
    store.log.add(1, columns=[columns(values, series=(2, 1), step=np.arange(10_000) + 1)])
    reply = store.series(max_points=100)
    found = points(reply)
    assert len(found) <= 100
    assert reply.total_points == 10_000
    assert any(value == 99.0 for _, _, value, _ in found)
    assert any(value != value for _, _, value, _ in found)


def test_a_million_points_are_one_answer(store):
    begin(store.log)
    for start in range(0, 1_000_000, 50_000):
        step = np.arange(start, start + 50_000) + 1
        store.log.add(1, columns=[columns(np.sqrt(step), series=(2, 1), step=step)])
    with store.connect() as connection:
        reply = read_series(connection, store.log, q.GetStepSeriesRequest(run_id="r", metric_key="loss"))
    assert reply.total_points == 1_000_000


# --- records ---


def every_kind(store):
    begin(store.log)
    store.log.add(
        1,
        entry(event=pb.EventCaptured(scope_id=3, key="e", message="m", level="info")),
        entry(span=pb.SpanCaptured(scope_id=2, name="s", span_id="1", trace_id="2", started_ns=NS, ended_ns=NS)),
        entry(degraded=pb.DegradedCaptured(scope_id=1, issue_key="k", severity="warning", summary="s")),
        columns=[columns([1.0, float("nan")], series=(2, 1), step=[1, 0])],
        rows=[rows([[3.0], [4.0]], group=1, scope=3)],
    )


def test_a_scan_gives_every_record_in_the_order_of_its_items(store):
    every_kind(store)
    records = store.scan()
    assert [record.record_type for record in records] == ["event", "span", "degraded", *["metric"] * 4]
    assert [record.key for record in records[3:]] == ["loss", "loss", "loss", "acc"]
    assert records[3].step == 0 and not records[4].HasField("step")
    assert records[3].payload_json.startswith("{") and '"NaN"' in records[4].payload_json
    assert len({record.record_ref for record in records}) == 7


@pytest.mark.parametrize(("wanted", "count"), [
    ({"record_type": "metric"}, 4), ({"record_type": "event"}, 1), ({"key": "acc"}, 1), ({"run_id": "r"}, 7),
    ({"batch_id": "batch:p.r.train.b"}, 3), ({"stage_id": "stage:p.r.train"}, 6), ({"project_name": "p"}, 7),
    ({"project_name": "q"}, 0), ({"started_at": "2026-01-01T00:00:00.000001Z"}, 1),
    ({"ended_at": "2026-01-01T00:00:00Z"}, 0),
])  # fmt: skip
def test_a_scan_gives_only_what_is_asked_for(store, wanted, count):
    every_kind(store)
    assert len(store.scan(**wanted)) == count


def test_every_loss_is_a_degraded_record_though_nothing_else_came_with_it(store):
    every_kind(store)
    hashed = pb.ArtifactHashed(ref="artifact:p.r.m", problem="missing", detail="gone", session_id=bytes([1]) * 16)
    store.log.add(1, entry(dropped=pb.Dropped(reason="spool_full", metrics_total=3)))
    store.log.add(9, session_opened(), entry(artifact_hashed=hashed))
    store.log.add(1, session_ended(lost=True))
    found = [json.loads(record.payload_json) for record in store.scan(record_type="degraded")]
    assert [each["issue_key"] for each in found] == ["k", "records-dropped", "artifact-missing", "worker-lost"]


def test_a_scan_in_pages_of_any_size_is_the_same_and_goes_on_behind_any_page(store):
    every_kind(store)
    store.log.add(1, columns=[columns(np.arange(50.0), series=(2, 1))])
    whole = [record.record_ref for record in store.scan()]
    for limit in (1, 2, 3, 7, 50):
        pages = []
        assert [record.record_ref for record in store.scan(limit=limit, pages=pages)] == whole
        read = 0
        for page in pages:
            read += len(page.records)
            rest = [record.record_ref for record in store.scan(cursor=page.cursor)]
            assert rest == whole[read:]


def test_a_scan_reads_only_batches_that_may_hold_what_is_wanted(store):
    every_kind(store)
    for _ in range(5):
        store.log.add(1, columns=[columns([1.0], series=(2, 2))])
    read = []
    real = store.log.read_at
    store.log.read_at = lambda position, **how: read.append(position) or real(position, **how)
    assert len(store.scan(record_type="event")) == 1
    assert len(read) == 1
    read.clear()
    assert len(store.scan(key="loss", record_type="metric")) == 3
    assert len(read) == 1


def test_records_of_an_older_attempt_come_only_when_asked_for(store):
    store.log.add(1, session_opened(), key_defined(1, "x"), run_opened(), scope_closed(1), run_opened(2),
                  columns=[columns([1.0], series=(1, 1)), columns([2.0], series=(2, 1))])
    asked = ({}, {"all_attempts": True}, {"run_id": "r"}, {"run_id": "r", "all_attempts": True},
             {"run_id": "r", "attempt": 1}, {"run_id": "r", "attempt": 1, "all_attempts": True})  # fmt: skip
    found = [[record.number for record in store.scan(**each)] for each in asked]
    assert found == [[2.0], [1.0, 2.0], [2.0], [1.0, 2.0], [1.0], [1.0]]


def test_a_file_that_changed_is_a_record_of_the_run_that_registered_it(store):
    begin(store.log)
    made = pb.ArtifactRegistered(scope_id=1, ref="artifact:p.r.m", path="/x", exists=True, compute_hash=True)
    hashed = pb.ArtifactHashed(ref=made.ref, problem="changed", session_id=bytes([1]) * 16)
    store.log.add(1, entry(artifact_registered=made))
    store.log.add(9, entry(artifact_hashed=hashed))
    (record,) = store.scan(run_id="r")
    assert (record.key, record.run_id, record.degradation_marker) == ("artifact-changed", "run:p.r", "capture_gap")


def test_a_stored_record_is_found_by_its_own_envelope(store):
    begin(store.log)
    text = ('{"envelope": {"run_ref": "run:p.r", "observed_at": "2025-01-01T00:00:00Z", "stage_execution_ref": '
            '"stage:p.r.train"}, "payload": {"metric_key": "x", "value": "NaN", "value_type": "float64"}}')
    stored = entry(record_stored=pb.RecordStored(ref="record:p.r.one", record_type="metric", json=text))
    store.log.add(7, stored, stored)
    store.log.add(7, stored)
    (record,) = store.scan(run_id="r", record_type="metric", stage_id="stage:p.r.train")
    assert (record.record_ref, record.key) == ("record:p.r.one", "x")
    assert record.number != record.number


def test_a_cursor_that_no_page_gave_is_refused(store):
    with pytest.raises(ValidationError):
        Cursor.unpack(b"xyz")
