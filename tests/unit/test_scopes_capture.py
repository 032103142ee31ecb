"""What scopes capture: numbers of every kind, log rows, events, spans, artifacts; exactly, and as the call said."""

from __future__ import annotations

import math
import struct
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from capturing import Capturing

from contexta.capture import MemorySink, MetricEmission
from contexta.contract.keys import MAX_TEXT_BYTES
from contexta.errors import ClosedScopeError, LifecycleError, ValidationError
from contexta_client.capture import stream as stream_module

BITS = [0x0000000000000001, 0x8000000000000000, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000, 0xFFF8000000001234]


def bits(value: float) -> int:
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def test_a_metric_keeps_value_step_scope_and_time(capturing: Capturing) -> None:
    with capturing.recorder().run("exact") as run, run.stage("train") as stage:
        for step in (None, 0, 1, -1, 2**62, -(2**62), np.int32(7), True, 3.0):
            assert stage.metric("train/loss", 0.25, step=step).ok
    content = capturing.one()
    assert [each.step for each in content.metrics] == [None, 0, 1, -1, 2**62, -(2**62), 7, 1, 3]
    assert {each.scope for each in content.metrics} == {content.scope("stage:demo.exact.train").scope_id}
    assert content.metrics[0].key == "train/loss"
    times = [each.time_ns for each in content.metrics]
    assert times == sorted(times)


@pytest.mark.parametrize("step", [np.uint8(255), np.int8(127), np.int16(2**15 - 1), np.int64(2**62), np.uint64(2**62)])
def test_steps_of_numpy_do_not_wrap_round(capturing: Capturing, step: np.integer) -> None:
    run = capturing.recorder().run("steps")
    with np.errstate(all="raise"):
        for _ in range(3):
            assert run.metric("loss", 1.0, step=step).ok
            assert run.log({"a": 1.0, "b": 2.0}, step=step).ok
    content = capturing.one()
    assert {each.step for each in content.metrics} == {int(step)}
    assert (len(content.metrics), content.group_rows, content.voids) == (9, 2, 0)


@pytest.mark.parametrize("pattern", BITS)
def test_doubles_are_kept_bit_by_bit(capturing: Capturing, pattern: int) -> None:
    value = struct.unpack("<d", struct.pack("<Q", pattern))[0]
    run = capturing.recorder().run("bits")
    for _ in range(3):
        run.metric("loss", value)
        run.log({"a": value, "b": 1.0})
    content = capturing.one()
    assert [bits(each) for each in content.values("loss") + content.values("a")] == [pattern] * 6
    assert content.group_rows == 2


@pytest.mark.parametrize(
    ("given", "kept", "value_type"),
    [
        (3, 3.0, "int64"),
        (True, 1.0, "bool"),
        (False, 0.0, "bool"),
        (2**53, 2.0**53, "int64"),
        (2**60, 2.0**60, "int64"),
        (np.float64(0.1), 0.1, "float64"),
        (np.float32(0.1), float(np.float32(0.1)), "float64"),
        (np.int64(-5), -5.0, "int64"),
        (np.bool_(True), 1.0, "bool"),
        (np.array(2.5), 2.5, "float64"),
        (np.array([4]), 4.0, "int64"),
        (np.longdouble(1.5), 1.5, "float64"),
        (Decimal("0.5"), 0.5, "float64"),
        (Fraction(1, 4), 0.25, "float64"),
    ],
)
def test_numbers_of_other_types_are_kept_with_their_type(
    capturing: Capturing, given: object, kept: float, value_type: str
) -> None:
    run = capturing.recorder().run("types")
    assert run.metric("x", given).ok
    assert run.log({"x": given, "y": 1.0}).ok
    assert run.log({"x": given, "y": 1.0}).ok
    content = capturing.one()
    found = [each for each in content.metrics if each.key == "x"]
    assert [(each.value, each.value_type) for each in found] == [(kept, value_type)] * 3


