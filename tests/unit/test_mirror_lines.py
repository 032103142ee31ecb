import json
import os
import struct
from contextlib import closing

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
    scope_opened,
    session_ended,
    session_opened,
)

from contexta.v1 import capture_pb2 as pb
from contexta_daemon.catalog import Catalog
from contexta_daemon.mirror import Mirror
from contexta_daemon.mirror.lines import CHUNK_BYTES, LineWriter


class Bench:
    """A log, a catalog and a mirror behind it."""

    def __init__(self, root, **options):
        self.log = FakeLog()
        self.folder = root / "cache" / "capture"
        self.catalog = Catalog(root / "metadata" / "catalog.sqlite3")
        self.mirror = Mirror(self.folder, root / "metadata" / "mirror.json", self.catalog, **options)

    def run(self):
        self.catalog.follow(list(self.log.read(self.catalog.position)), self.log.committed)
        self.mirror.follow(list(self.log.read(self.mirror.position)), self.log.committed)

    def lines(self, name="record.jsonl"):
        def refuse(token):
            raise ValueError(token)

        return [json.loads(line, parse_constant=refuse) for line in (self.folder / name).read_text().splitlines()]

    def close(self):
        self.mirror.close()
        self.catalog.close()


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def begin(log, **session):
    log.add(
        1,
        session_opened(**session),
        run_opened(),
        scope_opened(2, 1, "stage", "stage:p.r.train"),
        scope_opened(3, 2, "batch", "batch:p.r.train.b"),
        scope_opened(4, 3, "sample", "sample:p.r.train.b.s"),
    )


def test_a_metric_line_has_everything_that_the_data_model_names(bench):
    begin(bench.log, rank=3, job="j")
    bench.log.add(
        1,
        key_defined(1, "accuracy", unit="ratio", tags_json='{"a": "100%"}'),
        columns=[columns([0.9777777777777777], series=(4, 1), step=[8], time_ns=[NS + 123_456_789])],
    )
    bench.run()
    (line,) = bench.lines()
    at = "2026-01-01T00:00:00.123456Z"
    ref = "record:p.r.metric-010101010101-6"
    assert line == {
        "captured_at": at,
        "sink_name": "local-jsonl",
        "family": "RECORD",
        "payload_type": "MetricRecord",
        "payload_ref": ref,
        "payload": {
            "envelope": {
                "record_ref": ref,
                "record_type": "metric",
                "recorded_at": at,
                "observed_at": at,
                "producer_ref": "contexta.capture",
                "run_ref": "run:p.r",
                "stage_execution_ref": "stage:p.r.train",
                "batch_execution_ref": "batch:p.r.train.b",
                "sample_observation_ref": "sample:p.r.train.b.s",
                "completeness_marker": "complete",
                "degradation_marker": "none",
                "rank": 3,
                "attempt": 1,
                "schema_version": "1.0.0",
            },
            "payload": {
                "metric_key": "accuracy",
                "value": 0.9777777777777777,
                "value_type": "float64",
                "unit": "ratio",
                "aggregation_scope": "step",
                "tags": {"a": "100%"},
                "summary_basis": "raw_observation",
                "step": 7,
            },
        },
    }


VALUES = [0.1, -0.0, 5e-324, 1.7976931348623157e308, float("nan"), float("inf"), float("-inf"), 1e16, 123456789.0]


def test_every_value_reads_back_bit_exact_and_the_odd_ones_are_texts(bench):
    begin(bench.log)
    bench.log.add(1, key_defined(1, "x"), columns=[columns(VALUES, series=(2, 1))])
    bench.run()
    read = [line["payload"]["payload"]["value"] for line in bench.lines()]
    assert read[4:7] == ["NaN", "Infinity", "-Infinity"]
    for given, found in zip(VALUES, read, strict=True):
        assert struct.pack("<d", float(found)) == struct.pack("<d", given) or found == "NaN"
    assert all("step" not in line["payload"]["payload"] for line in bench.lines())


def test_integers_and_booleans_are_written_as_such(bench):
    begin(bench.log)
    wide = pb.WideMetric(scope_id=2, key_id=1, step=0, value="18446744073709551617")
    bench.log.add(
        1,
        key_defined(1, "n", value_type="int64"),
        key_defined(2, "b", value_type="bool"),
        entry(wide_metric=wide),
        columns=[columns([3.0, 1e15, float("nan")], series=(2, 1)), columns([1.0, 0.0], series=(2, 2))],
    )
    bench.run()
    text = (bench.folder / "record.jsonl").read_text()
    values = [line.partition('"value":')[2].partition(",")[0] for line in text.splitlines()]
    assert values == ["18446744073709551617", "3", "1000000000000000", '"NaN"', "true", "false"]


