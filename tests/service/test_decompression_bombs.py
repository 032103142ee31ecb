"""What unpacks to hundreds of megabytes costs neither the memory nor the service of who reads it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import grpc
import hostile_logs
import pytest
from daemon_process import daemons, refusal
from hostile_logs import MIB, peak_bytes, write_log, zstd_bombs
from waiting import wait_until

from contexta_daemon.log import MAX_BODY_BYTES

MOST = 32 * MIB
BOMBS = zstd_bombs()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_in_the_log_costs_no_more_than_a_body_may(tmp_path: Path, name: str) -> None:
    write_log(tmp_path / "log", [BOMBS[name]])
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.seg")) < 1 * MIB
    command = [sys.executable, hostile_logs.__file__, str(tmp_path / "log")]
    said = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    assert said["grew"] <= MOST
    assert said["taken"] == 1 and said["refused"] + said["damaged"] == 1


def test_a_message_that_unpacks_to_more_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with daemons() as start:
        daemon = start(tmp_path / "ws").serves()
        record = daemon.record
        with daemon.calls() as calls, grpc.insecure_channel(
            f"unix:{record['socket']}", options=[("grpc.max_send_message_length", -1)]
        ) as channel:
            calls.status()
            before = peak_bytes(daemon.process.pid)
            for method in ("Capture/OpenSession", "Capture/Append", "Status/GetStatus", "Query/Sql"):
                with pytest.raises(grpc.RpcError) as caught:
                    channel.unary_unary(f"/contexta.v1.{method}")(
                        bytes(64 * MIB), metadata=calls.metadata, compression=grpc.Compression.Gzip, timeout=60
                    )
                assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
            assert peak_bytes(daemon.process.pid) - before <= MOST
            assert calls.status().pid == daemon.process.pid


def test_a_body_of_millions_of_parts_is_set_aside_by_a_daemon_that_goes_on(tmp_path: Path) -> None:
    with daemons() as start:
        daemon = start(tmp_path / "ws").serves()
        with daemon.calls() as calls:
            calls.append(bytes(16), 0, 1, bytes(MAX_BODY_BYTES - 10))
            calls.append(bytes(16), 1, 4 << 20, b"\x0a\x00" * (4 << 20))
            assert calls.settle(bytes(16), 1)
            before = peak_bytes(daemon.process.pid)
            for number in range(4):
                calls.append(bytes([1]) * 16, number, 1, b"\x12\x00" * (4 << 20))
            with pytest.raises(grpc.RpcError) as caught:
                calls.append(bytes([1]) * 16, 4, 1, bytes(MAX_BODY_BYTES + 1))
            assert refusal(caught.value).code == "batch_too_large"
            wait_until(lambda: all(each.lag_bytes == 0 for each in calls.status().followers))
            assert not any(each.problem for each in calls.status().followers)
            # Each follower holds a body or two, once as it came; made into objects, one would be gigabytes.
            assert peak_bytes(daemon.process.pid) - before <= 16 * MAX_BODY_BYTES
