"""The daemon's event loop: no call of the services waits on it for a disk, a lock or a sleep."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import grpc.aio
import pytest
import xxhash
from blockbuster import BlockBuster
from logged import key_defined, run_opened, scope_closed, session_ended, session_opened

from contexta.config import make_test_config
from contexta.v1 import capture_pb2, capture_pb2_grpc, query_pb2, query_pb2_grpc, status_pb2, status_pb2_grpc
from contexta_daemon.app import Daemon
from contexta_daemon.tenancy import Tenancy

SESSION = b"s" * 16


async def scene(daemon: Daemon, artifact: Path, blocking: BlockBuster) -> None:
    """Everything that a sender and a reader ask."""
    while not (daemon.tenancy.folder / "daemon.json").exists():  # noqa: ASYNC110
        await anyio.sleep(0.01)
    metadata = (("contexta-token", (daemon.tenancy.folder / "token").read_text().strip()),)
    blocking.activate()  # beginning and ending may wait: then nobody else does
    async with grpc.aio.insecure_channel(f"unix:{daemon.tenancy.socket}") as channel:
        capture = capture_pb2_grpc.CaptureStub(channel)
        query = query_pb2_grpc.QueryStub(channel)
        status = status_pb2_grpc.StatusStub(channel)
        registered = capture_pb2.ArtifactRegistered(
            scope_id=1, ref="artifact:p.r.a", artifact_kind="model", path=str(artifact), exists=True, compute_hash=True
        )
        entries = [session_opened(), run_opened(), key_defined(1, "loss")]
        entries += [capture_pb2.Entry(time_ns=1, artifact_registered=registered)]
        time_ns = list(range(1, 200_001))
        columns = capture_pb2.MetricColumns(
            time_ns=time_ns, value=[0.5] * len(time_ns), step=time_ns, series=[1 << 32 | 1] * len(time_ns)
        )
        last = [scope_closed(1), session_ended()]
        sequence = 0
        for count, batch in (
            (4, capture_pb2.Batch(entries=entries)),
            (len(time_ns), capture_pb2.Batch(columns=[columns])),
            (2, capture_pb2.Batch(entries=last)),
        ):
            body = batch.SerializeToString()
            request = capture_pb2.AppendRequest(
                session_id=SESSION,
                first_sequence=sequence,
                count=count,
                checksum=xxhash.xxh3_64_intdigest(body),
                body=body,
            )
            sequence += count
            assert (await capture.Append(request, metadata=metadata)).next_sequence == sequence
        settle = capture_pb2.SettleRequest(session_id=SESSION, sequence=sequence, timeout_ms=30_000)
        assert (await capture.Settle(settle, metadata=metadata)).settled
        await capture.CloseSession(capture_pb2.CloseSessionRequest(session_id=SESSION), metadata=metadata)
        assert len((await query.ListRuns(query_pb2.ListRunsRequest(), metadata=metadata)).runs) == 1
        series = query_pb2.GetStepSeriesRequest(run_id="run:p.r", metric_key="loss", max_points=1_000)
        assert (await query.GetStepSeries(series, metadata=metadata)).total_points == len(time_ns)
        async for page in query.ScanRecords(query_pb2.ScanRecordsRequest(limit=2_000), metadata=metadata):
            assert page.records
        assert (await status.GetStatus(status_pb2.GetStatusRequest(), metadata=metadata)).problem == ""
        await anyio.sleep(1.1)  # one look of the daemon's watch
        blocking.deactivate()
        assert (await status.Stop(status_pb2.StopRequest(), metadata=metadata)).stopping


def test_no_call_blocks_the_event_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "model.bin").write_bytes(os.urandom(3 << 20))
    tenancy = Tenancy(tmp_path / "ws")
    blocking = BlockBuster()

    async def main() -> None:
        daemon = Daemon(tenancy, make_test_config(tmp_path / "ws"))
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(scene, daemon, tmp_path / "model.bin", blocking)
                await daemon.serve()

    try:
        anyio.run(main)
    finally:
        blocking.deactivate()
        tenancy.withdraw()
