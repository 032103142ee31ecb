"""What a batch's metrics say in numbers, so that common questions never read the points.

Cost grows with the series in a batch, not with its rows: rows are only touched by numpy. Means and squares are merged
by the formula of Chan, Golub and LeVeque (1979), which stays exact where sums of squares would cancel out.
"""

from __future__ import annotations

import math
import sqlite3
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contexta_daemon.batches import Columns, DecodedBatch, Rows

from .names import Names

NO_RANK = -1

_UPSERT = """
INSERT INTO summaries VALUES (:run, :stage_ref, :key, :rank, :unit, :points, :finite, :first_value, :first_ns,
  :last_value, :last_step, :last_ns, :least, :greatest, :mean, :squares, :odd_step, :odd_ns)
ON CONFLICT (run, stage_ref, key, rank) DO UPDATE SET
  unit = iif(excluded.unit != '', excluded.unit, unit),
  squares = iif(excluded.finite = 0, squares, iif(finite = 0, excluded.squares, squares + excluded.squares
    + (excluded.mean - mean) * (excluded.mean - mean) * finite * excluded.finite / (finite + excluded.finite))),
  mean = iif(excluded.finite = 0, mean, iif(finite = 0, excluded.mean,
    mean + (excluded.mean - mean) * excluded.finite / (finite + excluded.finite))),
  least = coalesce(min(least, excluded.least), least, excluded.least),
  greatest = coalesce(max(greatest, excluded.greatest), greatest, excluded.greatest),
  finite = finite + excluded.finite,
  points = points + excluded.points,
  first_value = iif(excluded.first_ns < first_ns, excluded.first_value, first_value),
  first_ns = min(first_ns, excluded.first_ns),
  last_value = iif(excluded.last_ns >= last_ns, excluded.last_value, last_value),
  last_step = iif(excluded.last_ns >= last_ns, excluded.last_step, last_step),
  last_ns = max(last_ns, excluded.last_ns),
  odd_step = iif(odd_ns IS NULL OR excluded.odd_ns < odd_ns, excluded.odd_step, odd_step),
  odd_ns = coalesce(min(odd_ns, excluded.odd_ns), odd_ns, excluded.odd_ns)
"""


@dataclass(slots=True)
class Tally:
    """One series, as far as it was read since the last flush. Steps are in their stored form.

    least, greatest, mean and squares (of the distances from the mean) are of the finite values; odd_*: where the first
    NaN or infinity stood.
    """

    points: int = 0
    finite: int = 0
    first_value: float = 0.0
    first_ns: int = 1 << 63  # later than every time
    last_value: float = 0.0
    last_step: int = 0
    last_ns: int = -(1 << 63)
    least: float | None = None
    greatest: float | None = None
    mean: float = 0.0
    squares: float = 0.0
    odd_step: int | None = None
    odd_ns: int | None = None

    def add(self, other: Tally) -> None:
        """Take in the points of another one."""
        if other.finite:
            total, distance = self.finite + other.finite, other.mean - self.mean
            self.squares += other.squares + distance * distance * self.finite * other.finite / total
            self.mean += distance * other.finite / total
            self.finite = total
            assert other.least is not None and other.greatest is not None
            self.least = other.least if self.least is None else min(self.least, other.least)
            self.greatest = other.greatest if self.greatest is None else max(self.greatest, other.greatest)
        self.points += other.points
        if other.first_ns < self.first_ns:
            self.first_value, self.first_ns = other.first_value, other.first_ns
        if other.last_ns >= self.last_ns:
            self.last_value, self.last_step, self.last_ns = other.last_value, other.last_step, other.last_ns
        if other.odd_ns is not None and (self.odd_ns is None or other.odd_ns < self.odd_ns):
            self.odd_step, self.odd_ns = other.odd_step, other.odd_ns


def tally_of(value: float, step: int, time_ns: int) -> Tally:
    """Return the tally of a single point."""
    tally = Tally(1, 0, value, time_ns, value, step, time_ns)
    if math.isfinite(value):
        tally.finite, tally.least, tally.greatest, tally.mean = 1, value, value, value
    else:
        tally.odd_step, tally.odd_ns = step, time_ns
    return tally


