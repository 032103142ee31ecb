import json
import pickle
from contextlib import closing
from types import SimpleNamespace

import anyio
import numpy as np
import pytest
from column_files import Bench
from logged import NS, columns, entry, key_defined, run_opened, scope_closed, scope_opened, session_opened

from contexta.errors import DeadlineError, ValidationError
from contexta.v1 import capture_pb2 as pb
from contexta.v1 import query_pb2 as q
from contexta_client.query.sql import SqlResult
from contexta_daemon.query.series import read_series
from contexta_daemon.query.sql import run_sql
from contexta_daemon.query.sql_tables import TABLES


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A run with a stage, a batch and a sample, of two ranks; everything is settled."""
    bench = Bench(tmp_path_factory.mktemp("sql o'clock"))
    for rank in (0, 1):
        bench.log.add(
            rank,
            session_opened(job="j", rank=rank),
            run_opened(1, tags_json='{"team": "a"}'),
            scope_opened(2, 1, "stage", "stage:p.r.train"),
            scope_opened(3, 2, "batch", "batch:p.r.train.b"),
            scope_opened(4, 3, "sample", "sample:p.r.train.b.s"),
            key_defined(1, "loss", unit="nats"),
            columns=[columns([4.0, float("nan"), 1.0], series=(2, 1), step=[1, 2, 3])],
        )
    made = pb.ArtifactRegistered(scope_id=1, ref="artifact:p.r.m", artifact_kind="model", path="/x", exists=True)
    bench.log.add(0, entry(artifact_registered=made), scope_closed(1))
    bench.log.add(1, scope_closed(1))
    bench.run()
    yield bench
    bench.close()


def asked(store, text, **options):
    return run_sql(text, catalog_path=store.catalog.path, columns_folder=store.folder, **options)


def rows(store, text, **options):
    return list(asked(store, text, **options).rows)


def test_points_and_tables_are_asked_together(store):
    answer = asked(
        store,
        "SELECT r.name, m.rank, count(*) AS points, min(m.value) AS least FROM metrics m JOIN runs r USING (run_id) "
        "JOIN stages s USING (stage_id) WHERE s.name = 'train' AND m.metric_key = 'loss' GROUP BY ALL ORDER BY m.rank",
    )
    assert answer.columns == ("name", "rank", "points", "least")
    assert answer.types == ("VARCHAR", "INTEGER", "BIGINT", "DOUBLE")
    assert answer.rows == (("r", 0, 3, 1.0), ("r", 1, 3, 1.0))


def test_runs_have_the_names_of_their_shape(store):
    assert rows(store, "SELECT run_id, attempt, newest, status, duration_s, tags->>'team', worker_count FROM runs") == [
        ("run:p.r", 1, True, "completed", 1.0, "a", 2)
    ]
    assert rows(store, 'SELECT name, status, "order" FROM stages') == [("train", "open", 0)]
    assert rows(store, "SELECT batch_id, sample_id FROM samples") == [("batch:p.r.train.b", "sample:p.r.train.b.s")]
    assert rows(store, "SELECT kind, location, binding_status FROM artifacts") == [("model", "path:/x", "BOUND")]


def test_series_are_the_summaries(store):
    what = "metric_key, stage_name, rank, unit, count, non_finite, first, last, min, max, mean, last_step"
    assert rows(store, f"SELECT {what}, first_non_finite_step FROM series ORDER BY rank") == [
        ("loss", "train", rank, "nats", 3, 1, 4.0, 1.0, 1.0, 4.0, 2.5, 2, 1) for rank in (0, 1)
    ]


@pytest.mark.parametrize("name", [*TABLES, "metrics"])
def test_every_table_can_be_read_whole(store, name):
    answer = asked(store, f"FROM {name}")
    described = rows(store, f"DESCRIBE {name}")
    assert [row[0] for row in described] == list(answer.columns)
    assert name in [row[0] for row in rows(store, "SHOW TABLES")]


def test_what_json_does_not_know_comes_as_what_it_knows(store):
    ((row,),) = [rows(store, "SELECT 1.5::DECIMAL(4, 1), DATE '2026-01-01', [1, 2], {'a': TIME '01:02:03'}, "
                             "INTERVAL 90 SECOND, '\\xAAb'::BLOB, 2::HUGEINT ** 70, observed_at FROM metrics LIMIT 1")]
    assert row[:6] == (1.5, "2026-01-01", [1, 2], {"a": "01:02:03"}, 90.0, "aa62")
    assert row[6] == 2.0**70 and row[7].startswith("2026-01-01T00:00:00")
    ((odd,),) = rows(store, "SELECT value FROM metrics WHERE isnan(value) LIMIT 1")
    assert np.isnan(odd) and json.loads(json.dumps(row[:6]))


def test_a_decimal_keeps_its_digits_as_a_number_where_one_holds_them(store):
    (row,) = rows(store, "SELECT 12345678901234567890123::DECIMAL(38,0), -7::DECIMAL(3,0), 0.1::DECIMAL(38,20), "
                         "1234567890123456789.25::DECIMAL(38,2), 100::DECIMAL(5,2)")  # fmt: skip
    assert row == (12345678901234567890123, -7, 0.1, "1234567890123456789.25", 100.0)
    assert [type(value) for value in row] == [int, int, float, str, float]


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO runs SELECT * FROM runs",
        "CREATE TABLE mine (a INT)",
        "DROP TABLE runs",
        "COPY runs TO 'out.csv'",
        "ATTACH 'other.db'",
        "SET threads = 8",
        "INSTALL httpfs",
        "PRAGMA version",
        "BEGIN",
        "EXPLAIN ANALYZE SELECT 1",
        "SELECT 1; SELECT 2",
        "WITH a AS (COPY (SELECT 1) TO 'out.csv') SELECT 1",
        "SELECT * FROM (WITH a AS (INSERT INTO runs SELECT * FROM runs RETURNING *) SELECT * FROM a)",
        "SELECT * FROM query('DROP TABLE runs')",
        "SELECT * FROM json_execute_serialized_sql('{}')",
        "SELECT * FROM enable_logging('QueryLog')",
    ],
)
def test_what_is_no_plain_question_is_refused(store, text):
    with pytest.raises(ValidationError) as caught:
        asked(store, text)
    assert caught.value.code in ("sql_not_read_only", "sql_invalid")
    assert caught.value.code == "sql_not_read_only" or not text.startswith("COPY")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM read_text('{file}')",
        "SELECT * FROM read_csv('{file}')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM '{file}'",
        "FROM read_parquet('{file}')",
        "SELECT * FROM 'http://127.0.0.1:1/x.parquet'",
        "SELECT * FROM sqlite_scan('{file}', 'runs')",
    ],
)
def test_no_file_can_be_read(store, tmp_path, text):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\nsecret\n")
    with pytest.raises(ValidationError) as caught:
        asked(store, text.format(file=secret))
    assert caught.value.code in ("sql_not_read_only", "sql_invalid")


@pytest.mark.parametrize("text", ["", "SELEC 1", "SELECT nothing FROM runs", "SELECT now()", "SELECT * FROM text"])
def test_a_wrong_statement_is_said_to_be_wrong(store, text):
    with pytest.raises(ValidationError) as caught:
        asked(store, text)
    assert caught.value.code == "sql_invalid"
    again = pickle.loads(pickle.dumps(caught.value))  # it travels between processes
    assert (again.code, again.message) == (caught.value.code, caught.value.message)


def test_an_answer_that_is_too_long_is_refused_and_not_cut(store):
    assert len(rows(store, "FROM range(10)", max_rows=10)) == 10
    for options in ({"max_rows": 9}, {"max_bytes": 20}):
        with pytest.raises(ValidationError) as caught:
            asked(store, "FROM range(10)", **options)
        assert caught.value.code == "answer_too_long"


@pytest.mark.parametrize("deadline_s", [0.05, 0.0, -1.0])  # the time may be over before the statement begins
@pytest.mark.parametrize("read", ["", ", runs"])
def test_a_statement_that_takes_too_long_is_interrupted(store, deadline_s, read):
    with pytest.raises(DeadlineError):
        asked(
            store, f"SELECT sum(a.range * b.range) FROM range(1000000) a, range(1000000) b{read}", deadline_s=deadline_s
        )


def test_without_columns_there_are_no_points_and_all_else_is_there(store, tmp_path):
    answer = run_sql(
        "SELECT (SELECT count(*) FROM metrics), (SELECT count(*) FROM runs)",
        catalog_path=store.catalog.path, columns_folder=tmp_path / "none",
    )  # fmt: skip
    assert answer.rows == ((0, 1),)


def test_it_runs_in_a_process_of_its_own_as_the_daemon_does_it(store):
    async def ask(text):
        from functools import partial

        import anyio.to_process

        work = partial(run_sql, text, catalog_path=store.catalog.path, columns_folder=store.folder)
        return await anyio.to_process.run_sync(work, cancellable=True)

    assert anyio.run(ask, "SELECT count(*) FROM metrics").rows == ((6,),)
    with pytest.raises(ValidationError, match="nowhere does not exist"):
        anyio.run(ask, "SELECT * FROM nowhere")


# --- a series is one, whether out of columns or out of the log ---


def test_a_series_is_the_same_out_of_columns_and_log_in_any_mixture(tmp_path):
    bench = Bench(tmp_path)
    envelope = {"run_ref": "run:p.r", "observed_at": "2026-01-01T00:00:00Z"}
    payload = {"metric_key": "loss", "value": 2**60 + 1, "step": 50}
    text = json.dumps({"envelope": envelope, "payload": payload})
    batches = SimpleNamespace(count=0)

    def add(*more, **parts):
        bench.log.add(1, *more, **parts)
        batches.count += 1

    add(session_opened(), run_opened(), scope_opened(2, 1, "stage", "stage:p.r.t"), key_defined(1, "loss", unit="u"))
    for start in (20, 0, 40):
        at = np.arange(start, start + 10)
        add(columns=[columns(at / 3, series=(1 + start // 40, 1), step=at + 1, time_ns=NS + at)])
        add(entry(wide_metric=pb.WideMetric(scope_id=1, key_id=1, value=str(2**70 + start), step=start)))
    add(entry(record_stored=pb.RecordStored(ref="record:p.r.m", record_type="metric", json=text)))
    bench.catch_up()
    for request in ({}, {"stage_name": "t"}, {"max_points": 7}):
        replies = set()
        with closing(bench.catalog.connect()) as connection:
            for settled in range(batches.count + 1):
                for batch in bench.log.batches[:settled]:
                    if batch.position >= bench.columns.position:
                        bench.columns.follow([batch], batch.end)
                bench.columns.flush()
                wanted = q.GetStepSeriesRequest(run_id="r", metric_key="loss", **request)
                reply = read_series(connection, bench.log, wanted, columns=bench.folder)
                replies.add(reply.SerializeToString(deterministic=True))
        assert len(replies) == 1 and reply.total_points == (10 if "stage_name" in request else 34)
        assert "stage_name" in request or str(2**60 + 1) in reply.wide.values() or "max_points" in request
        bench.columns.attach(str(request).encode(), bench.log.committed)
    bench.close()


def test_a_metric_that_only_a_store_has_put_is_a_series_too(tmp_path):
    bench = Bench(tmp_path)
    text = json.dumps({
        "envelope": {"run_ref": "run:p.r", "observed_at": "2026-01-01T00:00:00Z"},
        "payload": {"metric_key": "score", "value": 0.5, "unit": "ratio"},
    })  # fmt: skip
    bench.log.add(1, session_opened(), entry(
        record_stored=pb.RecordStored(ref="record:p.r.m", record_type="metric", json=text)))  # fmt: skip
    bench.catch_up()
    with closing(bench.catalog.connect()) as connection:
        wanted = q.GetStepSeriesRequest(run_id="r", metric_key="score")
        reply = read_series(connection, bench.log, wanted, columns=bench.folder)
    assert np.frombuffer(reply.value).tolist() == [0.5] and reply.unit == "ratio"
    bench.close()


def test_columns_of_one_name_are_all_in_a_row():
    found = SqlResult(("a", "b", "a", "a_1", "a"), ("INTEGER",) * 5, ((1, 2, 3, 4, 5),))
    assert list(found) == [{"a": 1, "b": 2, "a_2": 3, "a_1": 4, "a_3": 5}]
