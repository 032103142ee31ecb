"""Records put through the stores: where they belong, what is counted of them, and what can not be kept."""

import json
from contextlib import closing

import numpy as np
import pytest
from column_files import Bench
from logged import entry, run_opened, session_opened

from contexta.errors import ValidationError
from contexta.v1 import capture_pb2 as pb
from contexta.v1 import query_pb2 as q
from contexta_daemon.query import Cursor, Pages, RecordFilter, read_series
from contexta_daemon.service import store as service

AT = "2026-01-01T00:00:00Z"


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    bench.log.add(1, session_opened(), run_opened())
    yield bench
    bench.close()


def content(name="one", *, payload=None, record_type="metric", **envelope):
    given = {"record_ref": f"record:p.r.{name}", "record_type": record_type, "recorded_at": "2261-01-01T00:00:00Z",
             "observed_at": AT, "producer_ref": "me", "run_ref": "run:p.r"}  # fmt: skip
    said = {"metric_key": "m", "value": 1.5, "value_type": "float64"}
    return {"envelope": given | envelope, "payload": said | (payload or {})}


def stored(name="one", **more):
    text = more.pop("text", None) or json.dumps(content(name, **more))
    return pb.RecordStored(ref=f"record:p.r.{name}", record_type=more.get("record_type", "metric"), json=text)


def put(log, *records):
    log.add(9, *[entry(record_stored=each) for each in records])


def select(bench, sql):
    with closing(bench.catalog.connect()) as connection:
        return connection.execute(sql).fetchall()


def scan(bench, **wanted):
    with closing(bench.catalog.connect()) as connection:
        pages = Pages(bench.log, connection, RecordFilter.of(connection, q.RecordFilter(**wanted)), Cursor())
        return list(pages.next(bench.log.committed, limit=100).records)


# --- what cannot be kept ---


@pytest.mark.parametrize(
    "wrong",
    [
        {"payload": {"step": 2**63 - 1}},
        {"payload": {"step": -(2**63) - 1}},
        {"payload": {"step": 1.5}},
        {"payload": {"value": None}},
        {"payload": {"metric_key": None}},
        {"payload": {"unit": 5}},
        {"payload": {"unit": "\ud800"}},
        {"observed_at": "0001-01-01T00:00:00Z"},
        {"observed_at": "2500-01-01T00:00:00Z"},
        {"run_ref": ["run:p.r"]},
        {"stage_execution_ref": 7},
        {"rank": "0"},
        {"attempt": 1.5},
        {"attempt": "1"},
        {"attempt": []},
        {"run_ref": None},
        {"run_ref": "2026-01-01T00:00:00.٣Z"},
        {"text": "[" * 100_000},
    ],
    ids=lambda wrong: str(wrong)[:60],
)
def test_a_record_that_nothing_can_hold_is_set_aside_and_all_else_goes_on(bench, wrong):
    put(bench.log, stored("wrong", **wrong), stored("right"))
    bench.run()
    (reason,) = select(bench, "SELECT reason FROM set_aside")
    assert "record:p.r.wrong" in reason[0]
    assert select(bench, "SELECT key, points, last_value FROM summaries") == [("m", 1, 1.5)]
    assert bench.values() == [1.5]
    assert [record.record_ref for record in scan(bench)] == ["record:p.r.right"]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"payload": {"step": 2**63 - 1}}, "step_out_of_range"),
        ({"payload": {"step": -(2**63) - 1}}, "step_out_of_range"),
        ({"observed_at": "0001-01-01T00:00:00Z"}, "time_out_of_range"),
        ({"observed_at": "2500-01-01T00:00:00Z", "recorded_at": "2500-01-01T00:00:00Z"}, "time_out_of_range"),
        ({"rank": 2**31}, "rank_out_of_range"),
        ({"attempt": 2**31}, "attempt_out_of_range"),
    ],
    ids=str,
)
def test_such_a_record_is_refused_when_it_is_put(wrong, code):
    with pytest.raises(ValidationError) as refused:
        service._record(stored(**wrong))
    assert refused.value.code == code
    assert str(refused.value).startswith(tuple({**wrong, **wrong.get("payload", {})}))


@pytest.mark.parametrize("right", [{"payload": {"step": 2**63 - 2}}, {"payload": {"step": -(2**63)}},
                                   {"observed_at": "1678-01-01T00:00:00Z"}, {"observed_at": "2260-01-01T00:00:00Z"},
                                   {"rank": 2**31 - 1}], ids=str)  # fmt: skip
def test_what_stands_at_a_bound_is_kept(bench, right):
    put(bench.log, service._record(stored(**right)))
    bench.run()
    assert bench.values() == [1.5]
    assert [record.number for record in scan(bench)] == [1.5]
    assert select(bench, "SELECT first_value, last_value FROM summaries") == [(1.5, 1.5)]


def model(name, ref, **fields):
    return pb.ModelStored(model=name, ref=ref, json=json.dumps(fields))


STAGE = {"stage_execution_ref": "stage:p.new.s", "run_ref": "run:p.new", "stage_name": "s", "status": "open",
         "started_at": AT}  # fmt: skip
WRONG_STAGES = [{"order_index": 2**63}, {"started_at": "1500-01-01T00:00:00Z"},
                {"status": "completed", "ended_at": "2500-01-01T00:00:00Z"}]  # fmt: skip


