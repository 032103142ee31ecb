import sqlite3
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
    scope_closed,
    scope_opened,
    session_id_of,
    session_opened,
)

from contexta.contract.keys import MAX_TEXT_BYTES
from contexta.v1 import capture_pb2 as pb
from contexta_daemon.catalog import BEGINNING, Catalog, names
from contexta_daemon.catalog.ranges import holds_any, pack_ids
from contexta_daemon.log import Position


@pytest.fixture
def catalog(tmp_path):
    catalog = Catalog(tmp_path / "metadata" / "catalog.sqlite3")
    yield catalog
    catalog.close()


def select(catalog, sql):
    with closing(catalog.connect()) as connection:
        return connection.execute(sql).fetchall()


def followed(catalog, log):
    catalog.follow(list(log.read(catalog.position)), log.committed)


def small_log():
    log = FakeLog()
    log.add(1, session_opened(), run_opened(), scope_opened(2, 1, "stage", "stage:p.r.train"))
    group = entry(group_defined=pb.GroupDefined(group_id=1, key_id=[1, 2]))
    log.add(
        1,
        key_defined(1, "loss"),
        key_defined(2, "acc"),
        group,
        columns=[columns([1.0, float("nan"), 3.0], series=(2, 1), step=[1, 2, 3])],
        rows=[rows([[4.0, 5.0], [0.5, float("inf")]], group=1, scope=2, step=[4, 5])],
    )
    return log


def test_series_are_kept_in_numbers_and_their_newest_value_with_them(catalog):
    followed(catalog, small_log())
    found = select(catalog, "SELECT key, points, finite, last_value, last_step, odd_step, least, greatest "
                   "FROM summaries ORDER BY key")
    assert found == [("acc", 2, 1, float("inf"), 5, 5, 0.5, 0.5), ("loss", 5, 4, 3.0, 3, 2, 1.0, 5.0)]
    assert select(catalog, "SELECT metric_count FROM runs") == [(7,)]


def test_an_integer_beyond_every_double_is_a_point_and_no_finite_number(catalog):
    log = small_log()
    wide = entry(NS + 10**9, wide_metric=pb.WideMetric(scope_id=2, key_id=1, step=7, value="1" + "0" * 400))
    log.add(1, wide)
    followed(catalog, log)
    found = select(catalog, "SELECT points, finite, last_value, greatest, mean FROM summaries WHERE key = 'loss'")
    assert found == [(6, 4, float("inf"), 5.0, 3.25)]


def test_each_rank_has_its_own_numbers(catalog):
    log = FakeLog()
    for rank, value in ((0, 1.0), (1, 2.0), (None, 3.0)):
        session = 1 if rank is None else rank + 2
        log.add(session, session_opened(rank=rank), run_opened(), key_defined(1, "loss"))
        log.add(session, columns=[columns([value, value], series=(1, 1))])
    followed(catalog, log)
    found = select(catalog, "SELECT rank, points, mean FROM summaries ORDER BY rank")
    assert found == [(-1, 2, 3.0), (0, 2, 1.0), (1, 2, 2.0)]


def test_of_two_points_of_one_time_the_later_one_in_the_log_is_the_newest(catalog):
    log = FakeLog()
    log.add(1, session_opened(), run_opened(), key_defined(1, "loss"))
    for number, value in enumerate([1.0, 2.0, 3.0]):
        log.add(1, columns=[columns([value], series=(1, 1), step=[number + 1], time_ns=[NS])])
        if number:
            followed(catalog, log)
    assert select(catalog, "SELECT first_value, last_value, last_step FROM summaries") == [(1.0, 3.0, 3)]


def test_drops_are_told_as_totals_of_which_the_newest_counts(catalog):
    log = FakeLog()
    log.add(1, session_opened(), run_opened())
    for metrics, entries in ((3, 0), (5, 1), (5, 1)):
        log.add(1, entry(dropped=pb.Dropped(reason="spool_full", metrics_total=metrics, entries_total=entries)))
    followed(catalog, log)
    assert select(catalog, "SELECT reason, metrics, entries FROM dropped") == [("spool_full", 5, 1)]


