"""From a call in a training process to an answer: the real capture, sender, daemon and query client."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path

import numpy as np
import pytest
from served import Served

from contexta.errors import AmbiguousError, NotFoundError
from contexta.interpretation import MetricCondition, RunListQuery


def lines(served: Served, name: str) -> list[dict]:
    path = served.path / "cache" / "capture" / name
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_what_a_run_captured_is_in_the_files_and_in_the_answers_when_it_ends(served: Served, tmp_path: Path) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    ctx = served.contexta()
    with ctx.run("linear", tags={"kind": "svm"}, dataset_ref="dataset:made.up") as run:
        with run.stage("train") as stage:
            for step in range(100):
                stage.metric("loss", 1 / (step + 1), step=step, unit="nats")
            with stage.batch("epoch-1") as batch, batch.sample("first", retention_class="review") as sample:
                sample.event("seen", message="hello", attributes={"n": 1})
        registered = run.register_artifact("model", model)
    records = [line["payload"] for line in lines(served, "record.jsonl")]
    assert sum(each["envelope"]["record_type"] == "metric" for each in records) == 100
    (artifact,) = lines(served, "artifact.jsonl")
    assert artifact["payload"]["manifest"]["artifact_ref"] == registered.payload["manifest"].artifact_ref
    assert artifact["payload"]["manifest"]["size_bytes"] == 7
    assert registered.wait(60).hash_value == artifact["payload"]["manifest"]["hash_value"]

    (found,) = ctx.list_runs("demo", status="completed", tags={"kind": "svm"})
    assert (found.run_id, found.metric_count, found.dataset_ref) == ("run:demo.linear", 100, "dataset:made.up")
    series = ctx.get_step_series("linear", "loss", stage_name="train")
    assert series.steps.tolist() == list(range(100))
    assert series.values.tolist() == [1 / (step + 1) for step in range(100)]
    assert series.unit == "nats"
    assert [each.name for each in ctx.list_batches("linear")] == ["epoch-1"]
    assert [each.retention_class for each in ctx.list_samples("demo.linear")] == ["review"]
    (event,) = ctx.record_store.scan(record_type="event")
    assert (event.key, event.message, event.payload["attributes"]) == ("seen", "hello", {"n": 1})
    assert event.sample_id == "sample:demo.linear.train.epoch-1.first"


def test_nothing_is_settled_before_its_lines_are_written(served: Served) -> None:
    ctx = served.contexta()
    in_the_way = served.path / "cache" / "capture" / "record.jsonl"
    in_the_way.mkdir(parents=True)
    run = ctx.run("waiting")
    run.metric("loss", 1.0)
    assert not ctx.recorder.settle(1)
    ctx.flush(60)
    assert ctx.get_step_series("waiting", "loss").values.tolist() == [1.0]
    assert not ctx.recorder.settle(0.5)
    in_the_way.rmdir()
    assert ctx.recorder.settle(60)
    assert [line["payload"]["payload"]["value"] for line in lines(served, "record.jsonl")] == [1.0]
    run.close()


def test_an_open_run_is_answered_while_it_goes_on(served: Served) -> None:
    ctx = served.contexta()
    run = ctx.run("going")
    run.metric("loss", 1.0)
    ctx.flush(60)
    assert [each.status for each in ctx.list_runs()] == ["open"]
    assert ctx.get_step_series("going", "loss").values.tolist() == [1.0]
    run.close()
    assert [each.status for each in ctx.list_runs()] == ["completed"]


def test_values_come_back_bit_exact(served: Served) -> None:
    payload_nan = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_DEAD_BEEF))[0]
    floats = [0.1, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, payload_nan, float(np.float32(0.1))]
    integers = [2**53 - 1, 2**53 + 1, -(2**63), 2**200 + 7]
    ctx = served.contexta()
    with ctx.run("exact") as run:
        for step, value in enumerate(floats):
            run.metric("float", value, step=step)
        for step, value in enumerate(integers):
            run.metric("int", value, step=step)
        run.metric("numpy", np.float32(0.1), step=0)
    got = ctx.get_step_series("exact", "float").values
    assert got.tobytes() == np.array(floats).tobytes()
    assert [point.value for point in ctx.get_step_series("exact", "int").points] == integers
    assert [each.value for each in sorted(ctx.record_store.scan(key="int"), key=lambda each: each.step)] == integers
    assert ctx.get_step_series("exact", "numpy").values.tolist() == [float(np.float32(0.1))]
    texts = [
        line["payload"]["payload"]["value"]
        for line in lines(served, "record.jsonl")
        if line["payload"]["payload"].get("metric_key") == "float"
    ]
    assert texts[4:7] == ["Infinity", "-Infinity", "NaN"]


def test_log_rows_come_back_as_the_series_of_their_keys(served: Served) -> None:
    ctx = served.contexta()
    with ctx.run("rows") as run, run.stage("train") as stage:
        for step in range(1000):
            stage.log({"a": step * 0.5, "b": float(-step), "c/d": step}, step=step)
    for key, factor in (("a", 0.5), ("b", -1.0), ("c/d", 1.0)):
        series = ctx.get_step_series("rows", key)
        assert series.steps.tolist() == list(range(1000))
        assert series.values.tolist() == [step * factor for step in range(1000)]
    assert ctx.list_runs()[0].metric_count == 3000


def test_opening_an_ended_run_again_is_a_new_attempt(served: Served) -> None:
    ctx = served.contexta()
    for value in (1.0, 2.0):
        with ctx.run("again") as run:
            run.metric("score", value)
    (newest,) = ctx.list_runs()
    assert newest.attempt == 2
    assert ctx.get_step_series("again", "score").values.tolist() == [2.0]
    assert [each.attempt for each in ctx.list_runs(query=RunListQuery(all_attempts=True))] == [1, 2]
    with ctx.run("again", resume=True) as run:
        run.metric("score", 3.0)
    assert ctx.list_runs()[0].attempt == 2
    assert ctx.get_step_series("again", "score").values.tolist() == [2.0, 3.0]


def test_an_exception_fails_the_run_and_comes_through(served: Served) -> None:
    ctx = served.contexta()
    with pytest.raises(ZeroDivisionError), ctx.run("bad") as run, run.stage("train"):
        raise ZeroDivisionError
    assert [each.status for each in ctx.list_runs()] == ["failed"]


def test_a_name_that_is_wrong_or_fits_several_is_said(served: Served) -> None:
    ctx = served.contexta()
    other = served.contexta(project_name="other")
    for each in (ctx, other):
        with each.run("same") as run:
            run.metric("accuracy", 0.5)
    with pytest.raises(NotFoundError, match="The nearest is run:"):
        ctx.list_batches("smae")
    with pytest.raises(AmbiguousError, match=r"run:demo\.same"):
        ctx.list_batches("same")
    with pytest.raises(NotFoundError, match="'accuracy'"):
        ctx.get_step_series("demo.same", "acuracy")


def test_runs_are_filtered_by_their_newest_metric_and_sorted(served: Served) -> None:
    ctx = served.contexta()
    for name, score in (("a", 0.2), ("b", 0.9), ("c", 0.7)):
        with ctx.run(name) as run, run.stage("evaluate") as stage:
            stage.metric("score", 0.0)
            stage.metric("score", score)
    good = ctx.list_runs(
        metric_conditions=[MetricCondition("score", "gt", 0.5, stage_name="evaluate")], sort_by="name", sort_desc=True
    )
    assert [each.name for each in good] == ["c", "b"]
    assert [each.name for each in ctx.list_runs(limit=1, offset=1)] == ["b"]


def test_the_workers_of_a_job_are_one_run_and_records_carry_their_rank(served: Served) -> None:
    script = """
        with ctx.run("job") as run, run.stage("train") as stage:
            stage.metric("loss", float(os.environ["CONTEXTA_RANK"]), step=0)
    """
    for rank in range(3):  # one after the other: each rank joins although the run seems to have ended
        served.run(script, CONTEXTA_JOB_ID="job-7", CONTEXTA_RANK=str(rank), CONTEXTA_WORLD_SIZE="3")
    ctx = served.contexta()
    (run,) = ctx.list_runs()
    assert (run.attempt, run.worker_count, run.status) == (1, 3, "completed")
    series = ctx.get_step_series("job", "loss")
    assert dict(zip(series.ranks.tolist(), series.values.tolist(), strict=True)) == {0: 0.0, 1: 1.0, 2: 2.0}
    assert ctx.get_step_series("job", "loss", rank=1).values.tolist() == [1.0]


def test_a_forked_child_captures_into_its_parents_run(served: Served) -> None:
    served.run(
        """
        with ctx.run("forking") as run, run.stage("load") as stage:
            stage.metric("who", 0.0)
            child = os.fork()
            if child == 0:
                for step in range(50):
                    stage.metric("who", 1.0, step=step)
                os._exit(0)
            os.waitpid(child, 0)
            stage.metric("who", 2.0)
        """
    )
    served.drained()
    ctx = served.contexta()
    (run,) = ctx.list_runs()
    assert (run.status, run.worker_count, run.lost_worker_count) == ("completed", 2, 0)
    values = ctx.get_step_series("forking", "who", stage_name="load").values.tolist()
    assert sorted(values) == [0.0] + [1.0] * 50 + [2.0]


def test_export_writes_every_record_as_strict_json(served: Served, tmp_path: Path) -> None:
    ctx = served.contexta()
    with ctx.run("out") as run:
        run.metric("x", math.nan)
        run.event("e", message="</script>\u2028")
    target = tmp_path / "out.jsonl"
    assert ctx.record_store.export_jsonl(target) == 2

    def reject(token: str) -> None:
        raise ValueError(token)

    read = [json.loads(line, parse_constant=reject) for line in target.read_text().splitlines()]
    assert [each["record_type"] for each in read] == ["event", "metric"]
    assert read[1]["value"] == "NaN"
