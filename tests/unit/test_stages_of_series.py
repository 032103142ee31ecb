"""Which stage a series is of: by its name, by its reference, and where only records that were put tell of it."""

import json
from contextlib import closing

import numpy as np
import pytest
from column_files import Bench
from logged import columns, entry, key_defined, run_opened, scope_opened, session_opened

from contexta.errors import NotFoundError
from contexta.v1 import capture_pb2 as pb
from contexta.v1 import query_pb2 as q
from contexta_daemon.query import fleet_answers, read_series, run_answers
from contexta_daemon.query.sources import Sources
from contexta_daemon.query.sql_tables import TABLES, define_functions


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    bench.log.add(1, session_opened(), run_opened(), key_defined(1, "loss"))
    yield bench
    bench.close()


def captured(bench, *names):
    for number, name in enumerate(names):
        stage = scope_opened(number + 2, 1, "stage", f"stage:p.r.{name}")
        bench.log.add(1, stage, columns=[columns([float(number)], series=(number + 2, 1))])


def put(bench, name, value, stage_ref):
    said = {"record_ref": f"record:p.r.{name}", "record_type": "metric", "observed_at": "2026-01-01T00:00:00Z",
            "producer_ref": "me", "run_ref": "run:p.r", "stage_execution_ref": stage_ref}  # fmt: skip
    payload = {"metric_key": "loss", "value": value, "value_type": "float64"}
    record = pb.RecordStored(
        ref=said["record_ref"], record_type="metric", json=json.dumps({"envelope": said, "payload": payload})
    )
    bench.log.add(9, entry(record_stored=record))


def values(bench, **asked):
    """The points, the same out of the log and out of the columns."""
    bench.run()
    request = q.GetStepSeriesRequest(run_id="r", metric_key="loss", **asked)
    with closing(bench.catalog.connect()) as connection:
        replies = [read_series(connection, bench.log, request, columns=folder) for folder in (None, bench.folder)]
    found = [sorted(np.frombuffer(reply.value).tolist()) for reply in replies]
    assert found[0] == found[1]
    return found[0]


def test_a_stage_asked_for_by_reference_and_name_has_both(bench):
    captured(bench, "a", "b")
    assert values(bench, stage_id="stage:p.r.a", stage_name="a") == [0.0]
    assert (values(bench, stage_id="stage:p.r.b"), values(bench, stage_name="b")) == ([1.0], [1.0])
    for stage_id, name in (("stage:p.r.a", "b"), ("stage:p.r.none", "a"), ("stage:p.r.a", "none")):
        with pytest.raises(NotFoundError, match=rf"no stage '{stage_id}' with the name '{name}'; it has a, b\."):
            values(bench, stage_id=stage_id, stage_name=name)


def test_records_of_a_stage_that_was_never_put_are_of_a_stage_named_as_its_reference_ends(bench):
    captured(bench, "shown")
    put(bench, "one", 1.0, "stage:p.r.train")
    put(bench, "two", 2.0, "stage:p.r.evaluate")
    put(bench, "own", 3.0, None)
    for name, value in (("train", 1.0), ("evaluate", 2.0)):
        by_name, by_id = values(bench, stage_name=name), values(bench, stage_id=f"stage:p.r.{name}")
        assert by_name == by_id == values(bench, stage_id=f"stage:p.r.{name}", stage_name=name) == [value]
    with pytest.raises(NotFoundError, match=r"it has evaluate, shown, train\."):
        values(bench, stage_name="test")
    with pytest.raises(NotFoundError):
        values(bench, stage_id="stage:p.r.train", stage_name="evaluate")
    with closing(bench.catalog.connect()) as connection:
        sources = Sources(connection, bench.log, bench.log.committed, ())
        stages = {each.stage_name: each.last for each in sources.summaries("m.key = ?", ("loss",))}
        assert stages == {"shown": 0.0, "train": 1.0, "evaluate": 2.0, None: 3.0}
        (only,) = run_answers.list_series(sources, q.ListSeriesRequest(run_id="r", stage_name="evaluate")).series
        assert only.last == 2.0
        best = fleet_answers.best_run(
            sources, q.SelectBestRunRequest(run_ids=["r"], metric_key="loss", stage_name="evaluate")
        )
        assert (best.value, best.stage_name) == (2.0, "evaluate")
        for stage, count in (("evaluate", 1), ("train", 0)):
            condition = q.MetricCondition(metric_key="loss", operator="gt", threshold=1.5, stage_name=stage)
            assert sources.listing.runs(q.ListRunsRequest(metric_conditions=[condition])).total == count
        define_functions(connection)
        names = {row[4] for row in connection.execute(TABLES["series"].query)}
        assert names == {None, "shown", "train", "evaluate"}