def test_integers_that_no_double_holds_are_kept_in_full(capturing: Capturing) -> None:
    run = capturing.recorder().run("wide")
    numbers = [2**53 + 1, -(2**63) - 1, 10**400, 1 - 2**13_999]
    for step, number in enumerate(numbers):
        assert run.metric("count", number, step=step).ok
    run.log({"count": 2**53 + 1, "loss": 1.0})
    content = capturing.one()
    wide = content.of("wide_metric")
    assert [int(each.value) for each in wide] == [*numbers, 2**53 + 1]
    assert [each.step for each in wide] == [1, 2, 3, 4, 0]
    assert content.values("loss") == [1.0]
    assert content.values("count") == []


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        (None, "leave the call out"),
        ("0.5", "float"),
        (1j, "value.real"),
        (np.zeros((2, 3)), "mean"),
        ({"a": 1}, "log"),
        ([1.0], "float(value)"),
        (float, "float(value)"),
        (object(), "float(value)"),
    ],
)
def test_what_is_no_number_is_refused_with_advice_and_the_run_goes_on(
    capturing: Capturing, given: object, advice: str
) -> None:
    run = capturing.recorder().run("refused")
    with pytest.raises(ValidationError, match="loss") as refused:
        run.metric("loss", given)
    assert advice in refused.value.message
    with pytest.raises(ValidationError):
        run.log({"fine": 1.0, "loss": given})
    assert run.metric("loss", 1.0).ok
    assert len(capturing.one().metrics) == 1


@pytest.mark.parametrize("step", [1.5, "3", None, 2**63, -(2**63) - 5, object(), float("nan")])
def test_a_wrong_step_is_refused_before_anything_is_kept(capturing: Capturing, step: object) -> None:
    run = capturing.recorder().run("steps")
    for _ in range(2):
        run.metric("loss", 0.0)
        run.log({"a": 0.0, "b": 0.0})
    if step is not None:
        for call in (lambda: run.metric("loss", 1.0, step=step), lambda: run.log({"a": 1.0, "b": 1.0}, step=step)):
            with pytest.raises(ValidationError, match="step"):
                call()
    assert run.metric("loss", 2.0).ok
    content = capturing.one()
    assert content.values("loss") == [0.0, 0.0, 2.0]
    assert content.values("a") == [0.0, 0.0]
    assert content.holes == 0


@pytest.mark.parametrize("key", ["", None, 3, "x" * 256, ["loss"]])
def test_a_wrong_key_is_refused(capturing: Capturing, key: object) -> None:
    run = capturing.recorder().run("keys")
    for call in (run.metric, lambda each, _: run.event(each, message="m"), lambda each, _: run.span(each)):
        with pytest.raises(ValidationError, match="255"):
            call(key, 1.0)


def test_any_other_text_is_a_key_and_kept_as_written(capturing: Capturing) -> None:
    run = capturing.recorder().run("keys")
    keys = ["train/loss", "val_acc", "Größe", "日本語", "a b", "nul\0l", "x" * 255, "'; DROP TABLE", "lone\ud800"]
    for key in keys:
        assert run.metric(key, 1.0).ok
    assert [each.key for each in capturing.one().metrics] == [*keys[:-1], "lone\ufffd"]


def test_options_of_a_metric_are_kept_with_its_key(capturing: Capturing) -> None:
    run = capturing.recorder().run("options")
    run.metric("acc", 0.5, unit="ratio")
    run.metric("acc", 0.6, unit="ratio", aggregation_scope="run", tags={"split": "val"}, summary_basis="mean")
    run.metric("acc", 0.7)
    run.metric("acc", 0.8, unit="ratio")
    keys = capturing.one().of("key_defined")
    assert [(key.unit, key.aggregation_scope, key.tags_json, key.summary_basis) for key in keys] == [
        ("ratio", "step", "", "raw_observation"),
        ("ratio", "run", '{"split":"val"}', "mean"),
        ("", "step", "", "raw_observation"),
    ]
    assert capturing.one().values("acc") == [0.5, 0.6, 0.7, 0.8]
    for wrong in ({"aggregation_scope": "galaxy"}, {"unit": 3}, {"tags": ["a"]}, {"summary_basis": 1}):
        with pytest.raises(ValidationError):
            run.metric("acc", 0.5, **wrong)