def test_rows_of_a_group_are_lines_in_the_order_of_their_items(bench):
    begin(bench.log)
    bench.log.add(
        1,
        key_defined(1, "loss"),
        key_defined(2, "acc"),
        entry(group_defined=pb.GroupDefined(group_id=1, key_id=[1, 2])),
        rows=[rows([[1.0, 2.0], [0.25, 0.5]], group=1, scope=2, step=[1, 2])],
    )
    bench.run()
    seen = [(line["payload_ref"][-1], *(line["payload"]["payload"][k] for k in ("metric_key", "value", "step")))
            for line in bench.lines()]
    assert seen == [("8", "loss", 1.0, 0), ("9", "acc", 0.25, 0), ("a", "loss", 2.0, 1), ("b", "acc", 0.5, 1)]


def test_events_spans_degraded_and_what_follows_from_losses_have_lines(bench):
    begin(bench.log)
    bench.log.add(
        1,
        entry(
            event=pb.EventCaptured(
                scope_id=2, key="e", message="m", attributes_json='{"v": "NaN"}', tags_json='{"t":1}'
            )
        ),
        entry(span=pb.SpanCaptured(scope_id=2, name="s", span_id="a", trace_id="b", started_ns=NS, ended_ns=NS + 1000)),
        entry(degraded=pb.DegradedCaptured(issue_key="k", category="capture", severity="warning", summary="s")),
        entry(dropped=pb.Dropped(reason="spool_full", metrics_total=7, entries_total=1)),
        session_ended(lost=True),
    )
    bench.run()
    lines = bench.lines()
    assert [(line["family"], line["payload_type"]) for line in lines] == [
        ("RECORD", "StructuredEventRecord"),
        ("RECORD", "TraceSpanRecord"),
        *[("DEGRADATION", "DegradedRecord")] * 3,
    ]
    assert lines[0]["payload"]["payload"]["attributes"] == {"v": "NaN", "tags": {"t": 1}}
    assert [line["payload"]["payload"]["issue_key"] for line in lines[2:]] == ["k", "records-dropped", "worker-lost"]
    assert {line["payload"]["envelope"]["run_ref"] for line in lines} == {"run:p.r"}
    assert lines[1]["payload"]["envelope"]["correlation_refs"] == {"trace_id": "b"}


@pytest.mark.parametrize(("depth", "inmost", "is_text"), [
    (250, "1", False), (55, "NaN", False), (55, "1e999", False), (250, "NaN", True), (250, "1e999", True),
    (400, "1", True), (985, "1", True), (100_000, "1", True),
])  # fmt: skip
def test_json_that_is_nested_too_deep_to_be_written_again_stays_the_text_it_is(bench, depth, inmost, is_text):
    begin(bench.log)
    text = '{"a":' * depth + inmost + "}" * depth
    bench.log.add(1, entry(event=pb.EventCaptured(scope_id=2, key="e", attributes_json=text, tags_json=text)))
    bench.run()
    (line,) = bench.lines()
    assert (line["payload"]["payload"]["attributes"] == text) == is_text


def test_an_artifact_has_its_line_once_its_hash_is_known(bench):
    begin(bench.log)
    made = pb.ArtifactRegistered(
        scope_id=1, ref="artifact:p.r.model-1", artifact_kind="model", path="/a b/m.pkl", exists=True, size_bytes=576,
        compute_hash=True, attributes_json='{"format": "pickle"}',
    )
    bench.log.add(1, entry(artifact_registered=made))
    bench.run()
    assert not (bench.folder / "artifact.jsonl").exists()
    hashed = pb.ArtifactHashed(
        ref=made.ref, hash_value="sha256:" + "0" * 64, size_bytes=576, session_id=bytes([1]) * 16
    )
    bench.log.add(9, entry(artifact_hashed=hashed))
    bench.run()
    (line,) = bench.lines("artifact.jsonl")
    assert (line["family"], line["payload_ref"]) == ("ARTIFACT", made.ref)
    payload = line["payload"]
    assert payload["binding_status"] == "BOUND"
    assert payload["source"] == {"exists": True, "kind": "PATH", "uri": "/a b/m.pkl"}
    assert payload["manifest"]["location_ref"] == "path:/a b/m.pkl"
    assert payload["manifest"]["hash_value"] == "sha256:" + "0" * 64
    assert payload["manifest"]["size_bytes"] == 576
    assert payload["manifest"]["attributes"] == {"format": "pickle"}


def test_an_artifact_that_will_not_be_hashed_has_its_line_at_once(bench):
    begin(bench.log)
    for number, (exists, compute_hash) in enumerate([(True, False), (False, True)]):
        made = pb.ArtifactRegistered(
            scope_id=1, ref=f"artifact:p.r.m-{number}", artifact_kind="model", path="/x", exists=exists,
            compute_hash=compute_hash,
        )
        bench.log.add(1, entry(artifact_registered=made))
    bench.run()
    assert [line["payload"]["binding_status"] for line in bench.lines("artifact.jsonl")] == ["BOUND", "PENDING"]


