"""What a workspace's log holds, read directly from its files: for checks that trust no daemon."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contexta_daemon.batches import decode
from contexta_daemon.batches.decode import decode_step
from contexta_daemon.log import Log, LoggedBatch, Position

READ_BYTES = 64 << 20


@dataclass
class Session:
    """One process's session. `columns`: (step, value, series) arrays; `rows` by group: (step, values (k, n))."""

    entries: list[Any] = field(default_factory=list)
    column_parts: list[tuple[Any, Any, Any]] = field(default_factory=list)
    row_parts: dict[int, list[tuple[Any, Any]]] = field(default_factory=dict)
    next_sequence: int = 0
    gaps: int = 0

    def points(self, key: str) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Return the steps and values of a metric, captured alone or in log(), ordered by step."""
        key_ids = [e.key_defined.key_id for e in self.of("key_defined") if e.key_defined.key == key]
        parts = []
        for step, value, series in self.column_parts:
            kept = np.isin(series & np.uint64(0xFFFFFFFF), np.array(key_ids, np.uint64))
            parts.append((step[kept], value[kept]))
        for group in [e.group_defined for e in self.of("group_defined")]:
            places = [place for place, key_id in enumerate(group.key_id) if key_id in key_ids]
            rows = self.row_parts.get(group.group_id, [])
            parts += [(step, value[place]) for step, value in rows for place in places]
        if not parts:
            return np.zeros(0, np.int64), np.zeros(0)
        steps, _ = decode_step(np.concatenate([step for step, _ in parts]))
        values = np.concatenate([value for _, value in parts])
        order = np.argsort(steps, kind="stable")
        return steps[order], values[order]

    def of(self, kind: str) -> list[Any]:
        """Return the entries of one kind, in their order."""
        return [entry for entry in self.entries if entry.WhichOneof("kind") == kind]

    def runs(self) -> list[str]:
        """Return the references of the runs that the session opened."""
        return [e.scope_opened.ref for e in self.of("scope_opened") if e.scope_opened.ref.startswith("run:")]

    def dropped(self) -> dict[str, tuple[int, int]]:
        """Return how many metrics and entries the session says it dropped, by reason."""
        return {  # each tells the total so far: the last one counts
            entry.dropped.reason: (entry.dropped.metrics_total, entry.dropped.entries_total)
            for entry in self.of("dropped")
        }

    def add(self, batch: LoggedBatch) -> None:
        """Take in a batch; the sequence must go on where it was."""
        self.gaps += batch.envelope.first_sequence != self.next_sequence
        self.next_sequence = batch.envelope.first_sequence + batch.envelope.count
        decoded = decode(batch)
        self.entries += decoded.entries
        for part in decoded.columns:
            self.column_parts.append((part.step.copy(), part.value.copy(), part.series.copy()))
        for row in decoded.rows:
            self.row_parts.setdefault(row.group_id, []).append((row.step.copy(), row.value.copy()))


def read_log(workspace: Path) -> tuple[dict[bytes, Session], Log]:
    """Read everything in a workspace's log. No daemon may serve it."""
    log = Log(workspace / "records" / "log")
    sessions: dict[bytes, Session] = {}
    position = Position(0, 0)
    while True:
        batches, end = log.read_some(position, limit_bytes=READ_BYTES)
        for batch in batches:
            sessions.setdefault(batch.envelope.session_id, Session()).add(batch)
        if end == position:
            return sessions, log
        position = end


def by_run(sessions: dict[bytes, Session]) -> dict[str, list[Session]]:
    """Return sessions by the references of the runs they opened."""
    found: dict[str, list[Session]] = {}
    for session in sessions.values():
        for ref in session.runs():
            found.setdefault(ref, []).append(session)
    return found