def test_position_and_effects_survive_together(catalog):
    log = small_log()
    followed(catalog, log)
    again = Catalog(catalog.path)
    assert again.position == log.committed
    again.close()


def test_a_follow_that_fails_leaves_nothing_behind(catalog):
    log = small_log()

    def broken():
        yield from log.batches
        raise OSError("no more")

    with pytest.raises(OSError):
        catalog.follow(broken(), log.committed)
    assert catalog.position == BEGINNING
    assert select(catalog, "SELECT count(*) FROM runs") == [(0,)]
    followed(catalog, log)
    assert select(catalog, "SELECT metric_count FROM runs") == [(7,)]


def test_a_key_that_is_too_large_is_set_aside_and_one_with_too_large_tags_goes_without_them(catalog):
    log = FakeLog()
    log.add(1, session_opened(), run_opened())
    text = "x" * MAX_TEXT_BYTES
    log.add(
        1,
        key_defined(1, "fits", tags_json=text),
        key_defined(2, "tags", tags_json=text + "x"),
        key_defined(3, text + "x"),
        key_defined(4, "unit", unit="\u00e9" * (MAX_TEXT_BYTES // 2 + 1)),
        columns=[columns([1.0, 2.0, 3.0, 4.0], series=np.uint64(1 << 32) | np.arange(1, 5, dtype=np.uint64))],
    )
    followed(catalog, log)
    assert select(catalog, "SELECT key, length(tags_json) FROM session_keys") == [("fits", 65_536), ("tags", 0)]
    assert select(catalog, "SELECT key, last_value FROM summaries ORDER BY key") == [("fits", 1.0), ("tags", 2.0)]
    assert select(catalog, "SELECT item, reason FROM set_aside") == [
        (1, "key 2 goes without its tags: 65537 bytes, over 65536"),
        (2, "key 3 is defined by a text of more than 65536 bytes"),
        (3, "key 4 is defined by a text of more than 65536 bytes"),
    ]


def test_a_group_of_too_many_keys_is_set_aside_with_its_rows(catalog):
    log = small_log()
    for group_id, width in ((2, 65_536), (3, 65_537)):
        log.add(
            1,
            entry(group_defined=pb.GroupDefined(group_id=group_id, key_id=[1] * width)),
            rows=[rows(np.ones((width, 1)), group=group_id, scope=2)],
        )
    followed(catalog, log)
    assert select(catalog, "SELECT points FROM summaries WHERE key = 'loss'") == [(5 + 65_536,)]
    assert select(catalog, "SELECT item, reason FROM set_aside") == [
        (0, "group 3 has 65537 keys, more than 65536"), (1, "group 3 is not defined like this"),
    ]  # fmt: skip


def test_a_bad_batch_is_set_aside_and_the_rest_goes_on(catalog):
    log = FakeLog()
    log.add_body(1, b"\xff\xff", 3)
    log.add(1, session_opened(), scope_closed(9), run_opened())
    log.add(1, rows=[rows([[1.0]], group=4, scope=1)])
    followed(catalog, log)
    assert select(catalog, "SELECT run_ref FROM runs") == [("run:p.r",)]
    assert [row[0] for row in select(catalog, "SELECT item FROM set_aside")] == [0, 1, 0]


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 500])
def test_a_damaged_file_is_made_again(catalog, damage):
    followed(catalog, small_log())
    catalog.close()
    for suffix in ("-wal", "-shm"):
        catalog.path.with_name(catalog.path.name + suffix).unlink(missing_ok=True)
    catalog.path.write_bytes(damage)
    again = Catalog(catalog.path)
    assert again.position == BEGINNING
    again.close()