class Tallies:
    """Collects over many batches, then writes once."""

    def __init__(self) -> None:
        self._series: defaultdict[tuple[int, int, int], Tally] = defaultdict(Tally)
        self._stored: defaultdict[tuple[int, str, str, int, str], Tally] = defaultdict(Tally)

    def add_single(self, session: int, scope_id: int, key_id: int, value: float, step: int, time_ns: int) -> None:
        self._series[session, scope_id, key_id].add(tally_of(value, step, time_ns))

    def add_stored(
        self, run: int, stage_ref: str, key: str, rank: int | None, unit: str, *, value: float, step: int, time_ns: int
    ) -> None:
        """Count in a metric record that was put through the stores."""
        place = (run, stage_ref, key, NO_RANK if rank is None else rank, unit)
        self._stored[place].add(tally_of(value, step, time_ns))

    def add_columns(self, session: int, columns: Columns) -> npt.NDArray[np.uint64]:
        """Count in single metrics; return the distinct series among them, sorted."""
        if not columns.items:
            return np.empty(0, dtype=np.uint64)
        distinct, place = np.unique(columns.series, return_inverse=True)
        order = np.argsort(place.reshape(-1), kind="stable")
        starts = np.concatenate(([0], np.flatnonzero(np.diff(place.reshape(-1)[order])) + 1))
        tallies = _tallies(columns.value[order], columns.step[order], columns.time_ns[order], starts)
        for series, tally in zip(distinct.tolist(), tallies, strict=True):
            self._series[session, series >> 32, series & 0xFFFF_FFFF].add(tally)
        return distinct

    def add_rows(self, session: int, rows: Rows, key_ids: npt.NDArray[np.uint32]) -> None:
        """Count in the rows of a group with these keys."""
        if not rows.items:
            return
        keys, scope_ids = key_ids.tolist(), np.unique(rows.scope_id)
        for scope_id in scope_ids.tolist():
            here = np.flatnonzero(rows.scope_id == scope_id) if len(scope_ids) > 1 else slice(None)
            value, step, time_ns = rows.value[:, here], rows.step[here], rows.time_ns[here]
            n = len(step)
            starts = np.arange(len(keys)) * n
            found = _tallies(value.reshape(-1), np.tile(step, len(keys)), np.tile(time_ns, len(keys)), starts)
            for key_id, tally in zip(keys, found, strict=True):
                self._series[session, scope_id, key_id].add(tally)

    def flush(self, connection: sqlite3.Connection, names: Names) -> None:
        """Write everything collected, and begin anew."""
        summaries: defaultdict[tuple[int, str, str, int, str], Tally] = defaultdict(Tally)
        for (session, scope_id, key_id), tally in self._series.items():
            scope, key = names.scope(session, scope_id), names.key(session, key_id)
            if scope is not None and key is not None and scope.run:
                rank = names.rank(session)
                place = (scope.run, scope.stage_ref, key.key, NO_RANK if rank is None else rank, key.unit)
                summaries[place].add(tally)
        for place, tally in self._stored.items():
            summaries[place].add(tally)
        connection.executemany(_UPSERT, [_row(*place, tally) for place, tally in summaries.items()])
        of_run: defaultdict[int, int] = defaultdict(int)
        for (run, *_), tally in summaries.items():
            of_run[run] += tally.points
        connection.executemany(
            "UPDATE runs SET metric_count = metric_count + ? WHERE id = ?", [(n, run) for run, n in of_run.items()]
        )
        self.forget()

    def forget(self) -> None:
        """Drop what was collected: its batches will be read again."""
        self._series.clear()
        self._stored.clear()


def _tallies(
    value: npt.NDArray[np.float64],
    step: npt.NDArray[np.int64],
    time_ns: npt.NDArray[np.int64],
    starts: npt.NDArray[np.intp],
) -> list[Tally]:
    """Return a tally of each stretch that begins at one of `starts`."""
    ends = np.append(starts[1:], len(value))
    counts = ends - starts
    set_back = np.flatnonzero(time_ns[1:] < time_ns[:-1]) + 1
    if not np.isin(set_back, starts).all():  # a clock was: first and last are by time, as of parts that are merged
        order = np.lexsort((time_ns, np.repeat(np.arange(len(starts)), counts)))
        value, step, time_ns = value[order], step[order], time_ns[order]
    is_finite = np.isfinite(value)
    if all_finite := bool(is_finite.all()):
        finite, low, high, summed = counts, value, value, value
    else:
        finite = np.add.reduceat(is_finite.astype(np.int64), starts)
        low, high = np.where(is_finite, value, np.inf), np.where(is_finite, value, -np.inf)
        summed = np.where(is_finite, value, 0.0)
    with np.errstate(all="ignore"):
        # Scaled before it is summed, so that values near the end of the range do not overflow.
        mean = np.add.reduceat(summed / np.repeat(np.maximum(finite, 1), counts), starts)
        distance = np.where(is_finite, value - np.repeat(mean, counts), 0.0)
        squares = np.add.reduceat(distance * distance, starts)
    last = ends - 1
    columns = (
        counts, finite, value[starts], time_ns[starts], value[last], step[last], time_ns[last],
        np.minimum.reduceat(low, starts), np.maximum.reduceat(high, starts), mean, squares,
    )  # fmt: skip
    tallies = [Tally(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    if not all_finite:
        _note_odd(tallies, np.flatnonzero(~is_finite), step, time_ns, starts)
    return tallies


def _note_odd(
    tallies: list[Tally],
    odd: npt.NDArray[np.intp],
    step: npt.NDArray[np.int64],
    time_ns: npt.NDArray[np.int64],
    starts: npt.NDArray[np.intp],
) -> None:
    """Say of each tally where its first NaN or infinity stood."""
    owners, firsts = np.unique(np.searchsorted(starts, odd, side="right") - 1, return_index=True)
    for owner, first in zip(owners.tolist(), odd[firsts].tolist(), strict=True):
        tally = tallies[owner]
        tally.odd_step, tally.odd_ns = int(step[first]), int(time_ns[first])
        if not tally.finite:
            tally.least = tally.greatest = None


def _row(run: int, stage_ref: str, key: str, rank: int, unit: str, tally: Tally) -> dict[str, object]:
    return {
        "run": run, "stage_ref": stage_ref, "key": key, "rank": rank, "unit": unit, "points": tally.points,
        "finite": tally.finite, "first_value": tally.first_value, "first_ns": tally.first_ns,
        "last_value": tally.last_value, "last_step": tally.last_step, "last_ns": tally.last_ns,
        "least": tally.least, "greatest": tally.greatest, "mean": tally.mean, "squares": tally.squares,
        "odd_step": tally.odd_step, "odd_ns": tally.odd_ns,
    }  # fmt: skip


def time_range(batch: DecodedBatch) -> tuple[int, int]:
    """Return the earliest and the latest time in a batch; (0, 0) when it is empty."""
    times = [entry.time_ns for entry in batch.entries]
    for time_ns in (*(part.time_ns for part in batch.columns), *(part.time_ns for part in batch.rows)):
        if len(time_ns):
            times += (int(time_ns.min()), int(time_ns.max()))
    return (min(times), max(times)) if times else (0, 0)