def test_what_is_said_of_every_value_of_a_metric_is_refused_when_it_is_too_large(capturing: Capturing) -> None:
    run = capturing.recorder().run("large")
    fits = "\u00e9" * (MAX_TEXT_BYTES // 2 - len('{"a":""}') // 2)
    assert run.metric("acc", 0.5, tags={"a": fits}).ok
    for wrong in ({"tags": {"a": fits + "b"}}, {"unit": "x" * 65_537}, {"summary_basis": "\ud800" * 30_000}):
        with pytest.raises(ValidationError, match=f"{next(iter(wrong))} takes .* at most 65536") as caught:
            run.metric("acc", 0.5, **wrong)
        assert caught.value.code == "value_too_large"
    (key,) = capturing.one().of("key_defined")
    assert len(key.tags_json.encode()) == MAX_TEXT_BYTES


def test_log_takes_a_recurring_set_as_rows_and_a_single_one_as_metrics(capturing: Capturing) -> None:
    run = capturing.recorder().run("log")
    for step in range(10):
        assert run.log({"loss": step / 2, "acc": 1.0 - step, "n": step}, step=step).ok
    run.log({"once": 1.0})
    assert run.log({}).ok
    content = capturing.one()
    assert content.group_rows == 9
    assert sorted(content.values("loss")) == [step / 2 for step in range(10)]
    assert {each.value_type for each in content.metrics if each.key == "n"} == {"int64"}
    assert content.values("once") == [1.0]
    with pytest.raises(ValidationError, match="mapping"):
        run.log([("a", 1.0)])


def test_arrays_of_one_type_with_other_numbers_in_them_are_kept_as_what_these_are(capturing: Capturing) -> None:
    run = capturing.recorder().run("arrays")
    given = [True, True, 2.5, 0.25, 7, 8, False]
    for step, value in enumerate(given):
        assert run.log({"a": np.array([value]), "b": np.array(value)}, step=step).ok
    run.log({"a": 0.5, "b": 1.5})
    run.log({"a": np.float32(0.5), "b": 1.5})
    content = capturing.one()
    assert content.group_rows == 6  # the first of each type is no row yet
    types = {float: "float64", int: "int64", bool: "bool"}
    for key, last in (("a", 0.5), ("b", 1.5)):
        kept = {metric.step: (metric.value, metric.value_type) for metric in content.metrics if metric.key == key}
        assert kept.pop(None) == (last, "float64")
        assert kept == {step: (value, types[type(value)]) for step, value in enumerate(given)}
        assert content.values(key).count(last) == 2


def test_more_sets_than_groups_go_as_single_metrics(capturing: Capturing) -> None:
    run = capturing.recorder().run("sets")
    for _ in range(3):
        for number in range(70):
            assert run.log({f"a{number}": 1.0, "b": 2.0}).ok
    content = capturing.one()
    assert len(content.of("group_defined")) == 64
    assert len(content.metrics) == 3 * 70 * 2


def test_events_and_spans_are_kept_as_given(capturing: Capturing) -> None:
    run = capturing.recorder().run("entries")
    attributes = {"nan": math.nan, "path": Path("/x"), "n": np.int64(3), "deep": {"a": [1]}}
    run.event("started", message="go", level="warning", attributes=attributes, tags={"a": "b"})
    outer = run.span("load", started_at="2025-01-10T09:00:00Z", ended_at="2025-01-10T09:00:01.5Z", span_kind="io")
    run.span("inner", parent_span_id=outer.payload["span_id"], linked_refs=["run:demo.entries"], status="error")
    content = capturing.one()
    (event,) = content.of("event")
    assert (event.key, event.level, event.message, event.tags_json) == ("started", "warning", "go", '{"a":"b"}')
    assert event.attributes_json == '{"nan":"NaN","path":"/x","n":3,"deep":{"a":[1]}}'
    first, second = content.of("span")
    assert second.parent_span_id == first.span_id == outer.payload["span_id"]
    assert first.trace_id == second.trace_id
    assert len(first.trace_id) == 32
    assert first.ended_ns - first.started_ns == 1_500_000_000
    assert list(second.linked_ref) == ["run:demo.entries"]
    assert second.started_ns == second.ended_ns > 0


def test_plural_calls_take_emissions_and_mappings(capturing: Capturing) -> None:
    run = capturing.recorder().run("plural")
    result = run.emit_metrics([MetricEmission("a", 1.0, step=4), {"key": "b", "value": 2, "unit": "ms"}])
    assert result.ok
    assert result.accepted == 2
    assert run.emit_events([{"key": "e", "message": "m"}]).ok
    assert run.emit_spans([{"name": "s"}]).ok
    with pytest.raises(ValidationError, match="key"):
        run.emit_metrics([{"kee": "b", "value": 2}])
    content = capturing.one()
    assert [(each.key, each.value, each.step) for each in content.metrics] == [("a", 1.0, 4), ("b", 2.0, None)]


def test_a_closed_scope_refuses_every_call_and_says_when_it_was_closed(capturing: Capturing, tmp_path: Path) -> None:
    recorder = capturing.recorder()
    run = recorder.run("closed")
    for _ in range(3):
        run.metric("loss", 1.0)
        run.log({"a": 1.0, "b": 2.0})
    run.close()
    for call in (
        lambda: run.metric("loss", 1.0),
        lambda: run.metric("loss", 1, unit="x"),
        lambda: run.log({"a": 1.0, "b": 2.0}),
        lambda: run.event("e", message="m"),
        lambda: run.span("s"),
        lambda: run.register_artifact("model", tmp_path),
        lambda: run.emit_metrics([]),
        lambda: run.stage("more"),
    ):
        with pytest.raises(ClosedScopeError, match="completed"):
            call()
    with pytest.raises(LifecycleError, match="no open run"):
        recorder.metric("loss", 1.0)
    recorder.close()
    with pytest.raises(LifecycleError, match="closed"):
        recorder.run("again")


def test_calls_without_a_scope_go_to_the_innermost(capturing: Capturing) -> None:
    recorder = capturing.recorder()
    with recorder.run("inner") as run:
        recorder.metric("a", 1.0)
        with run.stage("train") as stage:
            recorder.log({"b": 1.0})
            with stage.batch("one") as batch, batch.sample("s"):
                recorder.event("e", message="m")
            recorder.metric("c", 1.0)
        recorder.metric("d", 1.0)
    content = capturing.one()
    names = {each.scope_id: each.name for each in content.of("scope_opened")}
    assert {each.key: names[each.scope] for each in content.metrics} == {
        "a": "inner",
        "b": "train",
        "c": "train",
        "d": "inner",
    }
    assert names[content.of("event")[0].scope_id] == "s"


def test_the_users_sinks_get_models_in_order_and_a_failing_one_harms_nothing(
    capturing: Capturing, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    class Broken:
        name = "broken"

        def capture(self, family: object, payload: object) -> None:
            raise RuntimeError("no")

    memory = MemorySink()
    recorder = capturing.recorder(sinks=[Broken(), memory])
    with recorder.run("sinks") as run, run.stage("train") as stage:
        for step in range(3):
            assert stage.metric("train/loss", 0.5, step=step, unit="nats").ok
        assert stage.log({"a": 1, "b": 2.0}).ok
        stage.event("e", message="m")
        stage.span("s")
        stage.register_artifact("folder", tmp_path)
    names = [type(payload).__name__ for _, payload in memory.items]
    assert names == [
        *("Run", "StageExecution"),
        *["MetricRecord"] * 5,
        *("StructuredEventRecord", "TraceSpanRecord", "dict", "StageExecution", "Run"),
    ]
    metric = memory.payloads("RECORD")[2]
    assert (metric.payload.metric_key, metric.payload.step, metric.payload.unit) == ("train/loss", 2, "nats")
    assert metric.envelope.stage_execution_ref == stage.ref
    content = capturing.one()
    assert len(content.metrics) == 5
    (degraded,) = content.of("degraded")
    assert "broken" in degraded.summary
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_capture_that_is_switched_off_does_nothing(capturing: Capturing) -> None:
    recorder = capturing.recorder(enabled=False)
    with recorder.run("off") as run:
        result = run.metric("loss", 1.0)
        run.event("e", message="m")
        run.log({"a": 1.0, "b": 2.0})
        with pytest.raises(ValidationError):
            run.metric("loss", "text")
    assert result.status == "disabled"
    recorder.flush(0)
    recorder.close()
    assert not capturing.spools.exists()


def test_a_definition_without_room_drops_the_metric_and_is_made_later(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = capturing.recorder()
    run = recorder.run("late")
    stream = recorder.stream()

    def full(body: bytes) -> None:
        raise stream_module.SpoolFullError

    with monkeypatch.context() as patched:
        patched.setattr(stream.journal, "append", full)
        assert not run.metric("loss", 1.0).ok
    assert run.metric("loss", 2.0).ok
    assert capturing.one().values("loss") == [2.0]
