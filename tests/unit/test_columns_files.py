import json
import os
import struct
import threading
from contextlib import closing

import numpy as np
import pytest
from column_files import Bench
from logged import NS, columns, entry, key_defined, rows, run_opened, scope_opened, session_opened
from waiting import wait_until

from contexta.errors import StorageError
from contexta.v1 import capture_pb2 as pb
from contexta_daemon.columns import Columns, chain_in, read_columns
from contexta_daemon.columns.files import ColumnFile, named
from contexta_daemon.columns.merging import FAN_IN, MAX_ROWS, next_merge
from contexta_daemon.columns.work import Work
from contexta_daemon.log import Position

HEX = "01" * 16


@pytest.fixture
def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def begin(log, session=1, **options):
    log.add(
        session,
        session_opened(**options),
        run_opened(),
        scope_opened(2, 1, "stage", "stage:p.r.train"),
        scope_opened(3, 2, "batch", "batch:p.r.train.b"),
        scope_opened(4, 3, "sample", "sample:p.r.train.b.s"),
        key_defined(1, "loss", unit="nats"),
        key_defined(2, "acc"),
        entry(group_defined=pb.GroupDefined(group_id=1, key_id=[1, 2])),
    )


def stored(ref="record:p.r.m", *, value=0.5, **more):
    envelope = {"run_ref": "run:p.r", "observed_at": "2026-01-01T00:00:00Z", "rank": 3} | more
    payload = {"metric_key": "loss", "value": value, "step": 7, "unit": "nats"}
    text = json.dumps({"envelope": envelope, "payload": payload})
    return entry(record_stored=pb.RecordStored(ref=ref, record_type="metric", json=text))


def of_loss(bench, **more):
    return read_columns(bench.folder, run_id="run:p.r", attempt=1, key="loss", **more)


# --- what stands in the files ---


def test_a_row_says_where_a_metric_belongs(bench):
    begin(bench.log, rank=2, job="j")
    bench.log.add(1, columns=[columns([0.25], series=(4, 1), step=[9], time_ns=[NS])])
    bench.run()
    assert bench.rows() == [
        ("run:p.r", 1, "stage:p.r.train", "batch:p.r.train.b", "sample:p.r.train.b.s", None, None, "loss", "nats", 2,
         8, NS, 0.25, None, None, HEX, 8),
    ]  # fmt: skip


def test_rows_of_groups_have_the_numbers_of_their_items(bench):
    begin(bench.log)
    bench.log.add(1, rows=[rows([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]], group=1, scope=2, step=[1, 2, 3])])
    bench.run()
    assert bench.rows("key, step, value, sequence") == [
        ("acc", 0, 10.0, 9), ("acc", 1, 20.0, 11), ("acc", 2, 30.0, 13),
        ("loss", 0, 1.0, 8), ("loss", 1, 2.0, 10), ("loss", 2, 3.0, 12),
    ]  # fmt: skip


def test_a_file_is_sorted_by_series_step_and_time_and_those_without_a_step_come_first(bench):
    begin(bench.log)
    bench.log.add(1, columns=[columns([1, 2, 3], series=(2, 2), step=[3, 0, 1], time_ns=[NS, NS + 2, NS + 1])])
    bench.log.add(1, columns=[columns([4, 5], series=(2, 1), step=[1, 1], time_ns=[NS + 9, NS])])
    bench.run()
    assert [row[0] for row in bench.rows("value")] == [2.0, 3.0, 1.0, 5.0, 4.0]


def test_integers_that_a_double_cannot_hold_stay_exact(bench):
    begin(bench.log)
    bench.log.add(
        1,
        entry(wide_metric=pb.WideMetric(scope_id=2, key_id=1, value=str(2**64 + 1), step=1)),
        entry(wide_metric=pb.WideMetric(scope_id=2, key_id=1, value="-" + "9" * 400)),
        entry(wide_metric=pb.WideMetric(scope_id=2, key_id=1, value="no number")),
    )
    bench.run()
    assert bench.rows("value, wide, step") == [(float("-inf"), "-" + "9" * 400, None), (2.0**64, str(2**64 + 1), 0)]
    found, _ = of_loss(bench)
    assert found.wide == {0: "-" + "9" * 400, 1: str(2**64 + 1)}


