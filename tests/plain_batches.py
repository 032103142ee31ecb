"""Bodies of appends as messages whose arrays stand as they are: what tests look at."""

from __future__ import annotations

from contexta.v1 import capture_pb2
from contexta_daemon.batches.decode import _numbers_of


def plain_batch(body: bytes) -> capture_pb2.Batch:
    batch = capture_pb2.Batch.FromString(body)
    for part in (*batch.columns, *batch.rows):
        time_ns, value, step = _numbers_of(part)
        part.ClearField("layout")
        for name, numbers in (("time_ns", time_ns), ("value", value), ("step", step)):
            part.ClearField(name)
            getattr(part, name).extend(numbers.tolist())
    return batch
