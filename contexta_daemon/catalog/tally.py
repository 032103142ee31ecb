"""What a batch's metrics say without being kept: points of each series, its newest value, non-finite values.

Cost grows with the series in a batch, not with its rows: rows are only touched by numpy.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contexta_daemon.batches import Columns, DecodedBatch, Rows

from .names import Names

_UPSERT = """
INSERT INTO series (session, scope_id, key_id, points, last_value, last_step, last_ns, non_finite,
                    first_non_finite_step) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (session, scope_id, key_id) DO UPDATE SET
  points = points + excluded.points, last_value = excluded.last_value, last_step = excluded.last_step,
  last_ns = excluded.last_ns, non_finite = non_finite + excluded.non_finite,
  first_non_finite_step = coalesce(first_non_finite_step, excluded.first_non_finite_step)
"""


@dataclass(slots=True)
class Tally:
    """One series, as far as it was read since the last flush. Steps are in their stored form."""

    points: int = 0
    last_value: float = 0.0
    last_step: int = 0
    last_ns: int = 0
    non_finite: int = 0
    first_non_finite_step: int | None = None

    def add(self, points: int, value: float, step: int, time_ns: int) -> None:
        self.points += points
        self.last_value, self.last_step, self.last_ns = value, step, time_ns

    def add_non_finite(self, count: int, first_step: int) -> None:
        self.non_finite += count
        if self.first_non_finite_step is None:
            self.first_non_finite_step = first_step


class Tallies:
    """Collects over many batches, then writes once."""

    def __init__(self) -> None:
        self._series: defaultdict[tuple[int, int, int], Tally] = defaultdict(Tally)

    def add_single(self, session: int, scope_id: int, key_id: int, value: float, step: int, time_ns: int) -> None:
        self._series[session, scope_id, key_id].add(1, value, step, time_ns)

    def add_columns(self, session: int, columns: Columns) -> npt.NDArray[np.uint64]:
        """Count in single metrics; return the distinct series among them, sorted."""
        distinct, place = np.unique(columns.series, return_inverse=True)
        place = place.reshape(-1)
        counts = np.bincount(place, minlength=len(distinct))
        last = np.empty(len(distinct), dtype=np.int64)
        last[place] = np.arange(len(place))  # of equal places the last assignment stays
        for series, count, value, step, time_ns in zip(
            distinct.tolist(),
            counts.tolist(),
            columns.value[last].tolist(),
            columns.step[last].tolist(),
            columns.time_ns[last].tolist(),
            strict=True,
        ):
            self._series[session, series >> 32, series & 0xFFFF_FFFF].add(count, value, step, time_ns)
        odd = np.flatnonzero(~np.isfinite(columns.value))
        if len(odd):
            firsts, where, odd_counts = np.unique(columns.series[odd], return_index=True, return_counts=True)
            for series, step, count in zip(
                firsts.tolist(), columns.step[odd[where]].tolist(), odd_counts.tolist(), strict=True
            ):
                self._series[session, series >> 32, series & 0xFFFF_FFFF].add_non_finite(count, step)
        return distinct

    def add_rows(self, session: int, rows: Rows, key_ids: npt.NDArray[np.uint32]) -> None:
        """Count in the rows of a group with these keys."""
        if not rows.items:
            return
        keys = key_ids.tolist()
        scope_ids = np.unique(rows.scope_id)
        odd = ~np.isfinite(rows.value)
        any_odd = bool(odd.any())
        for scope_id in scope_ids.tolist():
            here = np.flatnonzero(rows.scope_id == scope_id) if len(scope_ids) > 1 else None
            count = len(rows.time_ns) if here is None else len(here)
            last = -1 if here is None else int(here[-1])
            step, time_ns = int(rows.step[last]), int(rows.time_ns[last])
            for key_id, value in zip(keys, rows.value[:, last].tolist(), strict=True):
                self._series[session, scope_id, key_id].add(count, value, step, time_ns)
            if any_odd:
                mine = odd if here is None else odd[:, here]
                steps = rows.step if here is None else rows.step[here]
                for index in np.flatnonzero(mine.any(axis=1)).tolist():
                    tally = self._series[session, scope_id, keys[index]]
                    tally.add_non_finite(int(mine[index].sum()), int(steps[mine[index].argmax()]))

    def flush(self, connection: sqlite3.Connection, names: Names) -> None:
        """Write everything collected, and begin anew."""
        if not self._series:
            return
        connection.executemany(
            _UPSERT,
            [
                (*series, t.points, t.last_value, t.last_step, t.last_ns, t.non_finite, t.first_non_finite_step)
                for series, t in self._series.items()
            ],
        )
        of_run: defaultdict[int, int] = defaultdict(int)
        for (session, scope_id, _), tally in self._series.items():
            scope = names.scope(session, scope_id)
            if scope is not None and scope.run:
                of_run[scope.run] += tally.points
        connection.executemany(
            "UPDATE runs SET metric_count = metric_count + ? WHERE id = ?", [(n, run) for run, n in of_run.items()]
        )
        self._series.clear()

    def forget(self) -> None:
        """Drop what was collected: its batches will be read again."""
        self._series.clear()


def time_range(batch: DecodedBatch) -> tuple[int, int]:
    """Return the earliest and the latest time in a batch; (0, 0) when it is empty."""
    times = [entry.time_ns for entry in batch.entries]
    for time_ns in (*(part.time_ns for part in batch.columns), *(part.time_ns for part in batch.rows)):
        if len(time_ns):
            times += (int(time_ns.min()), int(time_ns.max()))
    return (min(times), max(times)) if times else (0, 0)
