"""Sinks for other libraries, against those libraries."""

import math

import pytest

from contexta.adapters.mlflow import MLflowSink
from contexta.adapters.otel import OTelSink
from contexta.capture import PayloadFamily
from contexta.contract import (
    MetricRecord,
    RecordEnvelope,
    Run,
    StructuredEventPayload,
    StructuredEventRecord,
    TraceSpanPayload,
    TraceSpanRecord,
)
from contexta.errors import DependencyError

AT = "2026-01-01T00:00:01Z"


def envelope(record_type: str, **more) -> RecordEnvelope:
    return RecordEnvelope(
        record_ref=f"record:p.r.{record_type}-1", record_type=record_type, recorded_at=AT, observed_at=AT,
        producer_ref="test", run_ref="run:p.r", stage_execution_ref="stage:p.r.train", **more,
    )  # fmt: skip


def metric(value: float, key: str = "loss", step: int | None = None) -> MetricRecord:
    payload = {"metric_key": key, "value": value, "value_type": "float64", "unit": "nats", "step": step}
    return MetricRecord.from_dict({"envelope": envelope("metric").to_dict(), "payload": payload})  # keys as captured


EVENT = StructuredEventRecord(
    envelope=envelope("event"),
    payload=StructuredEventPayload(
        event_key="note", level="info", message="hello", attributes={"n": 1, "deep": {"a": 2}}
    ),
)
SPAN = TraceSpanRecord(
    envelope=envelope("span"),
    payload=TraceSpanPayload(
        span_id="s1", trace_id="t1", span_name="load", started_at="2026-01-01T00:00:00Z", ended_at=AT, status="error",
        span_kind="io",
    ),
)  # fmt: skip
ARTIFACT = {
    "manifest": {
        "artifact_ref": "artifact:p.r.model-1", "artifact_kind": "model", "created_at": AT, "run_ref": "run:p.r",
        "location_ref": "path:/x", "size_bytes": 5, "producer_ref": "test",
    },
    "binding_status": "BOUND",
}  # fmt: skip


@pytest.fixture
def otel():
    sdk = pytest.importorskip("opentelemetry.sdk", reason="the extra `otel` is not installed")
    assert sdk
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    reader, exporter = InMemoryMetricReader(), InMemorySpanExporter()
    tracers = TracerProvider()
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    sink = OTelSink("trainer", tracer_provider=tracers, meter_provider=MeterProvider([reader]))
    return sink, reader, exporter


def test_a_metric_becomes_a_gauge_with_the_newest_value_and_where_it_was_made(otel) -> None:
    sink, reader, _ = otel
    for value in (0.5, 0.25):
        sink.capture(PayloadFamily.RECORD, metric(value, "train loss"))
    (gauge,) = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    (point,) = gauge.data.data_points
    assert (gauge.name, gauge.unit, point.value) == ("train_loss", "nats", 0.25)
    assert dict(point.attributes) == {
        "service.name": "trainer", "contexta.run": "run:p.r", "contexta.stage": "stage:p.r.train",
    }  # fmt: skip


def test_a_span_keeps_its_own_times_and_status_and_an_event_is_a_span_of_no_length(otel) -> None:
    sink, _, exporter = otel
    sink.capture(PayloadFamily.RECORD, SPAN)
    sink.capture(PayloadFamily.RECORD, EVENT.to_dict())  # as a replay hands it over
    sink.capture(PayloadFamily.ARTIFACT, ARTIFACT)
    sink.capture(PayloadFamily.CONTEXT, run("open"))
    load, note, artifact = exporter.get_finished_spans()
    assert (load.name, load.end_time - load.start_time) == ("load", 1_000_000_000)
    assert not load.status.is_ok and load.attributes["contexta.trace_id"] == "t1"
    assert note.start_time == note.end_time and note.attributes["message"] == "hello"
    assert note.attributes["deep"] == "{'a': 2}"
    assert artifact.attributes["contexta.size_bytes"] == 5


def run(status: str) -> Run:
    return Run(
        run_ref="run:p.r", project_ref="project:p", name="R", status=status, started_at="2026-01-01T00:00:00Z",
        ended_at=None if status == "open" else AT,
    )  # fmt: skip


@pytest.fixture
def mlflow(tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="the extra `mlflow` is not installed")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/mlflow.db")
    return mlflow.tracking.MlflowClient()


@pytest.mark.filterwarnings("ignore")  # of MLflow's own libraries
def test_a_run_becomes_a_run_of_mlflow_with_steps_and_tags_and_ends_as_it_ended(mlflow) -> None:
    sink = MLflowSink()
    sink.capture(PayloadFamily.CONTEXT, run("open"))
    for step in range(3):
        sink.capture(PayloadFamily.RECORD, metric(1.0 / (step + 1), "train/loss", step=step))
    sink.capture(PayloadFamily.RECORD, EVENT)
    sink.capture(PayloadFamily.RECORD, SPAN)
    sink.capture(PayloadFamily.ARTIFACT, ARTIFACT)
    sink.capture(PayloadFamily.CONTEXT, run("failed"))
    experiment = mlflow.get_experiment_by_name("p")
    (found,) = mlflow.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == ("R", "FAILED")
    history = mlflow.get_metric_history(found.info.run_id, "train/loss")
    assert [(each.step, each.value) for each in history] == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
    assert found.data.metrics["span.load.seconds"] == 1.0
    assert found.data.tags["event.note"] == "hello" and found.data.tags["artifact.model"] == "path:/x (5 bytes)"


@pytest.mark.filterwarnings("ignore")
def test_a_given_run_of_mlflow_takes_everything_and_is_left_open(mlflow) -> None:
    given = mlflow.create_run(mlflow.create_experiment("mine")).info.run_id
    sink = MLflowSink(run_id=given)
    sink.capture(PayloadFamily.RECORD, metric(math.inf, step=4))
    sink.capture(PayloadFamily.CONTEXT, run("completed"))
    sink.close()
    found = mlflow.get_run(given)
    assert found.info.status == "RUNNING" and "loss" in found.data.metrics


SINKS = [(OTelSink, "opentelemetry", "otel"), (MLflowSink, "mlflow", "mlflow")]


@pytest.mark.parametrize(("sink", "library", "extra"), SINKS)
def test_without_its_library_a_sink_says_what_to_install(sink, library, extra, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    monkeypatch.setitem(__import__("sys").modules, f"{library}.tracking", None)
    with pytest.raises(DependencyError, match=rf"pip install 'contexta\[{extra}\]'"):
        sink("service")