def test_many_lines_are_made_in_a_process_of_their_own(bench):
    begin(bench.log)
    bench.log.add(1, key_defined(1, "x"), columns=[columns(np.arange(9000.0), series=(2, 1))])
    bench.run()
    assert bench.mirror._worker is not None and bench.mirror._worker.pid != os.getpid()
    assert [line["payload"]["payload"]["value"] for line in bench.lines()] == list(range(9000))


def test_few_lines_that_are_large_are_made_there_too_and_stand_once(bench):
    begin(bench.log)
    tags = '{"config":"%s"}' % ("x" * 30_000)
    bench.log.add(1, key_defined(1, "x", tags_json=tags), columns=[columns(np.arange(100.0), series=(2, 1))])
    bench.run()
    assert bench.mirror._worker is None
    bench.log.add(1, columns=[columns(np.arange(100.0, 400.0), series=(2, 1))])
    bench.run()
    assert bench.mirror._worker is not None
    payloads = [line["payload"]["payload"] for line in bench.lines()]
    assert [payload["value"] for payload in payloads] == list(range(400))
    assert {len(payload["tags"]["config"]) for payload in payloads} == {30_000}


def test_lines_are_made_a_few_megabytes_at_a_time_however_large_each_is(bench):
    begin(bench.log)
    large = '{"config":"%s"}' % ("x" * 60_000)
    keys = [key_defined(key_id, f"k{key_id}", tags_json=large) for key_id in range(1, 201)]
    bench.log.add(1, *keys[:100])
    bench.log.add(1, *keys[100:], entry(group_defined=pb.GroupDefined(group_id=1, key_id=[*range(1, 201)] * 3)))
    wide = [entry(wide_metric=pb.WideMetric(scope_id=2, key_id=1, value=f"{1 << 64}{number}")) for number in range(150)]
    series = np.uint64(2 << 32) | np.arange(1, 201, dtype=np.uint64)
    bench.log.add(
        1,
        *wide,
        columns=[columns(np.arange(200.0), series=series), columns(np.arange(300.0), series=(2, 1))],
        rows=[rows(np.arange(1200.0).reshape(2, 600).T, group=1, scope=2)],
    )
    bench.catalog.follow(bench.log.batches, bench.log.committed)
    with closing(bench.catalog.connect()) as connection:
        writer = LineWriter(connection)
        texts = [text for batch in bench.log.batches for _, text in writer.lines(batch)]
        held = sum(template.size_bytes for template in writer._templates.values())
    assert max(map(len, texts)) < CHUNK_BYTES + 100_000
    assert held <= 16 << 20
    lines = [json.loads(line) for line in b"".join(texts).splitlines()]
    values = [line["payload"]["payload"]["value"] for line in lines]
    assert values == [*(int(f"{1 << 64}{n}") for n in range(150)), *range(200), *range(300), *range(1200)]
    first = bench.log.batches[-1].envelope.first_sequence
    assert [int(line["payload_ref"].rpartition("-")[2], 16) for line in lines] == list(range(first, first + 1850))


def test_a_row_of_very_many_keys_is_made_into_lines_piece_by_piece(bench):
    begin(bench.log)
    keys = entry(group_defined=pb.GroupDefined(group_id=1, key_id=[1] * 65_536))
    bench.log.add(1, key_defined(1, "x"), keys, rows=[rows(np.arange(65_536.0)[:, None], group=1, scope=2)])
    bench.catalog.follow(bench.log.batches, bench.log.committed)
    with closing(bench.catalog.connect()) as connection:
        texts = [text for _, text in LineWriter(connection).lines(bench.log.batches[-1])]
    assert max(map(len, texts)) < 1 << 20
    assert b"".join(texts).count(b"\n") == 65_536


def test_a_killed_worker_is_replaced_and_no_line_is_lost_or_doubled(bench):
    begin(bench.log)
    bench.log.add(1, key_defined(1, "x"), columns=[columns(np.arange(9000.0), series=(2, 1))])
    bench.run()
    bench.mirror._worker._process.kill()
    bench.log.add(1, columns=[columns(np.arange(9000.0, 18000.0), series=(2, 1))])
    with pytest.raises(Exception, match="gone"):
        bench.run()
    bench.run()
    assert [line["payload"]["payload"]["value"] for line in bench.lines()] == list(range(18000))


def test_without_files_only_the_position_moves(tmp_path):
    bench = Bench(tmp_path, enabled=False)
    begin(bench.log)
    bench.log.add(1, key_defined(1, "x"), columns=[columns([1.0], series=(2, 1))])
    bench.run()
    assert bench.mirror.position == bench.log.committed
    assert not bench.folder.exists()
    bench.close()
