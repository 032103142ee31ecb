"""Batches as a log would hold them, made in memory: what tests of the followers feed them with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from contexta.v1 import capture_pb2 as pb
from contexta_daemon.log import Envelope, LoggedBatch, Position

NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z


def entry(time_ns: int = NS, **kind: Any) -> pb.Entry:
    return pb.Entry(time_ns=time_ns, **kind)


def columns(values: Sequence[float], *, series: Any, step: Any = None, time_ns: Any = None) -> pb.RawMetricColumns:
    """Single metrics; `series` is one (scope, key) pair or an array of packed series."""
    n = len(values)
    packed = np.full(n, series[0] << 32 | series[1], "<u8") if isinstance(series, tuple) else series
    steps = np.zeros(n, "<i8") if step is None else np.asarray(step, "<i8")
    times = NS + np.arange(n, dtype="<i8") * 1000 if time_ns is None else np.asarray(time_ns, "<i8")
    return pb.RawMetricColumns(
        time_ns=times.astype("<i8").tobytes(),
        value=np.asarray(values, "<f8").tobytes(),
        step=steps.tobytes(),
        series=np.asarray(packed, "<u8").tobytes(),
    )


def rows(values: Any, *, group: int, scope: int, step: Any = None, time_ns: Any = None) -> pb.RawMetricRows:
    """`values` of shape (keys, rows)."""
    array = np.asarray(values, "<f8")
    n = array.shape[1]
    steps = np.zeros(n, "<i8") if step is None else np.asarray(step, "<i8")
    times = NS + np.arange(n, dtype="<i8") * 1000 if time_ns is None else np.asarray(time_ns, "<i8")
    return pb.RawMetricRows(
        group_id=group,
        time_ns=times.tobytes(),
        step=steps.tobytes(),
        scope_id=np.full(n, scope, "<u8").tobytes(),
        value=array.tobytes(),
    )


def items_of(body: pb.RawBatch) -> int:
    return (
        len(body.entries)
        + sum(len(part.time_ns) // 8 for part in body.columns)
        + sum(len(part.value) // 8 for part in body.rows)
    )


class FakeLog:
    """A log in memory with the shape of the real one; sessions are named by one byte."""

    id = b"in memory, 16 b."

    def __init__(self) -> None:
        self.batches: list[LoggedBatch] = []
        self.sequences: dict[bytes, int] = {}

    @property
    def committed(self) -> Position:
        return self.batches[-1].end if self.batches else Position(0, 0)

    def add(
        self,
        session: int | bytes,
        *entries: pb.Entry,
        columns: Sequence[pb.RawMetricColumns] = (),
        rows: Sequence[pb.RawMetricRows] = (),
    ) -> LoggedBatch:
        body = pb.RawBatch(entries=[e.SerializeToString() for e in entries], columns=columns, rows=rows)
        return self.add_body(session, body.SerializeToString(), items_of(body))

    def add_body(self, session: int | bytes, body: bytes, count: int) -> LoggedBatch:
        session_id = session if isinstance(session, bytes) else session_id_of(session)
        first = self.sequences.get(session_id, 0)
        self.sequences[session_id] = first + count
        start = self.committed
        if start.segment == 0:
            start = Position(1, 64)
        logged = LoggedBatch(
            position=start,
            end=Position(start.segment, start.offset + len(body) + 100),
            envelope=Envelope(session_id=session_id, first_sequence=first, count=count, cursor=b"", appended_ns=NS),
            body=body,
        )
        self.batches.append(logged)
        return logged

    def read(self, start: Position, *, limit_bytes: int = 1 << 30) -> Iterator[LoggedBatch]:
        taken = 0
        for batch in self.batches:
            if batch.position >= start and (not taken or taken + len(batch.body) <= limit_bytes):
                taken += len(batch.body)
                yield batch

    def read_some(self, start: Position, *, limit_bytes: int) -> tuple[list[LoggedBatch], Position]:
        found = list(self.read(start, limit_bytes=limit_bytes))
        return found, found[-1].end if found else max(start, self.committed)

    def read_at(self, position: Position, *, metrics: bool = True) -> LoggedBatch:
        return next(batch for batch in self.batches if batch.position == position)


def session_id_of(number: int) -> bytes:
    return bytes([number]) * 16


def session_opened(*, parent: int | None = None, job: str = "", rank: int | None = None, **more: Any) -> pb.Entry:
    opened = pb.SessionOpened(host="host", pid=7, job_id=job, project_name="p", **more)
    if parent is not None:
        opened.parent_session_id = session_id_of(parent)
    if rank is not None:
        opened.rank = rank
    return entry(session_opened=opened)


def run_opened(scope_id: int = 1, ref: str = "run:p.r", *, time_ns: int = NS, **more: Any) -> pb.Entry:
    name = ref.rpartition(".")[2]
    more = {"project_name": "p", "name": name} | more
    return entry(time_ns, scope_opened=pb.ScopeOpened(scope_id=scope_id, kind=pb.SCOPE_KIND_RUN, ref=ref, **more))


def scope_opened(scope_id: int, parent_id: int, kind: str, ref: str, *, time_ns: int = NS, **more: Any) -> pb.Entry:
    opened = pb.ScopeOpened(
        scope_id=scope_id,
        parent_id=parent_id,
        kind=pb.ScopeKind.Value(f"SCOPE_KIND_{kind.upper()}"),
        ref=ref,
        name=ref.rpartition(".")[2],
        **more,
    )
    return entry(time_ns, scope_opened=opened)


def scope_closed(scope_id: int, status: str = "completed", *, time_ns: int = NS + 10**9) -> pb.Entry:
    return entry(time_ns, scope_closed=pb.ScopeClosed(scope_id=scope_id, status=status))


def key_defined(key_id: int, key: str, **more: Any) -> pb.Entry:
    more = {"value_type": "float64", "aggregation_scope": "step", "summary_basis": "raw_observation"} | more
    return entry(key_defined=pb.KeyDefined(key_id=key_id, key=key, **more))


def session_ended(*, lost: bool = False, time_ns: int = NS + 2 * 10**9) -> pb.Entry:
    return entry(time_ns, session_ended=pb.SessionEnded(lost=lost))