def test_every_bit_of_a_value_that_is_no_number_is_kept(bench):
    begin(bench.log)
    bits = [0x7FF8000000000000, 0xFFF8000000000000, 0x7FF0000000000001, 0x7FF8000000001234, 0x8000000000000000, 1]
    values = [struct.unpack("<d", struct.pack("<Q", each))[0] for each in bits]
    bench.log.add(1, columns=[columns(np.array(bits, "<u8").view("<f8"), series=(2, 1), step=range(1, 7))])
    bench.run()
    found, _ = of_loss(bench)
    assert found.value.view(np.uint64).tolist() == bits
    assert [row[0] for row in bench.rows("isnan(value)")] == [value != value for value in values]


def test_a_stored_metric_is_there_once_and_where_its_envelope_says(bench):
    begin(bench.log)
    bench.log.add(2, session_opened(), stored(), stored(value=0.75), stored("record:p.r.n", value=2**60 + 1))
    bench.log.add(2, stored(value=0.9), stored("record:p.r.o", observed_at="never"))
    bench.run()
    assert bench.rows("run_id, attempt, key, unit, rank, step, value, wide, session, sequence") == [
        ("run:p.r", 1, "loss", "nats", 3, 7, 0.5, None, "02" * 16, 1),
        ("run:p.r", 1, "loss", "nats", 3, 7, float(2**60 + 1), str(2**60 + 1), "02" * 16, 3),
    ]


def test_a_rank_that_no_process_has_is_none(bench):
    begin(bench.log, rank=2**31)
    bench.log.add(1, columns=[columns([1.0], series=(2, 1))])
    bench.run()
    assert bench.rows("rank, value") == [(None, 1.0)]
    with closing(bench.catalog.connect()) as connection:
        assert connection.execute("SELECT rank FROM summaries").fetchall() == [(-1,)]


def test_what_refers_to_ids_that_were_never_defined_is_left_out(bench):
    begin(bench.log)
    bench.log.add(1, columns=[columns([1.0, 2.0], series=np.array([2 << 32 | 1, 77 << 32 | 1]))])
    bench.log.add(1, rows=[rows([[1.0]], group=9, scope=2)])
    bench.log.add_body(1, b"\xff\xff no batch", 3)
    bench.log.add(9, columns=[columns([3.0], series=(1, 1))])
    bench.run()
    assert bench.values() == [1.0]


# --- reading ---


def test_a_series_is_read_by_stage_and_rank_with_the_position_it_holds_up_to(bench):
    for rank in (0, 1):
        begin(bench.log, session=rank, job="j", rank=rank)
        bench.log.add(rank, columns=[columns([rank + 0.5], series=(2, 1)), columns([rank + 0.25], series=(1, 1))])
    bench.run()
    found, position = of_loss(bench)
    assert position == bench.log.committed
    assert sorted(zip(found.rank.tolist(), found.value.tolist(), strict=True)) == [
        (0, 0.25), (0, 0.5), (1, 1.25), (1, 1.5),
    ]  # fmt: skip
    assert of_loss(bench, rank=1, stage_id="stage:p.r.train")[0].value.tolist() == [1.5]
    assert of_loss(bench, rank=7)[0].count == 0
    assert not found.has_step.any() and found.step.tolist() == [0] * 4


def test_where_there_are_no_files_or_none_can_be_read_nothing_is_held(bench, caplog):
    assert of_loss(bench)[1] == Position(0, 0)
    begin(bench.log)
    bench.log.add(1, columns=[columns([1.0], series=(2, 1))])
    bench.run()
    (file,) = chain_in(bench.folder)
    (bench.folder / file.name).write_bytes(b"no Parquet")
    found, position = of_loss(bench)
    assert (found.count, position) == (0, Position(0, 0))
    assert "cannot be read" in caplog.text


# --- names and merging ---


def test_a_name_tells_its_range_and_nothing_else_is_taken_for_one():
    file = ColumnFile(Position(1, 64), Position(12, 5_000_000_000), "0123456789abcdef")
    assert file.name == "0000000001-000000000064_0000000012-005000000000.0123456789abcdef.parquet"
    assert named(file.name) == file
    reversed_range = ColumnFile(file.end, file.start, file.digest)
    unfinished = ColumnFile(file.start, file.end)
    for other in (file.name + ".new", "x" + file.name, "data.parquet", reversed_range.name, unfinished.name):
        assert named(other) is None


