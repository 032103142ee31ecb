"""A metric over a run: out of the columns, and what is not in them yet out of the log.

Of the log only the batches are read that the catalog says hold it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from contexta.errors import ValidationError
from contexta.interpretation.downsample import downsample
from contexta.v1 import query_pb2
from contexta_daemon.batches import BadBatchError, DecodedBatch, decode, decode_step
from contexta_daemon.catalog import BEGINNING
from contexta_daemon.catalog.observations import as_float, whole_number
from contexta_daemon.catalog.ranges import IdSet
from contexta_daemon.catalog.schema import HAS_METRICS, HAS_STORED
from contexta_daemon.columns import ColumnPoints, read_columns, stored_metric
from contexta_daemon.columns.gathering import Series
from contexta_daemon.log import LogCorruptError, LogTruncatedError, Position, ReadableLog

from .series_wanted import SeriesWanted, count_points, is_summed_up, no_metric, unit_of

MAX_REPLY_BYTES = 256 << 20  # what a channel takes is a little more; the answer is made in memory
BYTES_A_POINT = 8 + 1 + 8 + 8 + 4
MAX_POINTS = MAX_REPLY_BYTES // BYTES_A_POINT


@dataclass(slots=True)
class _Points:
    """Columns of points as they are found; `wide` holds the exact integers by their place."""

    step: list[npt.NDArray[np.int64]] = field(default_factory=list)
    has_step: list[npt.NDArray[np.bool_]] = field(default_factory=list)
    value: list[npt.NDArray[np.float64]] = field(default_factory=list)
    time_ns: list[npt.NDArray[np.int64]] = field(default_factory=list)
    rank: list[npt.NDArray[np.int32]] = field(default_factory=list)
    wide: dict[int, str] = field(default_factory=dict)
    count: int = 0

    def add(
        self,
        step: npt.NDArray[np.int64],
        value: npt.NDArray[np.float64],
        time_ns: npt.NDArray[np.int64],
        rank: int | None,
    ) -> None:
        """Add points of the log, whose steps are in their stored form."""
        steps, has_step = decode_step(step)
        ranks = np.full(len(step), -1 if rank is None else rank, dtype=np.int32)
        self._append(steps, has_step, value, time_ns, ranks)

    def add_columns(self, found: ColumnPoints) -> None:
        self.wide |= {self.count + place: text for place, text in found.wide.items()}
        self._append(found.step, found.has_step, found.value, found.time_ns, found.rank)

    def _append(
        self,
        step: npt.NDArray[np.int64],
        has_step: npt.NDArray[np.bool_],
        value: npt.NDArray[np.float64],
        time_ns: npt.NDArray[np.int64],
        rank: npt.NDArray[np.int32],
    ) -> None:
        if len(step):
            self.step.append(step)
            self.has_step.append(has_step)
            self.value.append(value)
            self.time_ns.append(time_ns)
            self.rank.append(rank)
            self.count += len(step)


@dataclass(frozen=True, slots=True)
class _Source:
    """One session that captured the metric: which of its ids to look for."""

    session: int
    session_id: bytes
    rank: int | None
    keys: frozenset[int]
    scopes: frozenset[int]


def read_series(
    connection: sqlite3.Connection,
    log: ReadableLog,
    request: query_pb2.GetStepSeriesRequest,
    *,
    columns: Path | None = None,
) -> query_pb2.GetStepSeriesResponse:
    """Return the points of a metric in a run, of all stages and ranks unless the request names one; see `read_points`.

    Raises NotFoundError for a run, stage or metric that is not there, ValidationError for more points than travel in
    one answer.
    """
    wanted = SeriesWanted.of(connection, request)
    count = sum(count_points(connection, wanted).values())
    if min(count, request.max_points or count) > MAX_POINTS:
        raise ValidationError(
            f"The series has {count} points; at most {MAX_POINTS} travel in one answer. "
            f"Ask with max_points, or for one rank or stage.",
            code="answer_too_long",
            details={"points": count, "limit": MAX_POINTS},
        )
    return read_points(connection, log, wanted, columns=columns, max_points=request.max_points)


def read_points(
    connection: sqlite3.Connection,
    log: ReadableLog,
    wanted: SeriesWanted,
    *,
    columns: Path | None = None,
    max_points: int = 0,
) -> query_pb2.GetStepSeriesResponse:
    """Return points of a run ordered by (step, time); those without a step come first.

    `columns`: the folder of the columns, where there are any; else all is read from the log. `max_points`: see
    GetStepSeriesRequest. Raises NotFoundError where the run has no such metric.
    """
    run = wanted.run
    if not is_summed_up(connection, run, wanted.key):
        raise no_metric(connection, run, wanted.key)
    sources = _sources(connection, wanted)
    points, start = _Points(), BEGINNING
    if columns is not None:
        found, start = read_columns(
            columns,
            run_id=run.run_ref,
            attempt=run.attempt,
            key=wanted.key,
            stage_id=wanted.stage,
            rank=wanted.rank,
        )
        points.add_columns(found)
    for source in sources:
        _read_source(connection, log, source, start, points)
    _read_stored(connection, log, wanted, start, points)
    return _reply(run.run_ref, wanted.stage or "", unit_of(connection, wanted), points, max_points)


def _sources(connection: sqlite3.Connection, wanted: SeriesWanted) -> list[_Source]:
    rows = connection.execute(
        "SELECT s.id, s.session_id, s.rank, k.key_id FROM run_sessions j JOIN sessions s ON s.id = j.session "
        "JOIN session_keys k ON k.session = s.id WHERE j.run = ? AND k.key = ?",
        (wanted.run.id, wanted.key),
    )
    keys: dict[tuple[int, bytes, int | None], set[int]] = {}
    for session, session_id, rank, key_id in rows:
        if wanted.is_of_rank(rank):
            keys.setdefault((session, session_id, rank), set()).add(key_id)
    return [
        _Source(session, session_id, rank, frozenset(ids), _scopes(connection, wanted, session))
        for (session, session_id, rank), ids in keys.items()
    ]


def _scopes(connection: sqlite3.Connection, wanted: SeriesWanted, session: int) -> frozenset[int]:
    """The scope ids by which a session means this run, or a stage of it and all within."""
    rows = connection.execute(
        "SELECT o.scope_id FROM session_scopes o LEFT JOIN scopes s ON s.id = o.target AND o.kind IN (2, 3, 4, 5) "
        "WHERE o.session = ?1 AND o.run = ?2 "
        "AND (?3 IS NULL OR iif(o.kind = 2, s.ref, coalesce(s.stage_ref, '')) = ?3)",
        (session, wanted.run.id, wanted.stage),
    )
    return frozenset(row[0] for row in rows)


def _read_source(
    connection: sqlite3.Connection, log: ReadableLog, source: _Source, start: Position, points: _Points
) -> None:
    """Read what a session captured from `start` on."""
    if not source.scopes:
        return
    wanted_keys, wanted_scopes = IdSet(source.keys), IdSet(source.scopes)
    groups = {
        group_id: np.isin(np.frombuffer(key_ids, "<u4"), list(source.keys))
        for group_id, key_ids in connection.execute(
            "SELECT group_id, key_ids FROM session_groups WHERE session = ?", (source.session,)
        )
    }
    rows = connection.execute(
        "SELECT segment, offset, scopes, keys FROM batches WHERE session = ? AND kinds & ? "
        "AND (segment, offset) >= (?, ?) ORDER BY id",
        (source.session, HAS_METRICS, start.segment, start.offset),
    )
    for segment, offset, scopes, keys in rows:
        if not wanted_keys.in_ranges(keys) or not wanted_scopes.in_ranges(scopes):
            continue
        try:
            batch = decode(log.read_at(Position(segment, offset)))
        except (LogCorruptError, LogTruncatedError, BadBatchError):
            continue  # counted by the log, shown by the status
        _take(batch, source, groups, points)


def _read_stored(
    connection: sqlite3.Connection,
    log: ReadableLog,
    wanted: SeriesWanted,
    start: Position,
    points: _Points,
) -> None:
    """Read what was put through a store from `start` on."""
    rows = connection.execute(
        "SELECT segment, offset FROM batches WHERE kinds & ? AND (segment, offset) >= (?, ?) ORDER BY id",
        (HAS_STORED, start.segment, start.offset),
    )
    for segment, offset in rows:
        position = Position(segment, offset)
        try:
            logged = log.read_at(position, metrics=False)
            batch = decode(logged)
        except (LogCorruptError, LogTruncatedError, BadBatchError):
            continue  # counted by the log, shown by the status
        for item, entry in enumerate(batch.entries):
            if not entry.HasField("record_stored"):
                continue
            made = stored_metric(connection, logged.envelope.session_id, entry.record_stored, position, item)
            if made is not None and _is_wanted(made.series, wanted):
                if made.wide is not None:
                    points.wide[points.count] = made.wide
                step, value = np.array([made.step], dtype=np.int64), np.array([made.value])
                points.add(step, value, np.array([made.time_ns], dtype=np.int64), made.series.rank)


def _is_wanted(series: Series, wanted: SeriesWanted) -> bool:
    return (
        (series.run_id, series.attempt, series.key) == (wanted.run.run_ref, wanted.run.attempt, wanted.key)
        and wanted.stage in (None, series.stage_id or "")
        and wanted.is_of_rank(series.rank)
    )


def _take(batch: DecodedBatch, source: _Source, groups: dict[int, npt.NDArray[np.bool_]], points: _Points) -> None:
    for columns in batch.columns:
        wanted = _mask(columns.series & np.uint64(0xFFFF_FFFF), source.keys)
        wanted &= _mask(columns.series >> np.uint64(32), source.scopes)
        if wanted.all():
            points.add(columns.step, columns.value, columns.time_ns, source.rank)
        elif wanted.any():
            points.add(columns.step[wanted], columns.value[wanted], columns.time_ns[wanted], source.rank)
    for rows in batch.rows:
        of_group = groups.get(rows.group_id)
        if of_group is None or len(of_group) != len(rows.value) or not of_group.any():
            continue
        wanted = _mask(rows.scope_id, source.scopes)
        for place in np.flatnonzero(of_group).tolist():
            points.add(rows.step[wanted], rows.value[place][wanted], rows.time_ns[wanted], source.rank)
    for entry in batch.entries:
        if entry.HasField("wide_metric"):
            wide = entry.wide_metric
            if wide.key_id in source.keys and wide.scope_id in source.scopes:
                whole = whole_number(wide.value)
                if whole is None:
                    continue  # set aside by the catalog
                points.wide[points.count] = str(whole)
                step, value = np.array([wide.step], dtype=np.int64), np.array([as_float(whole)])
                points.add(step, value, np.array([entry.time_ns], dtype=np.int64), source.rank)


def _mask(ids: npt.NDArray[np.uint64], wanted: frozenset[int]) -> npt.NDArray[np.bool_]:
    if len(wanted) == 1:
        (only,) = wanted
        return np.asarray(ids == np.uint64(only))
    return np.isin(ids, np.fromiter(wanted, dtype=np.uint64, count=len(wanted)))


def _reply(run_ref: str, stage: str, unit: str, points: _Points, max_points: int) -> query_pb2.GetStepSeriesResponse:
    if not points.count:
        return query_pb2.GetStepSeriesResponse(run_id=run_ref, stage_id=stage, unit=unit)
    step, has_step = _joined(points.step), _joined(points.has_step)
    value, time_ns, rank = _joined(points.value), _joined(points.time_ns), _joined(points.rank)
    order = _order(step, has_step, time_ns)
    if max_points:
        kept = downsample(value if order is None else value[order], max_points)
        order = kept if order is None else order[kept]
    if order is not None:
        step, has_step, value, time_ns, rank = step[order], has_step[order], value[order], time_ns[order], rank[order]
    reply = query_pb2.GetStepSeriesResponse(
        run_id=run_ref,
        stage_id=stage,
        unit=unit,
        value=value.astype("<f8", copy=False).tobytes(),
        time_ns=time_ns.astype("<i8", copy=False).tobytes(),
        total_points=points.count,
        wide=_wide_places(points.wide, order),
    )
    _set_steps(reply, step, has_step)
    if (rank == rank[0]).all():
        reply.rank_of_all = int(rank[0])
    else:
        reply.rank = rank.astype("<i4", copy=False).tobytes()
    return reply


def _set_steps(
    reply: query_pb2.GetStepSeriesResponse, step: npt.NDArray[np.int64], has_step: npt.NDArray[np.bool_]
) -> None:
    """Say evenly rising steps, as they mostly are, by their first and the stride: half of an answer's bytes."""
    if not has_step.all():
        reply.has_step = has_step.astype(np.uint8).tobytes()
    elif len(step) > 1 and (stride := int(step[1]) - int(step[0])) > 0 and (np.diff(step) == stride).all():
        reply.step_start, reply.step_stride = int(step[0]), stride
        return
    reply.step = step.astype("<i8", copy=False).tobytes()


def _joined(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _order(
    step: npt.NDArray[np.int64], has_step: npt.NDArray[np.bool_], time_ns: npt.NDArray[np.int64]
) -> npt.NDArray[np.intp] | None:
    """Return the order by (has a step, step, time); None when the points are in it already, as they mostly are."""
    if (has_step.all() and (step[1:] > step[:-1]).all()) or (
        not has_step.any() and (time_ns[1:] >= time_ns[:-1]).all()
    ):
        return None
    return np.lexsort((time_ns, step, has_step))


def _wide_places(wide: dict[int, str], order: npt.NDArray[np.intp] | None) -> dict[int, str]:
    if order is None or not wide:
        return wide
    places = {int(old): new for new, old in enumerate(order.tolist()) if old in wide}
    return {place: wide[old] for old, place in places.items()}
