"""What capture calls return and take, and the sinks that run in the caller."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import math
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from contexta.capture import (
    SUCCESS,
    ArtifactRegistrationEmission,
    BatchCaptureResult,
    CaptureResult,
    EventEmission,
    LocalJsonlSink,
    MemorySink,
    MetricEmission,
    MirroredJsonlSink,
    PayloadFamily,
    Sink,
    SpanEmission,
    StdoutSink,
)
from contexta.capture.results import dropped
from contexta.contract import MetricPayload, MetricRecord, RecordEnvelope
from contexta.errors import DeadlineError, ValidationError


def record(value: float = 0.5) -> MetricRecord:
    return MetricRecord(
        envelope=RecordEnvelope(
            record_ref="record:p.r.metric-1",
            record_type="metric",
            recorded_at="2025-01-10T09:00:00Z",
            observed_at="2025-01-10T09:00:00Z",
            producer_ref="contexta.capture",
            run_ref="run:p.r",
        ),
        payload=MetricPayload(metric_key="loss", value=value, value_type="float64"),
    )


def test_the_common_success_is_ok_and_waits_for_nothing() -> None:
    assert SUCCESS.ok
    assert SUCCESS
    assert SUCCESS.accepted == 1
    assert SUCCESS.payload == {}
    assert SUCCESS.wait(timeout=0) is None


def test_a_dropped_call_says_why() -> None:
    result = dropped("spool_full", count=3)
    assert not result.ok
    assert (result.accepted, result.dropped, result.reason) == (0, 3, "spool_full")


def test_a_payload_given_as_a_function_is_made_once_when_looked_at() -> None:
    made: list[int] = []

    def make() -> dict[str, Any]:
        made.append(1)
        return {"manifest": "m"}

    result = CaptureResult(family=PayloadFamily.ARTIFACT, payload=make)
    assert not made
    assert result.payload["manifest"] == "m"
    assert result.wait() == "m"
    assert len(made) == 1


def test_waiting_passes_the_timeout_and_the_error_through() -> None:
    def wait(timeout: float | None) -> str:
        if timeout == 0:
            raise DeadlineError("not yet")
        return "manifest"

    result = CaptureResult(wait=wait)
    assert result.wait() == "manifest"
    with pytest.raises(TimeoutError):
        result.wait(timeout=0)


@pytest.mark.parametrize(
    ("results", "status", "counts"),
    [
        ((SUCCESS, SUCCESS), "accepted", (2, 0)),
        ((SUCCESS, dropped("spool_full")), "partial", (1, 1)),
        ((dropped("spool_full"),), "dropped", (0, 1)),
        ((), "accepted", (0, 0)),
    ],
)
def test_a_plural_result_sums_up_its_parts(
    results: tuple[CaptureResult, ...], status: str, counts: tuple[int, int]
) -> None:
    batch = BatchCaptureResult(results)
    assert batch.status == status
    assert (batch.accepted, batch.dropped) == counts
    assert list(batch) == list(results)
    assert len(batch) == len(results)
    assert batch.wait(timeout=1) == [None] * len(results)


def test_emissions_are_built_from_mappings_with_the_names_of_the_calls() -> None:
    assert MetricEmission.of({"key": "loss", "value": 1, "step": 3}) == MetricEmission("loss", 1, step=3)
    assert EventEmission.of({"key": "a", "message": "b"}).level == "info"
    assert SpanEmission.of({"name": "forward"}).status == "ok"
    assert ArtifactRegistrationEmission.of({"artifact_kind": "model", "path": "m"}).compute_hash is True
    given = MetricEmission("loss", 1)
    assert MetricEmission.of(given) is given


def test_a_mapping_that_is_no_emission_is_refused_and_told_what_to_write() -> None:
    with pytest.raises(ValidationError, match="'value'") as caught:
        MetricEmission.of({"key": "loss", "valu": 1})
    assert caught.value.code == "emission_unknown_field"
    with pytest.raises(ValidationError, match="needs value") as caught:
        MetricEmission.of({"key": "loss"})
    assert caught.value.code == "emission_missing_field"
    with pytest.raises(ValidationError) as caught:
        MetricEmission.of(3)  # type: ignore[arg-type]
    assert caught.value.code == "emission_wrong_type"


def test_the_sinks_are_sinks() -> None:
    for sink in (MemorySink(), StdoutSink(), LocalJsonlSink("x"), MirroredJsonlSink("x")):
        assert isinstance(sink, Sink)


def test_a_jsonl_sink_names_absolute_files_below_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sink = MirroredJsonlSink(Path(".contexta") / "cache" / "capture")
    path = sink.file_path_for("RECORD")
    assert path.relative_to(Path.cwd()).as_posix() == ".contexta/cache/capture/record.jsonl"
    assert sink.file_path_for(PayloadFamily.ARTIFACT).name == "artifact.jsonl"
    monkeypatch.chdir("/")
    assert sink.file_path_for("record") == path


def test_a_family_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="RECORD, ARTIFACT"):
        LocalJsonlSink("x").file_path_for("METRIC")


def test_the_mirrored_sink_writes_nothing_itself(tmp_path: Path) -> None:
    sink = MirroredJsonlSink(tmp_path / "capture")
    sink.capture(PayloadFamily.RECORD, record())
    assert not (tmp_path / "capture").exists()


def test_a_jsonl_sink_of_the_user_writes_lines_of_the_capture_files(tmp_path: Path) -> None:
    sink = LocalJsonlSink(tmp_path / "capture", name="mine")
    sink.capture(PayloadFamily.RECORD, record(math.nan))
    sink.capture(PayloadFamily.ARTIFACT, {"binding_status": "BOUND", "manifest": {"artifact_ref": "artifact:p.r.m"}})
    sink.close()
    sink.capture(PayloadFamily.RECORD, record())
    sink.close()
    path = sink.file_path_for("RECORD")
    first, second = (json.loads(line) for line in path.read_text("utf-8").splitlines())
    assert list(first) == ["captured_at", "sink_name", "family", "payload_type", "payload_ref", "payload"]
    assert (first["sink_name"], first["family"], first["payload_type"]) == ("mine", "RECORD", "MetricRecord")
    assert first["payload_ref"] == "record:p.r.metric-1"
    assert first["payload"]["payload"]["value"] == "NaN"
    assert second["payload"]["payload"]["value"] == 0.5
    artifact = json.loads(sink.file_path_for("ARTIFACT").read_text("utf-8"))
    assert artifact["payload_ref"] == "artifact:p.r.m"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_line_that_a_full_disk_cut_short_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = LocalJsonlSink(tmp_path)
    write, room = os.write, [150]

    def write_into_what_is_left(file: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = write(file, bytes(data)[: room[0]])
        room[0] -= done
        return done

    monkeypatch.setattr(os, "write", write_into_what_is_left)
    for left in (300, 1, 0, 300):  # whole, only what ends the torn line, nothing, and whole again
        with pytest.raises(OSError, match="No space"):
            sink.capture(PayloadFamily.RECORD, {"lost": "x" * 1000})
        room[0] = left
        if left == 300:
            sink.capture(PayloadFamily.RECORD, {"kept": left})
            room[0] = 20
    with pytest.raises(OSError, match="No space"):
        sink.capture(PayloadFamily.RECORD, {"lost": "x"})
    sink.close()
    monkeypatch.undo()
    LocalJsonlSink(tmp_path).capture(PayloadFamily.RECORD, {"kept": "by another process"})
    lines = sink.file_path_for("RECORD").read_text().split("\n")
    assert lines.pop() == "" and all(lines)
    kept = []
    for line in lines:
        with contextlib.suppress(ValueError):
            kept.append(json.loads(line)["payload"]["kept"])
    assert kept == [300, 300, "by another process"]


def test_lines_of_many_threads_never_mix(tmp_path: Path) -> None:
    sink = LocalJsonlSink(tmp_path)

    def write(number: int) -> None:
        for index in range(50):
            sink.capture(PayloadFamily.RECORD, {"number": number, "index": index, "text": "x" * 500})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sink.close()
    lines = [json.loads(line)["payload"] for line in sink.file_path_for("RECORD").read_text("utf-8").splitlines()]
    assert {(line["number"], line["index"]) for line in lines} == {(n, i) for n in range(8) for i in range(50)}
    assert not any(each.samefile(sink.file_path_for("RECORD")) for each in Path("/dev/fd").iterdir() if each.exists())


def test_the_stdout_sink_prints_strict_json(capsys: pytest.CaptureFixture[str]) -> None:
    StdoutSink().capture(PayloadFamily.RECORD, record(math.inf))
    line = capsys.readouterr().out
    assert line.count("\n") == 1
    assert json.loads(line)["payload"]["payload"]["value"] == "Infinity"
    stream = io.StringIO()
    StdoutSink("mine", stream, 2).capture(PayloadFamily.CONTEXT, {"a": 1})
    assert stream.getvalue().startswith('{\n  "captured_at"')
    assert json.loads(stream.getvalue())["sink_name"] == "mine"


def test_the_memory_sink_keeps_the_newest_up_to_its_bound() -> None:
    sink = MemorySink(max_items=2)
    for value in range(3):
        sink.capture(PayloadFamily.RECORD, value)
    assert sink.items == [(PayloadFamily.RECORD, 1), (PayloadFamily.RECORD, 2)]
    assert sink.payloads("record") == [1, 2]
    assert sink.payloads(PayloadFamily.ARTIFACT) == []
    sink.clear()
    assert sink.items == []
