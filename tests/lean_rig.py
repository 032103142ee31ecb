"""A log on disk with a catalog and columns behind it, whose sealed segments let go of their metrics."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from column_files import Bench
from logged import FakeLog, columns, entry, key_defined, rows, run_opened, session_id_of, session_opened

from contexta import packing
from contexta.v1 import capture_pb2 as pb
from contexta_daemon.batches import skeleton_of
from contexta_daemon.columns import fetcher
from contexta_daemon.log import Envelope, Log, LogDirectory, LoggedBatch, MadeLean, Position, make_lean, pack_body
from contexta_daemon.log.files import Files, RealFiles

ALL = 1 << 60
BEGINNING = Position(0, 0)
SEGMENT_BYTES = 6_000
ODD = (
    0.0, -0.0, 5e-324, -2.5e-310, 1.7e308, float("inf"), float("-inf"), float("nan"), 0.1,
    *struct.unpack("<3d", struct.pack("<3Q", 0x7FF8_0000_0000_00AB, 0xFFF8_0000_0000_0000, 0x7FF0_0000_0000_0001)),
)  # fmt: skip


class DiskLog(FakeLog):
    """The real log, filled like the one in memory."""

    def __init__(self, path: Path, columns_folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        super().__init__()
        self.path, self.columns_folder, self.segment_bytes = path, columns_folder, segment_bytes
        self.real = self.opened()
        self.id = self.real.id  # type: ignore[misc]

    def opened(self) -> Log:
        """The log as a new process opens it."""
        return Log(self.path, segment_bytes=self.segment_bytes, fetch=fetcher(self.columns_folder))

    @property
    def committed(self) -> Position:
        return self.real.committed

    def add_body(self, session: int | bytes, body: bytes, count: int) -> LoggedBatch:
        session_id = session if isinstance(session, bytes) else session_id_of(session)
        first = self.sequences.get(session_id, 0)
        self.sequences[session_id] = first + count
        envelope = Envelope(session_id, first, count, b"at %d" % (first + count), 1_000 + first)
        before = self.real.committed
        self.real.append([(envelope, pack_body(body, level=1))])
        return list(self.real.read(before, limit_bytes=ALL))[-1]

    def read(self, start: Position, *, limit_bytes: int = ALL) -> Any:
        return self.real.read(start, limit_bytes=limit_bytes)

    def read_at(self, position: Position, *, metrics: bool = True) -> LoggedBatch:
        return self.real.read_at(position, metrics=metrics)


class LeanBench(Bench):
    log: DiskLog

    def __init__(self, root: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        folder = root / "records" / "columns"
        super().__init__(root, log=DiskLog(root / "records" / "log", folder, segment_bytes=segment_bytes))

    def fill(self, *, batches: int = 40, seed: int = 0) -> LeanBench:
        """Two sessions with every kind of batch, followed into columns."""
        chance = random.Random(seed)
        for session in (1, 2):
            defined = [key_defined(each, f"k{each}") for each in (1, 2, 3)]
            self.log.add(session, session_opened(), run_opened(ref=f"run:p.r{session}"), *defined, group(1, [1, 2, 3]))
        for number in range(batches):
            session = 1 + number % 2
            entries = [entry(event=pb.EventCaptured(scope_id=1, key=f"e{number}", level="info"))] * (number % 3)
            parts = {"columns": singles(chance), "rows": groups(chance)}
            if entries or any(parts.values()):
                self.log.add(session, *entries, **parts)
        self.run()
        return self

    def drop(self, *, files: Files | None = None, may_replace: Callable[[], None] = lambda: None) -> list[MadeLean]:
        """Take the metrics out of all segments that the columns have whole."""
        made = [
            make_lean(
                LogDirectory(self.log.path, files or RealFiles()), number, end,
                skeleton_of=skeleton_of, fetch=fetcher(self.folder), may_replace=may_replace,
            )
            for number, end in self.log.real.sealed(self.columns.position)
        ]  # fmt: skip
        return [each for each in made if each is not None]

    def batches(self) -> list[LoggedBatch]:
        """Everything in the log, read by a new process."""
        return list(self.log.opened().read(BEGINNING, limit_bytes=ALL))


def group(group_id: int, key_ids: list[int]) -> pb.Entry:
    return entry(group_defined=pb.GroupDefined(group_id=group_id, key_id=key_ids))


def singles(chance: random.Random) -> list[pb.RawMetricColumns]:
    n = chance.choice((0, 1, 40, 90))
    if not n:
        return []
    key = np.array([chance.choice((1, 2)) for _ in range(n)], np.uint64)
    values = np.array([chance.choice(ODD) if chance.random() < 0.2 else chance.gauss(0, 1) for _ in range(n)])
    part = columns(values, series=np.uint64(1 << 32) | key, step=steps(chance, n), time_ns=times(chance, n))
    return [in_layout(part, chance)]


def groups(chance: random.Random) -> list[pb.RawMetricRows]:
    n = chance.choice((0, 1, 35))
    if not n:
        return []
    values = np.array([[chance.choice((*ODD, chance.random())) for _ in range(n)] for _ in range(3)])
    return [in_layout(rows(values, group=1, scope=1, step=steps(chance, n), time_ns=times(chance, n)), chance)]


def steps(chance: random.Random, n: int) -> list[int]:
    """In their stored form: none, 0, below 0, and the ends of their range."""
    return [chance.choice((0, 1, -1, 7, -(1 << 63), (1 << 63) - 1)) for _ in range(n)]


def times(chance: random.Random, n: int) -> list[int]:
    return [chance.choice((0, -5, 1_767_225_600_000_000_000 + chance.randrange(10**9))) for _ in range(n)]


def in_layout(part: Any, chance: random.Random) -> Any:
    layout = chance.choice((0, 1, 2, 4, 1 | 2, 1 | 4))
    numbers = {name: np.frombuffer(getattr(part, name), "<u8") for name in ("time_ns", "step", "value")}
    if layout & packing.STEADY:
        part.time_ns, part.step = map(packing.steady_planes, (numbers["time_ns"], numbers["step"]))
    if layout & packing.VALUE_PLANES:
        part.value = packing.planes(numbers["value"])
    if layout & packing.VALUE_STEADY:
        part.value = packing.steady_planes(numbers["value"])
    part.layout = layout
    return part
