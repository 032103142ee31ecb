"""The OpenTelemetry sink against its library, and sinks without theirs. MLflow: tests/service/test_adapters_real.py."""

import sys
from unittest import mock

import pytest

from contexta.adapters.mlflow import MLflowSink
from contexta.adapters.otel import OTelSink
from contexta.capture import PayloadFamily
from contexta.contract import (
    DegradedPayload,
    DegradedRecord,
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


def metric(value: float, key: str = "loss", unit: str = "nats") -> MetricRecord:
    payload = {"metric_key": key, "value": value, "value_type": "float64", "unit": unit, "step": None}
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
        "contexta.metric": "train loss",
    }  # fmt: skip


def test_keys_and_units_that_opentelemetry_does_not_know_lose_no_metric(otel) -> None:
    sink, reader, _ = otel
    named = {"1st": 1.0, "_hidden": 2.0, "größe": 3.0, "loss": 4.0, "Loss": 5.0, "é" * 255: 6.0}
    for key, value in named.items():
        sink.capture(PayloadFamily.RECORD, metric(value, key, unit="µs"))
    sink.capture(PayloadFamily.RECORD, metric(7.0, "long", unit="u" * 64))
    gauges = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    points = {point.attributes["contexta.metric"]: point.value for each in gauges for point in each.data.data_points}
    assert points == {**named, "long": 7.0}
    assert {each.description for each in gauges} == {"in µs", "in " + "u" * 64}


def test_a_degraded_record_is_an_event_of_the_span_that_is_current(otel) -> None:
    sink, _, exporter = otel
    payload = DegradedPayload(issue_key="sink-failed", category="capture", severity="warning", summary="it failed")
    with sink._tracer.start_as_current_span("epoch"):
        marked = envelope("degraded", completeness_marker="partial", degradation_marker="partial_failure")
        sink.capture(PayloadFamily.RECORD, DegradedRecord(envelope=marked, payload=payload))
    (epoch,) = exporter.get_finished_spans()
    (event,) = epoch.events
    assert (event.name, event.attributes["level"]) == ("sink-failed", "warning")
    assert event.attributes["message"] == "it failed"


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


SINKS = [(OTelSink, "opentelemetry", "otel"), (MLflowSink, "mlflow", "mlflow")]


@pytest.mark.parametrize(("sink", "library", "extra"), SINKS)
def test_without_its_library_a_sink_says_what_to_install(sink, library, extra, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    monkeypatch.setitem(__import__("sys").modules, f"{library}.tracking", None)
    with pytest.raises(DependencyError, match=rf"pip install 'contexta\[{extra}\]'"):
        sink("service")


def test_an_artifact_of_a_deployment_without_a_run_is_nothing_to_mlflow(monkeypatch) -> None:
    tracking = mock.Mock()
    monkeypatch.setitem(sys.modules, "mlflow", mock.Mock(tracking=tracking))
    monkeypatch.setitem(sys.modules, "mlflow.tracking", tracking)
    client = tracking.MlflowClient.return_value
    sink = MLflowSink(run_id="given")
    of_deployment = {key: value for key, value in ARTIFACT["manifest"].items() if key != "run_ref"}
    of_deployment["deployment_execution_ref"] = "deployment:p.d"
    sink.capture(PayloadFamily.ARTIFACT, {**ARTIFACT, "manifest": of_deployment})
    assert not client.method_calls
    sink.capture(PayloadFamily.ARTIFACT, ARTIFACT)
    client.set_tag.assert_called_once_with("given", "artifact.model", "path:/x (5 bytes)")
