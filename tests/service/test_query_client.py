"""The query client against a daemon that answers as the test says."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path

import grpc
import numpy as np
import pytest
from answering import TOKEN, Answering, refuse
from answering import answering as answering

from contexta import Contexta, errors
from contexta.interpretation import MetricCondition, RunListQuery, TimeRange
from contexta.v1 import query_pb2 as q
from contexta_client.query.channel import Connection, message
from contexta_client.query.questions import Questions
from contexta_client.query.records import RecordStore

Code = grpc.StatusCode
RUNS = q.ListRunsResponse(runs=[q.Run(run_id="run:p.r", name="r", project_name="p", status="open", attempt=1)])


def page(*keys: str, cursor: bytes = b"") -> q.RecordPage:
    return q.RecordPage(records=[q.Record(key=key, record_type="event") for key in keys], cursor=cursor)


def test_a_question_carries_the_token_and_the_protocol(answering: Answering) -> None:
    answering.answers["ListRuns"] = RUNS
    (run,) = Questions(answering.connection()).runs(RunListQuery(project_name="p", limit=3, sort_desc=True))
    assert (run.run_id, run.status, run.ended_at) == ("run:p.r", "open", None)
    assert (answering.metadata["contexta-token"], answering.metadata["contexta-protocol"]) == (TOKEN, "1")
    assert answering.asked[-1] == q.ListRunsRequest(project_name="p", limit=3, sort_desc=True)


def test_every_filter_of_list_runs_travels(answering: Answering) -> None:
    answering.answers["ListRuns"] = RUNS
    ctx = Contexta(workspace=answering.workspace, config={"daemon": {"autostart": False}})
    ctx.list_runs(
        "p",
        status="failed",
        tags={"kind": "svm"},
        metric_conditions=[MetricCondition("loss", "lt", 0.5, "train")],
        time_range=TimeRange("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        limit=0,
        offset=5,
        sort_by="name",
        sort_desc=True,
    )
    ctx.close()
    assert answering.asked[-1] == q.ListRunsRequest(
        project_name="p",
        status="failed",
        tags_json='{"kind":"svm"}',
        metric_conditions=[q.MetricCondition(metric_key="loss", operator="lt", threshold=0.5, stage_name="train")],
        started_after="2026-01-01T00:00:00Z",
        started_before="2026-02-01T00:00:00Z",
        limit=0,
        offset=5,
        sort_by="name",
        sort_desc=True,
    )


def test_a_series_comes_as_columns_with_wide_integers_exact(answering: Answering) -> None:
    answering.answers["GetStepSeries"] = q.GetStepSeriesResponse(
        run_id="run:p.r",
        step=np.array([0, 7], "<i8").tobytes(),
        has_step=bytes([0, 1]),
        value=np.array([0.5, 2.0**70], "<f8").tobytes(),
        time_ns=np.array([1, 2], "<i8").tobytes(),
        rank=np.array([-1, 3], "<i4").tobytes(),
        total_points=10,
        wide={1: str(2**70 + 1)},
    )
    series = Questions(answering.connection()).series("r", "loss", max_points=2)
    assert [(point.step, point.value) for point in series.points] == [(None, 0.5), (7, 2**70 + 1)]
    assert (series.total_points, series.ranks.tolist(), series.stage_id) == (10, [-1, 3], None)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (Code.NOT_FOUND, "not_found", errors.NotFoundError),
        (Code.INVALID_ARGUMENT, "ambiguous", errors.AmbiguousError),
        (Code.INVALID_ARGUMENT, "query_invalid", errors.ValidationError),
        (Code.INVALID_ARGUMENT, "reference_prefix_mismatch", errors.ValidationError),
        (Code.UNAUTHENTICATED, "unauthenticated", errors.AccessError),
        (Code.FAILED_PRECONDITION, "protocol_unsupported", errors.VersionMismatchError),
        (Code.DEADLINE_EXCEEDED, "deadline_exceeded", errors.DeadlineError),
        (Code.DATA_LOSS, "log_corrupt", errors.StorageError),
        (Code.UNAVAILABLE, "storage_full", errors.StorageError),
        (Code.INTERNAL, "internal", errors.ContextaError),
    ],
)
def test_what_the_daemon_says_is_raised_as_the_error_of_its_code(
    answering: Answering, status: Code, code: str, kind: type[errors.ContextaError]
) -> None:
    answering.answers["ListStages"] = lambda request, context: refuse(
        context, status, code=code, message="what happened", details={"name": "x"}, retryable=True
    )
    with pytest.raises(kind) as caught:
        Questions(answering.connection()).stages("r")
    error = caught.value
    assert (error.code, error.message, error.details, error.retryable) == (code, "what happened", {"name": "x"}, True)
    assert len(answering.asked) == 1


def test_a_daemon_that_does_not_answer_in_time_is_an_error_of_its_own(answering: Answering) -> None:
    over = threading.Event()
    answering.answers["ListStages"] = lambda request, context: over.wait(20)
    try:
        with pytest.raises(errors.DeadlineError):
            answering.connection().call("query", "ListStages", q.ListStagesRequest(), deadline_s=0.2)
    finally:
        over.set()


def test_a_daemon_that_was_replaced_is_found(answering: Answering) -> None:
    answering.answers["ListRuns"] = RUNS
    questions = Questions(answering.connection())
    questions.run("r")
    answering.stop()
    answering.start()
    assert questions.run("r").name == "r"


def test_a_daemon_that_is_ending_is_asked_again_when_it_is_replaced(answering: Answering) -> None:
    def answer(request: object, context: grpc.ServicerContext) -> q.ListRunsResponse:
        if len(answering.asked) == 1:
            refuse(context, Code.UNAVAILABLE, code="draining", message="ending")
        return RUNS

    answering.answers["ListRuns"] = answer
    assert Questions(answering.connection()).run("r").name == "r"


def test_a_daemon_that_stays_away_is_unavailable_and_nothing_is_started(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contexta_client.query.channel.DRAIN_S", 0.2)  # its process, which is this one, lives on
    answering.answers["ListRuns"] = RUNS
    questions = Questions(answering.connection())
    questions.run("r")
    answering.stop()
    with pytest.raises(errors.UnavailableError, match=r"autostart is off.*daemon start"):
        questions.run("r")


def test_a_scan_goes_on_behind_the_last_page_when_the_daemon_is_replaced(answering: Answering) -> None:
    def answer(request: q.ScanRecordsRequest, context: grpc.ServicerContext):
        if not request.cursor:
            yield page("a", "b", cursor=b"2")
            context.abort(Code.UNAVAILABLE, "gone")
        yield page("c", "d", cursor=b"4")

    answering.answers["ScanRecords"] = answer
    store = RecordStore(answering.connection())
    assert [each.key for each in store.scan(run_id="r")] == ["a", "b", "c", "d"]
    assert [each.key for each in store.scan(run_id="r", limit=4)] == ["a", "b", "c", "d"]
    assert (answering.asked[-1].cursor, answering.asked[-1].limit) == (b"2", 2)


@pytest.mark.parametrize("status", [Code.CANCELLED, Code.UNAVAILABLE, Code.INTERNAL])
def test_a_scan_that_breaks_off_is_an_error_and_not_a_short_answer(answering: Answering, status: Code) -> None:
    def answer(request: q.ScanRecordsRequest, context: grpc.ServicerContext):
        if not request.cursor:
            yield page("a", cursor=b"1")
        context.abort(status, "broken off")

    answering.answers["ScanRecords"] = answer
    scan = RecordStore(answering.connection()).scan()
    assert next(scan).key == "a"
    with pytest.raises(errors.ContextaError):
        next(scan)


def test_a_scan_that_is_left_early_ends_the_call(answering: Answering) -> None:
    ended = threading.Event()

    def answer(request: object, context: grpc.ServicerContext):
        context.add_callback(ended.set)
        yield page("a", cursor=b"1")
        ended.wait(20)

    answering.answers["ScanRecords"] = answer
    scan = RecordStore(answering.connection()).scan()
    next(scan)
    scan.close()
    assert ended.wait(60)


def test_records_are_asked_for_by_times_as_texts_or_datetimes(answering: Answering) -> None:
    answering.answers["ScanRecords"] = []
    scan = RecordStore(answering.connection()).scan
    noon = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=9)))
    assert list(scan(started_at=noon, ended_at="2026-01-02T00:00:00Z")) == []
    wanted = q.RecordFilter(started_at="2026-01-01T03:00:00Z", ended_at="2026-01-02T00:00:00Z")
    assert answering.asked[-1].filter == wanted
    with pytest.raises(errors.ValidationError, match="has no zone"):
        scan(started_at=datetime(2026, 1, 1))


def test_wrong_values_are_refused_before_anything_is_asked(answering: Answering) -> None:
    ctx = Contexta(workspace=answering.workspace, config={"daemon": {"autostart": False}})
    with pytest.raises(errors.ValidationError, match=r"'keys'.*Did you mean 'key'"):
        ctx.record_store.scan(keys="loss")
    with pytest.raises(errors.ValidationError, match="limit=-1"):
        ctx.record_store.scan(limit=-1)
    with pytest.raises(errors.ValidationError, match="max_points=-5"):
        ctx.get_step_series("r", "loss", max_points=-5)
    with pytest.raises(errors.ValidationError, match="a text, not int"):
        ctx.list_batches(7)  # type: ignore[arg-type]
    with pytest.raises(errors.ValidationError, match="time_range takes"):
        ctx.list_runs(time_range=("2026-01-01", None))  # type: ignore[arg-type]
    with pytest.raises(errors.ValidationError, match="sort_by"):
        ctx.list_runs(sort_by="loss")
    for threshold in (0.0, -1, float("nan"), "3"):
        with pytest.raises(errors.ValidationError, match="threshold cannot be"):
            ctx.detect_anomalies("r", threshold=threshold)  # type: ignore[arg-type]
        with pytest.raises(errors.ValidationError, match="threshold cannot be"):
            ctx.find_stragglers("r", threshold=threshold)  # type: ignore[arg-type]
    assert list(ctx.record_store.scan(limit=0)) == []
    assert answering.asked == []


def test_where_there_is_no_workspace_a_question_says_so_and_makes_no_folder(tmp_path: Path) -> None:
    connection = Connection(tmp_path / "none", {}, autostart=True)
    with pytest.raises(errors.NotFoundError, match="no Contexta workspace at") as caught:
        Questions(connection).projects()
    assert caught.value.code == "workspace_not_found"
    assert not (tmp_path / "none").exists()


def test_an_export_is_there_whole_or_not_at_all(answering: Answering, tmp_path: Path) -> None:
    target = tmp_path / "out.jsonl"
    target.write_text("older\n")
    broken = True

    def answer(request: object, context: grpc.ServicerContext):
        yield page("a\u2028b\n", "nan", cursor=b"1")
        if broken:
            context.abort(Code.INTERNAL, "broken off")

    answering.answers["ScanRecords"] = answer
    store = RecordStore(answering.connection())
    with pytest.raises(errors.ContextaError):
        store.export_jsonl(target)
    assert target.read_text() == "older\n"
    broken = False
    assert store.export_jsonl(target) == 2
    assert [json.loads(line)["key"] for line in target.read_text().splitlines()] == ["a\u2028b\n", "nan"]
    assert [each.name for each in tmp_path.iterdir() if "out" in each.name] == ["out.jsonl"]


def test_what_must_come_first_comes_before_every_question(answering: Answering) -> None:
    answering.answers["ListRuns"] = RUNS
    answering.answers["ScanRecords"] = [page("a")]
    flushed: list[int] = []
    connection = answering.connection(before=lambda: flushed.append(len(answering.asked)))
    Questions(connection).run("r")
    list(RecordStore(connection).scan())
    assert flushed == [0, 1]


def test_a_run_is_asked_about_by_its_name_and_not_by_itself() -> None:
    for given in (object(), 3, ["a"]):
        with pytest.raises(errors.ValidationError, match=r"a text, not .*: write run\.ref"):
            message(q.ListStagesRequest, run_id=given)
    assert message(q.ListStagesRequest, run_id="a").run_id == "a"


def test_the_daemon_is_found_before_what_comes_first_has_its_time(
    answering: Answering, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering.answers["ListRuns"] = RUNS
    answering.answers["ScanRecords"] = [page("a")]
    happened: list[str] = []
    find = Connection._find_daemon
    monkeypatch.setattr(Connection, "_find_daemon", lambda self: (happened.append("found"), find(self))[1])
    Questions(answering.connection(before=lambda: happened.append("flushed"))).run("r")
    list(RecordStore(answering.connection(before=lambda: happened.append("flushed"))).scan())
    assert happened == ["found", "flushed"] * 2
