"""What a statement leaves whose process is killed with its daemon."""

from __future__ import annotations

import threading
from pathlib import Path

import grpc
import pytest
from daemon_process import daemons
from waiting import wait_until

from contexta.v1 import query_pb2

SPILLING = "SELECT count(*) FROM (SELECT DISTINCT hash(range) AS a, hash(range + 1) AS b FROM range(400000000))"


@pytest.fixture
def start():
    with daemons() as starting:
        yield starting


def test_what_a_killed_statement_left_on_disk_is_swept_by_the_next_daemon(start, tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    spill = workspace / "daemon" / "sql"
    daemon = start(workspace).serves()
    with daemon.calls() as calls:
        asking = threading.Thread(target=lambda: ask(calls))
        asking.start()
        wait_until(lambda: spill.is_dir() and any(spill.iterdir()))
        (left,) = spill.iterdir()
        assert left.stat().st_mode & 0o777 == 0o700
        daemon.kill()
        asking.join()
    (spill / "contexta-sql-left").mkdir(exist_ok=True)
    start(workspace).serves()
    assert not (spill / "contexta-sql-left").exists()


def ask(calls) -> None:
    with pytest.raises(grpc.RpcError):
        list(calls.query.Sql(query_pb2.SqlRequest(text=SPILLING), metadata=calls.metadata, timeout=30))