def test_another_schema_version_is_made_again(catalog):
    followed(catalog, small_log())
    catalog.close()
    with closing(sqlite3.connect(catalog.path)) as connection:
        connection.execute("PRAGMA user_version = 999")
    again = Catalog(catalog.path)
    assert again.position == BEGINNING
    again.close()


def test_what_was_made_of_another_log_is_made_again(catalog):
    log = small_log()
    assert not catalog.attach(b"one", Position(0, 0))
    followed(catalog, log)
    assert not catalog.attach(b"one", log.committed)
    assert catalog.attach(b"two", log.committed)
    assert catalog.position == BEGINNING
    followed(catalog, log)
    assert catalog.attach(b"two", Position(1, 70))


def test_the_file_is_only_for_its_owner(catalog):
    assert catalog.path.stat().st_mode & 0o777 == 0o600


def test_artifacts_wait_until_they_are_hashed(catalog):
    log = FakeLog()
    made = pb.ArtifactRegistered(
        scope_id=1, ref="artifact:p.r.m", artifact_kind="model", path="/x", exists=True, size_bytes=5,
        modified_ns=1, inode=(1 << 64) - 1, compute_hash=True,
    )
    log.add(1, session_opened(), run_opened(), entry(artifact_registered=made), entry(artifact_registered=made))
    followed(catalog, log)
    (pending,) = catalog.pending_artifacts()
    assert (pending.ref, pending.path, pending.session_id) == ("artifact:p.r.m", "/x", bytes([1]) * 16)
    hashed = pb.ArtifactHashed(ref=made.ref, hash_value="sha256:00", size_bytes=5, session_id=bytes([1]) * 16)
    log.add(9, entry(artifact_hashed=hashed))
    followed(catalog, log)
    assert len(catalog.pending_artifacts()) == 1
    log.add(9, entry(artifact_hashed=hashed))
    followed(catalog, log)
    assert catalog.pending_artifacts() == []
    assert select(catalog, "SELECT hash_value FROM artifacts") == [("sha256:00",)]


@pytest.mark.parametrize("told", [True, False])
def test_the_same_artifact_of_two_attempts_in_one_process_is_one_of_each(catalog, told):
    """A notebook runs its cell again. An older daemon did not say where what it hashed was registered."""
    log = FakeLog()

    def made(scope_id, path):
        return entry(
            artifact_registered=pb.ArtifactRegistered(
                scope_id=scope_id, ref="artifact:p.r.m", artifact_kind="m", path=path, exists=True, compute_hash=True
            )
        )

    log.add(1, session_opened(), run_opened(1), made(1, "/first"), scope_closed(1))
    log.add(1, run_opened(2), made(2, "/second"), scope_opened(3, 2, "stage", "stage:p.r.s"), made(3, "/third"))
    followed(catalog, log)
    assert [(each.path, each.scope_id) for each in catalog.pending_artifacts()] == [("/first", 1), ("/third", 3)]
    for scope_id, value in ((3, "sha256:33"), (3, "sha256:33"), (1, "sha256:11")):
        hashed = pb.ArtifactHashed(
            ref="artifact:p.r.m", hash_value=value, session_id=session_id_of(1), scope_id=scope_id if told else 0
        )
        log.add(9, entry(artifact_hashed=hashed))
    followed(catalog, log)
    rows = select(
        catalog, "SELECT r.attempt, location, hash_value FROM artifacts a JOIN runs r ON r.id = a.run ORDER BY 1"
    )
    first, second = ("sha256:11", "sha256:33") if told else ("", "sha256:11")
    assert rows == [(1, "path:/first", first), (2, "path:/third", second)]
    assert [each.path for each in catalog.pending_artifacts()] == ([] if told else ["/first"])


