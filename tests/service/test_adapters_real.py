"""Sinks for other libraries as a user has them: beside a real workspace, against the libraries themselves."""

import math
from threading import Thread

import pytest
from served import Served

from contexta import Contexta
from contexta.adapters.mlflow import MLflowSink
from contexta.adapters.otel import OTelSink
from contexta.capture import PayloadFamily
from contexta.contract import MetricRecord, Run, StructuredEventRecord, TraceSpanRecord

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of SQLAlchemy, by MLflow's models

AT = "2026-01-01T00:00:01Z"
STARTED = "2026-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory):
    """MLflow's client for one store of all tests: making a store takes seconds."""
    mlflow = pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    pytest.importorskip("sqlalchemy", reason="MLflow's own store needs sqlalchemy, which mlflow-skinny does not bring")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path_factory.mktemp('mlflow')}/mlflow.db")
    yield mlflow.tracking.MlflowClient()
    mlflow.set_tracking_uri(None)


def run(project: str, status: str = "open", started_at: str = STARTED) -> Run:
    ended_at = None if status == "open" else AT
    return Run(
        run_ref=f"run:{project}.r", project_ref=f"project:{project}", name="R", status=status, started_at=started_at,
        ended_at=ended_at,
    )  # fmt: skip


def fields(project: str, record_type: str, payload: dict) -> dict:
    envelope = {
        "record_ref": f"record:{project}.r.{record_type}-1", "record_type": record_type, "recorded_at": AT,
        "observed_at": AT, "producer_ref": "test", "run_ref": f"run:{project}.r",
    }  # fmt: skip
    return {"envelope": envelope, "payload": payload}


def metric(project: str, value: float, key: str = "loss", step: int | None = None) -> MetricRecord:
    payload = {"metric_key": key, "value": value, "value_type": "float64", "step": step}
    return MetricRecord.from_dict(fields(project, "metric", payload))


def runs_of(mlflow, project: str) -> list:
    experiment = mlflow.get_experiment_by_name(project)
    return mlflow.search_runs([experiment.experiment_id])


def test_what_a_training_captures_reaches_opentelemetry_and_mlflow(served: Served, mlflow) -> None:
    pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    reader, exporter, tracers = InMemoryMetricReader(), InMemorySpanExporter(), TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    sinks = [OTelSink("trainer", tracers, MeterProvider([reader])), MLflowSink()]
    weights = served.path.parent / "weights.bin"
    weights.write_bytes(b"12345")
    with Contexta(workspace=served.path, config={"project_name": "whole"}, sinks=sinks) as ctx:
        with ctx.run("fit") as opened, opened.stage("train") as stage:
            for step in range(3):
                stage.metric("loss", 1.0 / (step + 1), step=step, unit="µs")
            stage.event("note", message="hello", attributes={"sizes": [1, 2], "none": None})
            opened.register_artifact("model", weights)
        assert [each.value for each in ctx.get_step_series("fit", "loss").points] == [1.0, 0.5, 1 / 3]
    (gauge,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    assert gauge.data.data_points[0].attributes["contexta.stage"] == "stage:whole.fit.train"
    assert [span.name for span in exporter.get_finished_spans()] == ["note", "artifact"]
    (found,) = runs_of(mlflow, "whole")
    assert (found.info.run_name, found.info.status) == ("fit", "FINISHED")
    assert [each.step for each in mlflow.get_metric_history(found.info.run_id, "loss")] == [0, 1, 2]
    assert found.data.tags["event.note"] == "hello" and "(5 bytes)" in found.data.tags["artifact.model"]
    assert not list(served.path.rglob("outbox/*.jsonl"))  # no sink missed anything


def test_a_run_becomes_a_run_of_mlflow_with_its_times_and_ends_as_it_ended(mlflow) -> None:
    sink = MLflowSink()
    sink.capture(PayloadFamily.CONTEXT, run("ends"))
    event = {"event_key": "note", "level": "info", "message": "hello"}
    sink.capture(PayloadFamily.RECORD, StructuredEventRecord.from_dict(fields("ends", "event", event)))
    span = {
        "span_id": "s1", "trace_id": "t1", "span_name": "load", "started_at": STARTED, "ended_at": AT, "status": "ok",
        "span_kind": "io",
    }  # fmt: skip
    sink.capture(PayloadFamily.RECORD, TraceSpanRecord.from_dict(fields("ends", "span", span)))
    sink.capture(PayloadFamily.CONTEXT, run("ends", "failed"))
    sink.close()  # ends only what is open
    (found,) = runs_of(mlflow, "ends")
    assert (found.info.run_name, found.info.status) == ("R", "FAILED")
    assert found.info.end_time - found.info.start_time == 1000  # ms, as captured
    assert found.data.metrics["span.load.seconds"] == 1.0


def test_a_given_run_of_mlflow_takes_everything_and_is_left_open(mlflow) -> None:
    given = mlflow.create_run(mlflow.create_experiment("mine")).info.run_id
    sink = MLflowSink(run_id=given)
    sink.capture(PayloadFamily.RECORD, metric("p", math.inf, step=4))
    sink.capture(PayloadFamily.CONTEXT, run("p", "completed"))
    sink.close()
    found = mlflow.get_run(given)
    assert found.info.status == "RUNNING" and "loss" in found.data.metrics


def test_names_that_mlflow_takes_for_paths_lose_no_metric(mlflow) -> None:
    sink = MLflowSink()
    for number, key in enumerate(["/loss", "loss/", "a//b", "../x", "c/./d", ".", "größe"]):
        sink.capture(PayloadFamily.RECORD, metric("paths", float(number), key))
    sink.close()
    (found,) = runs_of(mlflow, "paths")
    assert found.data.metrics == {
        "_/loss": 0, "loss/_": 1, "a/_/b": 2, "__/x": 3, "c/_/d": 4, "_": 5, "gr__e": 6,
    }  # fmt: skip
    assert found.info.status == "FINISHED"


def test_a_replay_adds_to_the_run_that_there_is_and_leaves_its_ending_alone(mlflow) -> None:
    sink = MLflowSink()
    sink.capture(PayloadFamily.CONTEXT, run("again"))
    sink.capture(PayloadFamily.CONTEXT, run("again", "failed"))
    replay = MLflowSink()  # of another process
    replay.capture(PayloadFamily.RECORD, metric("again", 1.0))
    replay.capture(PayloadFamily.CONTEXT, run("again"))
    replay.close()
    (found,) = runs_of(mlflow, "again")
    assert found.info.status == "FAILED" and found.data.metrics == {"loss": 1.0}
    replay.capture(PayloadFamily.CONTEXT, run("again", started_at=AT))  # a second attempt is a run of its own
    assert len(runs_of(mlflow, "again")) == 2


def test_a_run_whose_opening_is_replayed_after_its_records_is_one_run(mlflow) -> None:
    sink = MLflowSink()
    sink.capture(PayloadFamily.RECORD, metric("late", 1.0))
    MLflowSink().capture(PayloadFamily.CONTEXT, run("late", "completed"))
    (found,) = runs_of(mlflow, "late")
    assert found.info.status == "FINISHED" and found.data.tags["contexta.started_at"] == STARTED


def test_threads_that_are_first_together_make_one_run(mlflow) -> None:
    sink = MLflowSink()
    threads = [
        Thread(target=sink.capture, args=(PayloadFamily.RECORD, metric("threads", 1.0, step=step))) for step in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (found,) = runs_of(mlflow, "threads")
    assert len(mlflow.get_metric_history(found.info.run_id, "loss")) == 4