@pytest.mark.parametrize("wrong", WRONG_STAGES, ids=str)
def test_a_model_with_a_number_that_nothing_can_hold_is_refused(wrong):
    with pytest.raises(ValidationError, match=list(wrong)[-1]):
        service._model(model("StageExecution", "stage:p.new.s", **STAGE | wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        *WRONG_STAGES, {"stage_name": {}}, {"stage_name": 5}, {"started_at": 5}, {"order_index": "x"},
        {"order_index": 1.5}, {"order_index": True}, {"run_ref": "run:p"}, {"run_ref": 5}, {"ended_at": [1]},
    ],
    ids=str,
)  # fmt: skip
def test_a_model_that_is_set_aside_has_changed_nothing(bench, wrong):
    bench.log.add(9, entry(model_stored=model("StageExecution", "stage:p.new.s", **STAGE | wrong)))
    put(bench.log, stored())
    bench.run()
    assert len(select(bench, "SELECT * FROM set_aside")) == 1
    assert select(bench, "SELECT run_ref FROM runs") == [("run:p.r",)]
    assert bench.values() == [1.5]


# --- where they belong ---


def series(bench, attempt):
    """The values of `m` out of the log, and out of the columns and the log."""
    asked = q.GetStepSeriesRequest(run_id="p.r", metric_key="m", attempt=attempt)
    with closing(bench.catalog.connect()) as connection:
        replies = [read_series(connection, bench.log, asked, columns=folder) for folder in (None, bench.folder)]
    found = [sorted(np.frombuffer(reply.value).tolist()) for reply in replies]
    assert found[0] == found[1]
    return found[0]


@pytest.mark.parametrize("each", [True, False], ids=["followed at once", "followed later"])
def test_a_stored_record_is_of_the_attempt_it_names_or_else_of_the_newest_when_it_was_stored(bench, each):
    def carry():
        if each:
            bench.run()

    put(bench.log, stored("first"))
    carry()
    bench.log.add(2, session_opened(), run_opened())  # the second attempt
    put(bench.log, stored("second"), stored("named", attempt=1), stored("unknown", attempt=7))
    carry()
    bench.log.add(3, session_opened(), run_opened())
    bench.run()
    of_attempt = {1: ["first", "named"], 2: ["second", "unknown"], 3: []}
    for attempt, names in of_attempt.items():
        found = scan(bench, run_id="p.r", attempt=attempt)
        assert [(record.record_ref, record.attempt) for record in found] == [
            (f"record:p.r.{name}", attempt) for name in names
        ]
    assert scan(bench) == []
    assert len(scan(bench, all_attempts=True)) == len(scan(bench, run_id="p.r", all_attempts=True)) == 4
    assert select(bench, "SELECT attempt, points FROM summaries JOIN runs ON runs.id = run ORDER BY 1") == [
        (1, 2), (2, 2)]  # fmt: skip
    assert sorted(bench.rows("attempt, value")) == [(1, 1.5), (1, 1.5), (2, 1.5), (2, 1.5)]
    assert [series(bench, attempt) for attempt in (1, 2)] == [[1.5, 1.5]] * 2


def test_a_stored_metric_has_its_rank_wherever_it_is_shown(bench):
    put(bench.log, stored("a", rank=3), stored("b", rank=3), stored("c"), stored("d", rank=2**31))
    bench.run()
    assert select(bench, "SELECT rank, points FROM summaries ORDER BY rank") == [(-1, 2), (3, 2)]
    assert [row[0] for row in bench.rows("rank")] == [None, None, 3, 3]


def test_a_scan_tells_of_a_stored_record_what_it_tells_of_a_captured_one(bench):
    put(
        bench.log,
        stored("a", payload={"step": 5, "tags": {"x": "y"}}, rank=3, correlation_refs={"trace_id": "t"}),
        stored("b", payload={"step": 0}),
        stored("c", payload={"step": -2}),
        stored("d"),
        stored("e", record_type="span", payload={"span_name": "s", "trace_id": "u", "attributes": {"tags": {"z": 1}}}),
    )
    bench.run()
    whole, zero, below, none, span = scan(bench)
    assert (whole.step, whole.rank, json.loads(whole.tags_json), whole.trace_id) == (5, 3, {"x": "y"}, "t")
    assert (zero.step, below.step) == (0, -2)
    assert not any(none.HasField(name) for name in ("step", "rank"))
    assert (none.tags_json, none.trace_id) == ("", "")
    assert (span.trace_id, json.loads(span.tags_json)) == ("u", {"z": 1})


def test_a_record_of_a_deployment_without_a_run_is_kept_like_a_captured_one(bench):
    deployment = {"run_ref": None, "deployment_execution_ref": "deployment:p.r"}
    put(bench.log, service._record(stored("m", **deployment)), stored("right"))
    bench.run()
    assert select(bench, "SELECT * FROM set_aside") == []
    assert [(record.record_ref, record.deployment_id, record.run_id) for record in scan(bench, project_name="p")] == [
        ("record:p.r.m", "deployment:p.r", ""), ("record:p.r.right", "", "run:p.r")]  # fmt: skip
    assert bench.rows("run_id, attempt, deployment_id, value") == [
        (None, None, "deployment:p.r", 1.5), ("run:p.r", 1, None, 1.5)]  # fmt: skip
    assert select(bench, "SELECT points FROM summaries") == [(1,)]
