"""What an append waits for while reports are being built: appends under full ingest, with and without them."""

from __future__ import annotations

import threading
import time
from array import array
from typing import Any

import harness
import numpy as np
from harness import Report

BATCH = 8_192


def measure(report: Report, quick: bool) -> None:
    seconds = [0.5, 1.0, 2.0] if quick else [2.0, 6.0, 20.0]
    table = report.table(
        f"One append of {BATCH:,} metrics until it is durable, one after the other, as fast as they are taken",
        *("seconds", "appends alone", "p50", "p99", "appends beside reports", "p50", "p99", "reports built", "p99, x"),
    )
    with harness.workspace() as (ctx, _):
        run = harness.warm_up(ctx)
        with run.stage("train") as stage:
            for step in range(20_000):
                stage.log({"loss": 1 / (step + 1), "acc": step / 20_000}, step=step)
        ctx.flush(120)
        ctx.build_snapshot_report(run.ref)  # the process that thinks is there
        for length in seconds:
            parts: list[list[array[int]]] = [[], []]
            built = 0
            for _ in range(3):  # interleaved: the machine is not equally fast at all times
                parts[0].append(_appends(ctx, length / 3))
                builder = _Builder(ctx, run.ref)
                parts[1].append(_appends(ctx, length / 3))
                built += builder.stop()
            alone, beside = (np.concatenate([np.asarray(each) for each in part]) / 1e6 for part in parts)
            p50s, p99s = zip(*(np.percentile(each, [50, 99]) for each in (alone, beside)), strict=True)
            table.add(
                f"{length:g}", f"{len(alone):,}", f"{p50s[0]:.1f} ms", f"{p99s[0]:.1f} ms", f"{len(beside):,}",
                f"{p50s[1]:.1f} ms", f"{p99s[1]:.1f} ms", built, f"{p99s[1] / p99s[0]:.2f}",
            )  # fmt: skip
        run.close()
    ratio = p99s[1] / p99s[0]
    report.goal("p99 of an append beside reports", "2 times", f"{ratio:.2f} times", ratio <= 2)


class _Builder:
    """A thread that builds one report after the other."""

    def __init__(self, ctx: Any, run: str) -> None:
        self._stop = threading.Event()
        self._built = 0
        self._thread = threading.Thread(target=self._build, args=(ctx, run))
        self._thread.start()

    def _build(self, ctx: Any, run: str) -> None:
        while not self._stop.is_set():
            ctx.build_snapshot_report(run)
            self._built += 1

    def stop(self) -> int:
        self._stop.set()
        self._thread.join()
        return self._built


def _appends(ctx: Any, length_s: float) -> array[int]:
    """Append by gRPC itself, as a sender does; return the ns that each append took until it was acknowledged."""
    import os

    import grpc
    import xxhash

    from contexta.v1 import capture_pb2, capture_pb2_grpc
    from contexta_client import launch

    endpoint = launch.find_daemon(ctx.recorder.workspace)
    assert endpoint is not None
    metadata = (("contexta-token", endpoint.token),)
    session = os.urandom(16)
    taken = array("q")
    with grpc.insecure_channel(f"unix:{endpoint.socket}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = capture_pb2_grpc.CaptureStub(channel)
        opened = capture_pb2.Entry(session_opened=capture_pb2.SessionOpened(host="bench", pid=os.getpid()))
        body = capture_pb2.Batch(entries=[opened]).SerializeToString()
        sequence = _append(stub, session, 0, 1, body, metadata, xxhash)
        rng = np.random.default_rng(0)
        end = time.monotonic() + length_s
        while time.monotonic() < end:
            columns = capture_pb2.RawMetricColumns(
                time_ns=np.arange(BATCH, dtype="<i8").tobytes(), value=rng.random(BATCH).astype("<f8").tobytes(),
                step=np.arange(1, BATCH + 1, dtype="<i8").tobytes(), series=np.ones(BATCH, "<u8").tobytes(),
            )  # fmt: skip
            body = capture_pb2.RawBatch(columns=[columns]).SerializeToString()
            began = time.perf_counter_ns()
            sequence = _append(stub, session, sequence, BATCH, body, metadata, xxhash)
            taken.append(time.perf_counter_ns() - began)
    return taken


def _append(stub: Any, session: bytes, sequence: int, count: int, body: bytes, metadata: Any, xxhash: Any) -> int:
    from contexta.v1 import capture_pb2

    request = capture_pb2.AppendRequest(
        session_id=session, first_sequence=sequence, count=count, checksum=xxhash.xxh3_64_intdigest(body), body=body
    )
    return int(stub.Append(request, timeout=30, metadata=metadata).next_sequence)


if __name__ == "__main__":
    harness.main(
        measure, name="reports_beside", title="Appends beside reports",
        what="The time until an append is durable, while snapshot reports are built one after the other.",
    )  # fmt: skip