def test_models_put_through_the_stores_stand_beside_captured_ones(catalog):
    log = FakeLog()

    def model(name, ref, text):
        return entry(model_stored=pb.ModelStored(model=name, ref=ref, json=text))

    log.add(
        1,
        session_opened(),
        model("Run", "run:p.r", '{"run_ref": "run:p.r", "project_ref": "project:p", "name": "r", "status": '
              '"completed", "started_at": "2025-01-01T00:00:00Z", "ended_at": "2025-01-01T00:08:00Z"}'),
        model("BatchExecution", "batch:p.r.s.b", '{"batch_execution_ref": "batch:p.r.s.b", "run_ref": "run:p.r", '
              '"stage_execution_ref": "stage:p.r.s", "batch_name": "b", "status": "failed", "started_at": '
              '"2025-01-01T00:01:00Z", "ended_at": "2025-01-01T00:02:00Z", "order_index": 3}'),
        model("SampleObservation", "sample:q.r.s.x", '{"sample_observation_ref": "sample:q.r.s.x", "run_ref": '
              '"run:q.r", "stage_execution_ref": "stage:q.r.s", "sample_name": "x", "observed_at": '
              '"2025-01-01T00:03:30Z"}'),
        model("Run", "run:p.bad", "{"),
    )
    followed(catalog, log)
    assert select(catalog, "SELECT run_ref, state, started_at FROM runs ORDER BY run_ref") == [
        ("run:p.r", 1, "2025-01-01T00:00:00Z"),
        ("run:q.r", 0, "2025-01-01T00:03:30.000000Z"),
    ]
    assert select(catalog, "SELECT ref, state, ord FROM scopes ORDER BY ref") == [
        ("batch:p.r.s.b", 3, 3), ("sample:q.r.s.x", 1, None)]
    assert len(select(catalog, "SELECT * FROM set_aside")) == 1


def test_ten_thousand_samples_are_all_there_and_closed(catalog):
    log = FakeLog()
    log.add(1, session_opened(), run_opened(), scope_opened(2, 1, "stage", "stage:p.r.train"))
    for start in range(0, 10_000, 2_000):
        entries = []
        for number in range(start, start + 2_000):
            entries.append(scope_opened(3 + number, 2, "sample", f"sample:p.r.train.s-{number}", time_ns=NS + number))
            entries.append(scope_closed(3 + number))
        log.add(1, *entries)
    followed(catalog, log)
    assert select(catalog, "SELECT count(*), min(state) FROM scopes WHERE kind = 4") == [(10_000, 1)]


def test_id_ranges_hold_what_was_packed():
    packed = pack_ids(np.array([1, 2, 3, 7, 9, 10, 4294967295], dtype=np.uint32))
    assert len(packed) == 4 * 8
    for known in (1, 3, 7, 10, 4294967295):
        assert holds_any(packed, [known])
    assert not holds_any(packed, [4, 5, 8, 11])
    assert holds_any(packed, range(100, 200)) is False
    assert holds_any(packed, [*range(100, 200), 9])
    assert not holds_any(b"", [1])
    assert pack_ids(np.empty(0, dtype=np.uint32)) == b""


def test_what_is_remembered_of_sessions_keys_and_groups_has_a_bound(catalog, monkeypatch):
    monkeypatch.setattr(names, "REMEMBERED", 3)
    monkeypatch.setattr(names, "REMEMBERED_BYTES", 1000)
    log = FakeLog()
    defined = [key_defined(key_id, f"k{key_id}", tags_json="x" * 400) for key_id in range(1, 6)]
    groups = [entry(group_defined=pb.GroupDefined(group_id=each, key_id=[1, 2] * 60)) for each in range(1, 6)]
    for session in range(1, 9):
        log.add(session, session_opened(), run_opened(), *defined, *groups)
    followed(catalog, log)
    assert 1 <= len(catalog._names._sessions) <= 3
    for each in range(1, 6):
        assert catalog._names.key(1, each).key == f"k{each}"
        assert len(catalog._names.group(1, each)) == 120
    assert 1 <= len(catalog._names._keys) <= 2 and 1 <= len(catalog._names._groups) <= 2
    catalog._names.forget()
    assert catalog._names.key(1, 1) is catalog._names.key(1, 1)
