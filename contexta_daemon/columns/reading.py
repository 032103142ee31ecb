"""One series out of the columns, as arrays. DuckDB is imported when the first series is read, and not before."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from contexta_daemon.catalog.tally import NO_RANK
from contexta_daemon.log import Position

from .arrow import ArrowColumn, fetch_columns
from .files import BEGINNING, ColumnFile, chain_in, end_of

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__)

ATTEMPTS = 4  # files may be merged away between the look into the folder and their opening
_MEMORY_LIMIT = "1GB"
_starting = threading.Lock()


@dataclass(frozen=True, slots=True)
class ColumnPoints:
    """Points as arrays of one length, in the order of their files; within a file by rank, step and time.

    `step` is 0 where `has_step` is False; `rank` is -1 where there is none; `wide` holds exact integers by their place.
    """

    step: npt.NDArray[np.int64]
    has_step: npt.NDArray[np.bool_]
    value: npt.NDArray[np.float64]
    time_ns: npt.NDArray[np.int64]
    rank: npt.NDArray[np.int32]
    wide: dict[int, str]

    @property
    def count(self) -> int:
        return len(self.value)


def read_columns(
    folder: Path, *, run_id: str, attempt: int, key: str, stage_id: str | None = None, rank: int | None = None
) -> tuple[ColumnPoints, Position]:
    """Return the points of a metric in an attempt of a run, and up to where in the log they are all that there is.

    `stage_id`, `rank`: only those of this stage, or rank; "" and NO_RANK (tally.py): of none. Files that cannot be read
    count for nothing: the log has all.
    """
    conditions, values = ["run_id = ?", "attempt = ?", "key = ?"], [run_id, attempt, key]
    for name, wanted in (("stage_id", stage_id), ("rank", rank)):
        if wanted in ("", NO_RANK):
            conditions.append(f"{name} IS NULL")
        elif wanted is not None:
            conditions.append(f"{name} = ?")
            values.append(wanted)
    for left in reversed(range(ATTEMPTS)):
        chain = chain_in(folder)
        if not chain:
            break
        try:
            return _read(folder, chain, " AND ".join(conditions), values), end_of(chain)
        except Exception as error:  # of DuckDB, of memory
            if not left:
                _log.warning("columns cannot be read, the log is: %s", error)
    return _none(), BEGINNING


def _read(folder: Path, chain: Sequence[ColumnFile], where: str, values: Sequence[Any]) -> ColumnPoints:
    paths = [str(folder / file.name) for file in chain]
    with connection().cursor() as cursor:
        found = fetch_columns(
            cursor,
            "SELECT step, value, time_ns, rank, wide IS NOT NULL OR value_bits IS NOT NULL "
            f"FROM read_parquet(?) WHERE {where}",
            [paths, *values],
            (np.int64, np.float64, np.int64, np.int32, np.bool_),
        )
        step = found[0]
        value, odd, wide = _filled(found[1], np.nan), found[4].values, dict[int, str]()
        if odd.any():
            exact = cursor.execute(
                f"SELECT wide, value_bits FROM read_parquet(?) WHERE {where} "
                "AND (wide IS NOT NULL OR value_bits IS NOT NULL)",
                [paths, *values],
            ).fetchall()
            bits = value.view(np.int64)
            for place, (text, payload) in zip(np.flatnonzero(odd).tolist(), exact, strict=True):
                if text is not None:
                    wide[place] = text
                if payload is not None:
                    bits[place] = payload
    return ColumnPoints(
        step=_filled(step, 0),
        has_step=np.ones(len(step.values), np.bool_) if step.valid is None else step.valid,
        value=value,
        time_ns=_filled(found[2], 0),
        rank=_filled(found[3], -1),
        wide=wide,
    )


def _filled(column: ArrowColumn, missing: Any) -> Any:
    """A column as an array with a value where it is NULL."""
    if column.valid is not None:
        column.values[~column.valid] = missing
    return column.values


def _none() -> ColumnPoints:
    whole = np.empty(0, np.int64)
    return ColumnPoints(whole, np.empty(0, np.bool_), np.empty(0, np.float64), whole, np.empty(0, np.int32), {})


def connection() -> duckdb.DuckDBPyConnection:
    """The one database of this process; each read has a cursor of its own."""
    with _starting:
        return _connect()


@functools.cache
def _connect() -> duckdb.DuckDBPyConnection:
    import duckdb

    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": 1,
            "memory_limit": _MEMORY_LIMIT,
            "temp_directory": "",
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        },
    )
    connection.execute("SET parquet_metadata_cache = true")
    return connection
