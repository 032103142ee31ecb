"""Questions that cannot be answered, or not in time: each gets a clear error, and the daemon is unmoved."""

import contextlib
import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from served import Served
from waiting import wait_until

from contexta.errors import ContextaError, DeadlineError, NotFoundError, ValidationError
from contexta.v1 import query_pb2, status_pb2
from contexta_client.query.sql import run_sql

ENDLESS = "SELECT count(*) FROM range(100000000) a, range(100000) b WHERE a.range + b.range = 7"


@pytest.fixture
def ctx(served: Served):
    ctx = served.contexta()
    with ctx.run("r") as run, run.stage("train") as stage:
        for step in range(3_000):
            stage.metric("loss", 1.0, step=step)
    return ctx


def thinkers(served: Served) -> dict[int, int]:
    """The processes of the daemon that think: pid to the clock ticks that each was at work."""
    daemon = served.pid("daemon")
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(daemon)], capture_output=True, text=True).stdout
    found = {}
    for line in listed.splitlines():
        if "anyio.to_process" in line:
            pid = int(line.split()[0])
            with contextlib.suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                found[pid] = int(fields[11]) + int(fields[12])
    return found


def test_a_question_whose_time_is_over_ends_and_so_does_the_process_that_thought_about_it(served: Served, ctx) -> None:
    connection = ctx._connect()
    request = query_pb2.SqlRequest(text=ENDLESS)
    with pytest.raises(DeadlineError):
        list(connection.stream("query", "Sql", request, deadline_s=1.0))
    assert ctx.sql("SELECT 1 AS one").rows == ((1,),)
    assert ctx.diagnose_run("r").run_id == "run:demo.r"


def test_a_question_that_is_cancelled_stops_working(served: Served, ctx) -> None:
    ctx.sql("SELECT 1")
    ((pid, before),) = thinkers(served).items()
    asked = threading.Thread(target=ask_in_vain, args=(ctx,))
    asked.start()
    wait_until(lambda: thinkers(served).get(pid, 0) > before + 20)
    ctx._connect().close()  # whoever asked is gone
    asked.join(20)
    wait_until(lambda: pid not in thinkers(served))
    assert ctx.sql("SELECT 1").rows == ((1,),)


def test_a_process_that_thinks_may_be_killed_at_any_time(served: Served, ctx) -> None:
    ctx.sql("SELECT 1")
    for pid in thinkers(served):
        os.kill(pid, signal.SIGKILL)
    assert ctx.diagnose_run("r").run_id == "run:demo.r"
    found = []
    asked = threading.Thread(target=lambda: found.append(ctx.sql("SELECT count(*) FROM range(30000000)").rows))
    ((pid, before),) = thinkers(served).items()
    asked.start()
    wait_until(lambda: thinkers(served).get(pid, 0) > before or found)
    os.kill(pid, signal.SIGKILL)
    asked.join(30)
    assert found == [((30_000_000,),)]


def ask_in_vain(ctx) -> None:
    with pytest.raises(ContextaError):
        run_sql(ctx._connect(), ENDLESS)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("DROP TABLE runs", "sql_not_read_only"),
        ("SELECT * FROM read_csv('/etc/passwd')", "sql_not_read_only"),
        ("SELECT * FROM '/etc/passwd'", "sql_invalid"),
        ("ATTACH '/tmp/x.db'", "sql_not_read_only"),
        ("SELECT 1; SELECT 2", "sql_not_read_only"),
        ("SELECT nothing FROM runs", "sql_invalid"),
        ("SELEC 1", "sql_invalid"),
    ],
)
def test_sql_that_is_no_question_is_refused(ctx, text: str, code: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ctx.sql(text)
    assert caught.value.code == code


def test_an_answer_that_is_too_long_is_an_error_and_never_cut(ctx) -> None:
    with pytest.raises(ValidationError) as caught:
        ctx.sql("SELECT * FROM metrics", max_rows=100)
    assert caught.value.code == "answer_too_long"
    assert len(ctx.sql("SELECT * FROM metrics")) == 3_000


def test_a_cursor_of_another_store_is_refused(ctx) -> None:
    connection = ctx._connect()
    (page, *_) = connection.stream("query", "ScanRecords", query_pb2.ScanRecordsRequest(limit=10))
    again = query_pb2.ScanRecordsRequest(limit=10, cursor=page.cursor)
    (more, *_) = connection.stream("query", "ScanRecords", again)
    assert more.records[0].record_ref != page.records[0].record_ref
    for cursor in (page.cursor[:-4] + b"abcd", b"x", page.cursor + b"1"):
        with pytest.raises(ValidationError) as caught:
            list(connection.stream("query", "ScanRecords", query_pb2.ScanRecordsRequest(cursor=cursor)))
        assert caught.value.code == "cursor_invalid"


def test_wrong_words_in_a_question_are_named(ctx) -> None:
    for ask, said in (
        (lambda: ctx.compare_runs("r", "r", policy="median"), "latest, max, min, mean"),
        (lambda: ctx.traverse_lineage("run:demo.r", direction="up"), "upstream or downstream"),
        (lambda: ctx.compare_multiple_runs([]), "0 runs cannot be compared"),
        (lambda: ctx.evaluate_alerts("r", [{"metric": "x"}]), "no alert rule"),
    ):
        with pytest.raises(ValidationError, match=said):
            ask()
    with pytest.raises(NotFoundError, match=r"There is no run 'xxx.* \.\.\. "):
        ctx.list_stages("x" * 20_000)


def test_a_process_that_collects_columns_may_be_killed_and_questions_are_answered_again(served: Served, ctx) -> None:
    count = "SELECT count(*) FROM metrics"
    daemon = served.pid("daemon")

    def collected() -> bool:
        request = status_pb2.GetStatusRequest()
        followers = ctx._connect().call("status", "GetStatus", request, deadline_s=10).followers
        return not any(each.lag_bytes for each in followers)

    def collectors() -> list[int]:
        listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(daemon)], capture_output=True, text=True)
        return [int(line.split()[0]) for line in listed.stdout.splitlines() if "contexta_daemon.columns" in line]

    def answer() -> tuple:
        with contextlib.suppress(ContextaError):
            return ctx.sql(count).rows
        return ()

    wait_until(collected)
    with ctx.run("s") as run:
        run.metric("loss", 1.0)
    wait_until(collected)
    for pid in collectors():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: answer() == ((3_001,),))  # though nothing more is captured