def test_neighbours_of_one_size_are_merged_and_full_files_are_left():
    assert next_merge([]) is None
    assert next_merge([10] * (FAN_IN - 1)) is None
    assert next_merge([10] * FAN_IN) == (0, FAN_IN)
    assert next_merge([MAX_ROWS, *[10] * FAN_IN]) == (1, 1 + FAN_IN)
    assert next_merge([1 << 20] * 16) == (0, 16)
    assert next_merge([MAX_ROWS // 2 + 1] * 4) is None
    assert next_merge([MAX_ROWS // 2 - 1] * 2) == (0, 2)


def test_merging_settles_and_keeps_files_few():
    counts = []
    for number in range(2000):
        counts.append(1000 + number % 7)
        while (found := next_merge(counts)) is not None:
            counts[slice(*found)] = [sum(counts[slice(*found)])]
    assert len(counts) < 40 and sum(counts) == sum(1000 + number % 7 for number in range(2000))


def test_merged_files_hold_the_same_rows_sorted_over_all(bench):
    begin(bench.log)
    for number in range(FAN_IN):
        bench.log.add(1, columns=[columns([float(number)], series=(2, 1 + number % 2), step=[100 - number])])
    bench.run(flush_each=True)
    assert len(chain_in(bench.folder)) == FAN_IN
    before = bench.rows()
    assert bench.columns.merge()
    assert len(chain_in(bench.folder)) == 1
    assert sorted(bench.rows(), key=repr) == sorted(before, key=repr)
    assert [row[0] for row in bench.rows("key")] == ["acc"] * 4 + ["loss"] * 4
    assert bench.rows("step") == sorted(bench.rows("step")[:4]) + sorted(bench.rows("step")[4:])
    assert not bench.columns.merge()


def test_what_processes_recorded_at_one_moment_is_sorted_by_process_before_and_after_merging(bench):
    for session in (1, 2):
        begin(bench.log, session=session, job="j")
    for number in range(FAN_IN):
        for session in (2, 1):
            bench.log.add(session, columns=[columns([float(number)], series=(2, 1), step=[5], time_ns=[NS])])
    bench.catch_up()
    for first in (0, *range(4, len(bench.log.batches), 2)):
        part = bench.log.batches[first : first + 2 if first else 4]
        bench.columns.follow(part, part[-1].end)
        bench.columns.flush()
    for found in (bench.rows("session, sequence", [file]) for file in chain_in(bench.folder)):
        assert len(found) == 2 and found == sorted(found)
    before = sorted(bench.rows("session, sequence"))
    assert bench.columns.merge() and len(chain_in(bench.folder)) == 1
    assert bench.rows("session, sequence") == before


# --- the follower ---


def test_the_position_is_what_files_hold_and_not_what_was_followed(bench):
    begin(bench.log)
    bench.log.add(1, columns=[columns([1.0], series=(2, 1))])
    bench.catch_up()
    bench.columns.follow(bench.log.batches, bench.log.committed)
    assert bench.columns.position == Position(0, 0) and not chain_in(bench.folder)
    assert bench.columns.flush() == bench.log.committed == bench.columns.position


def test_many_metrics_are_written_without_being_asked(bench, monkeypatch):
    monkeypatch.setattr("contexta_daemon.columns.columns.FILE_ROWS", 100)
    begin(bench.log)
    bench.log.add(1, columns=[columns(np.arange(100.0), series=(2, 1))])
    bench.catch_up()
    bench.columns.follow(bench.log.batches, bench.log.committed)
    assert bench.columns.position == bench.log.committed


def test_a_long_stretch_of_the_log_without_metrics_is_not_read_again(bench, monkeypatch):
    monkeypatch.setattr("contexta_daemon.columns.columns.FILE_LOG_BYTES", 50)
    begin(bench.log)
    bench.catch_up()
    bench.columns.follow(bench.log.batches, bench.log.committed)
    assert bench.columns.position == bench.log.committed
    assert bench.rows() == []


def test_columns_of_another_log_are_put_away_and_begun_again(bench):
    assert not bench.columns.attach(b"one", Position(0, 0))
    begin(bench.log)
    bench.log.add(1, columns=[columns([1.0], series=(2, 1))])
    bench.run()
    assert not bench.columns.attach(b"one", bench.log.committed)
    assert bench.columns.attach(b"two", bench.log.committed)
    assert bench.columns.position == Position(0, 0) and not chain_in(bench.folder)
    assert len(list((bench.folder / "old-1").glob("*.parquet"))) == 1
    bench.run()
    assert bench.values() == [1.0]
    assert bench.columns.attach(b"two", Position(0, 0)), "the log is shorter than what was made of it"
    assert not chain_in(bench.folder)


def test_two_processes_never_have_the_folder_at_once(bench, monkeypatch):
    monkeypatch.setattr("contexta_daemon.columns.files._LOCK_TIMEOUT_S", 0.05)
    with pytest.raises(StorageError, match="another process"):
        bench.opened()


def test_files_of_others_in_the_folder_are_left_alone(bench):
    others = ["mine.parquet", "notes.txt", "x.parquet.new", "0000000001-000000000064.parquet"]
    for name in others:
        (bench.folder / name).write_text("mine")
    begin(bench.log)
    bench.log.add(1, columns=[columns([1.0], series=(2, 1))])
    bench.run()
    bench.columns.attach(b"another", bench.log.committed)
    bench.columns.close()
    bench.columns = bench.opened()
    assert [(bench.folder / name).read_text() for name in others] == ["mine"] * 4


def test_what_waits_is_written_between_merges_that_go_on_and_on(bench, monkeypatch):
    monkeypatch.setattr("contexta_daemon.columns.columns.QUIET_S", 0.0)
    monkeypatch.setattr("contexta_daemon.columns.columns.FAN_IN", 1)
    merging, more = threading.Event(), True

    class Merging(Work):
        def merge(self):
            merging.set()
            return more

    bench.columns.close()
    bench.columns = Columns(bench.folder, bench.catalog, start_worker=Merging)
    begin(bench.log)
    for number in range(3):
        bench.log.add(1, columns=[columns([float(number)], series=(2, 1))])
        bench.catch_up()
        batches = list(bench.log.read(bench.columns.position))
        bench.columns.follow(batches, batches[-1].end)
        wait_until(lambda: bench.columns.position == bench.log.committed)
        assert merging.wait(30)
    more = False
    assert bench.values() == [0.0, 1.0, 2.0]


# --- in processes of their own ---


def test_what_waited_is_written_and_merged_by_itself_in_other_processes(tmp_path, monkeypatch):
    monkeypatch.setattr("contexta_daemon.columns.columns.QUIET_S", 0.0)
    bench = Bench(tmp_path, own_process=True)
    begin(bench.log)
    bench.catch_up()
    for number in range(FAN_IN):
        bench.log.add(1, columns=[columns([float(number)], series=(2, 1))])
        bench.catch_up()
        batch = bench.log.batches[-1]
        bench.columns.follow(bench.log.batches[:2] if number == 0 else [batch], batch.end)
        wait_until(lambda: bench.columns.position == bench.log.committed)
    wait_until(lambda: len(chain_in(bench.folder)) == 1)
    assert bench.columns._collector.pid != os.getpid()
    assert bench.values() == [float(number) for number in range(FAN_IN)]
    bench.close()


def test_after_the_collecting_process_was_killed_the_log_is_read_again(tmp_path):
    bench = Bench(tmp_path, own_process=True)
    begin(bench.log)
    bench.log.add(1, columns=[columns([1.0], series=(2, 1))])
    bench.run()
    for value in (2.0, 3.0):
        bench.log.add(1, columns=[columns([value], series=(2, 1))])
    bench.catch_up()
    before, last = bench.log.batches[-2:]
    bench.columns.follow([before], before.end)
    bench.columns._collector._process.kill()
    with pytest.raises(StorageError, match="gone"):
        bench.columns.follow([last], last.end)
    assert bench.columns.position == before.position
    bench.run()
    assert bench.values() == [1.0, 2.0, 3.0]
    bench.close()


def test_closing_writes_what_was_collected(tmp_path):
    bench = Bench(tmp_path, own_process=True)
    begin(bench.log)
    bench.log.add(1, columns=[columns([1.0], series=(2, 1))])
    bench.catch_up()
    bench.columns.follow(bench.log.batches, bench.log.committed)
    bench.close()
    assert bench.values() == [1.0]
    bench.columns.close()
