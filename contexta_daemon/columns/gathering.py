"""Logged batches -> the metrics in them as arrays, with the names that their ids stand for. No I/O, but the catalog.

What belongs to a whole series (run, stage, key ...) is a row of a small table; a metric is a number into it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from contexta.v1 import capture_pb2
from contexta_daemon.batches import BadBatchError, Rows, decode, decode_step
from contexta_daemon.catalog import Names, Session
from contexta_daemon.catalog.observations import as_float, whole_number
from contexta_daemon.catalog.stored import content_of, stored_at
from contexta_daemon.log import LoggedBatch, Position

CANONICAL_NAN = 0x7FF8_0000_0000_0000  # the bits of NaN as DuckDB reads and writes it
# Kept apart as well: where DuckDB before 2.0 writes a dictionary, it and 0.0 become the one that came first.
_NEGATIVE_ZERO = 1 << 63
_EXACT = 1 << 53  # integers up to here are doubles

Int64s = npt.NDArray[np.int64]


class Series(NamedTuple):
    """Everything that does not change from point to point. None: there is none."""

    run_id: str | None
    attempt: int | None
    key: str
    stage_id: str | None
    rank: int | None
    batch_id: str | None
    sample_id: str | None
    operation_id: str | None
    deployment_id: str | None
    unit: str | None
    session: str

    @property
    def sorted_by(self) -> tuple[tuple[bool, Any], ...]:
        """What files are sorted by, apart from step and time; none comes first."""
        of_name = (self.run_id, self.attempt, self.key, self.stage_id, self.rank)
        return tuple((value is not None, value) for value in of_name)


@dataclass(frozen=True, slots=True)
class StoredMetric:
    """A metric put through a store; `step` in its stored form, `wide`: the integer that a double cannot hold."""

    series: Series
    step: int
    time_ns: int
    value: float
    wide: str | None


@dataclass(frozen=True, slots=True)
class Points:
    """Metrics as arrays of one length. `series` are indices into `table`; `odd_*` speak of the rows in `odd_row`."""

    table: tuple[Series, ...]
    series: npt.NDArray[np.int32]
    step: Int64s
    has_step: npt.NDArray[np.bool_]
    time_ns: Int64s
    value: npt.NDArray[np.float64]
    sequence: Int64s
    odd_row: Int64s
    odd_wide: tuple[str | None, ...]
    odd_bits: tuple[int | None, ...]


@dataclass(slots=True)
class _Singles:
    """Metrics that come one by one."""

    series: list[int] = field(default_factory=list)
    step: list[int] = field(default_factory=list)
    time_ns: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    sequence: list[int] = field(default_factory=list)
    wide: list[str | None] = field(default_factory=list)

    def add(self, series: int, step: int, time_ns: int, value: float, sequence: int, wide: str | None) -> None:
        self.series.append(series)
        self.step.append(step)
        self.time_ns.append(time_ns)
        self.value.append(value)
        self.sequence.append(sequence)
        self.wide.append(wide)


class Gatherer:
    """Collects the metrics of batches that the catalog has applied. For one thread at a time."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything that was taken."""
        self._table: dict[Series, int] = {}
        self._parts: list[tuple[npt.NDArray[np.int32], Int64s, Int64s, npt.NDArray[np.float64], Int64s]] = []
        self._singles = _Singles()
        self.rows = 0

    def take(self, connection: sqlite3.Connection, batches: Sequence[LoggedBatch]) -> None:
        """Take in the metrics of batches. What refers to ids that were never defined is left out, as everywhere."""
        names = Names(connection)  # anew: a catalog that was made again has other rows
        for logged in batches:
            session = names.session(logged.envelope.session_id)
            if session is None:
                continue
            try:
                batch = decode(logged)
            except BadBatchError:
                continue  # set aside by the catalog
            first = logged.envelope.first_sequence
            for item, entry in enumerate(batch.entries):
                if entry.HasField("wide_metric"):
                    self._wide(names, session, entry, first + item)
                elif entry.HasField("record_stored"):
                    stored = entry.record_stored
                    made = stored_metric(connection, session.session_id, stored, logged.position, item)
                    if made is not None:
                        self._stored(made, first + item)
            for columns in batch.columns:
                self._metrics(
                    names, session, columns.series, columns.step, columns.time_ns, columns.value,
                    first + columns.first_item,
                )  # fmt: skip
            for rows in batch.rows:
                self._group(names, session, rows, first + rows.first_item)

    def points(self) -> Points:
        """Return everything that was taken."""
        singles = self._singles
        parts = [
            (
                np.array(singles.series, np.int32), np.array(singles.step, np.int64),
                np.array(singles.time_ns, np.int64), np.array(singles.value, np.float64),
                np.array(singles.sequence, np.int64),
            ),
            *self._parts,
        ]  # fmt: skip
        series, stored, time_ns, value, sequence = (np.concatenate(column) for column in zip(*parts, strict=True))
        step, has_step = decode_step(stored)
        bits = value.view(np.uint64)
        other_nan = np.isnan(value) & (bits != CANONICAL_NAN)
        negative_zero = bits == _NEGATIVE_ZERO
        payload = np.flatnonzero(other_nan | negative_zero).tolist()
        wide = dict(enumerate(singles.wide))
        odd = sorted({place for place, text in wide.items() if text is not None} | set(payload))
        kept = set(payload)
        return Points(
            table=tuple(self._table), series=series, step=step, has_step=has_step, time_ns=time_ns,
            value=np.where(negative_zero, 0.0, value), sequence=sequence, odd_row=np.array(odd, np.int64),
            odd_wide=tuple(wide.get(row) for row in odd),
            odd_bits=tuple(int(bits[row].view(np.int64)) if row in kept else None for row in odd),
        )  # fmt: skip

    def _group(self, names: Names, session: Session, rows: Rows, first: int) -> None:
        key_ids = names.group(session.id, rows.group_id)
        if key_ids is None or len(key_ids) != len(rows.value):
            return  # set aside by the catalog
        k, n = len(key_ids), len(rows.time_ns)
        row_first = first + np.arange(n, dtype=np.int64) * k
        for place, key_id in enumerate(key_ids.tolist()):
            series = (rows.scope_id << np.uint64(32)) | np.uint64(key_id)
            self._add(names, session, series, rows.step, rows.time_ns, rows.value[place], row_first + place)

    def _metrics(
        self,
        names: Names,
        session: Session,
        series: npt.NDArray[np.uint64],
        step: Int64s,
        time_ns: Int64s,
        value: npt.NDArray[np.float64],
        first: int,
    ) -> None:
        sequence = np.arange(first, first + len(series), dtype=np.int64)
        self._add(names, session, series, step, time_ns, value, sequence)

    def _add(
        self,
        names: Names,
        session: Session,
        series: npt.NDArray[np.uint64],
        step: Int64s,
        time_ns: Int64s,
        value: npt.NDArray[np.float64],
        sequence: Int64s,
    ) -> None:
        if not len(series):
            return
        if (series == series[0]).all():
            found = self._index(names, session, int(series[0]))
            places = np.full(len(series), found, np.int32)
        else:
            distinct, inverse = np.unique(series, return_inverse=True)
            found_all = [self._index(names, session, each) for each in distinct.tolist()]
            places = np.array(found_all, np.int32)[inverse.reshape(-1)]
        known = places >= 0
        if not known.all():
            places, step, time_ns = places[known], step[known], time_ns[known]
            value, sequence = value[known], sequence[known]
        self._parts.append((places, step, time_ns, value, sequence))
        self.rows += len(places)

    def _index(self, names: Names, session: Session, packed: int) -> int:
        """Return the index of a series in the table; -1 when its scope or key was never defined."""
        scope, key = names.scope(session.id, packed >> 32), names.key(session.id, packed & 0xFFFF_FFFF)
        if scope is None or key is None:
            return -1
        return self._place(
            Series(
                run_id=scope.run_ref or None, attempt=scope.attempt or None, key=key.key,
                stage_id=scope.stage_ref or None, rank=session.rank, batch_id=scope.batch_ref or None,
                sample_id=scope.sample_ref or None, operation_id=scope.operation_ref or None,
                deployment_id=scope.deployment_ref or None, unit=key.unit or None, session=session.session_id.hex(),
            )
        )  # fmt: skip

    def _place(self, series: Series) -> int:
        return self._table.setdefault(series, len(self._table))

    def _wide(self, names: Names, session: Session, entry: capture_pb2.Entry, sequence: int) -> None:
        metric = entry.wide_metric
        whole = whole_number(metric.value)
        place = self._index(names, session, metric.scope_id << 32 | metric.key_id) if whole is not None else -1
        if whole is not None and place >= 0:
            self._singles.add(place, metric.step, entry.time_ns, as_float(whole), sequence, str(whole))
            self.rows += 1

    def _stored(self, made: StoredMetric, sequence: int) -> None:
        self._singles.add(self._place(made.series), made.step, made.time_ns, made.value, sequence, made.wide)
        self.rows += 1


def stored_metric(
    connection: sqlite3.Connection, session: bytes, stored: capture_pb2.RecordStored, position: Position, item: int
) -> StoredMetric | None:
    """Return the metric put through a store with this item; its envelope says where it belongs.

    None: it is no metric, was set aside by the catalog, or had been stored before.
    """
    if stored.record_type != "metric":
        return None
    place = stored_at(connection, stored.ref, position, item)
    if place is None:
        return None
    content = content_of(stored)
    envelope, payload = content.envelope, content.payload
    series = Series(
        run_id=envelope.get("run_ref") or None, attempt=place.attempt or None, key=payload["metric_key"],
        stage_id=envelope.get("stage_execution_ref") or None, rank=content.rank,
        batch_id=envelope.get("batch_execution_ref") or None,
        sample_id=envelope.get("sample_observation_ref") or None,
        operation_id=envelope.get("operation_context_ref") or None,
        deployment_id=envelope.get("deployment_execution_ref") or None,
        unit=payload.get("unit") or None, session=session.hex(),
    )  # fmt: skip
    value = payload["value"]
    wide = str(value) if type(value) is int and abs(value) > _EXACT else None
    return StoredMetric(series, content.step, content.observed_ns, content.value, wide)
