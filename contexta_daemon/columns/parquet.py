"""Points -> one sorted Parquet file, and several files -> one, by DuckDB. Only workers import this."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from .files import SPILL_FOLDER
from .gathering import Points, Series
from .schema import SORTED_BY, TYPES, VERSION

MEMORY_LIMIT = "192MB"
COMPRESSION_LEVEL = 9  # twice the time of 1, which is a fifth of what sorting takes
ROW_GROUP_ROWS = 491_520  # a multiple of DuckDB's vectors; fewer cost bytes, more cost memory

_OPTIONS = (
    f"FORMAT parquet, PARQUET_VERSION V2, COMPRESSION zstd, COMPRESSION_LEVEL {COMPRESSION_LEVEL}, "
    f"ROW_GROUP_SIZE {ROW_GROUP_ROWS}, KV_METADATA {{contexta_columns: '{VERSION}'}}"
)
_CAST = ", ".join(f"{name}::{kind} AS {name}" for name, kind in TYPES.items())
_WRITTEN = f"""
SELECT {_CAST} FROM (
  SELECT s.*, CASE WHEN p.has_step THEN p.step END AS step, p.time_ns,
         coalesce(p.value, 'nan'::DOUBLE) AS value,
         o.wide, CASE WHEN o.has_bits THEN o.bits END AS value_bits, p.sequence
  FROM points p JOIN series s ON s.series = p.series LEFT JOIN odd o ON o.row = p.row
) ORDER BY ord, step NULLS FIRST, time_ns, session, sequence
"""


class ParquetWriter:
    """Writes files in one folder, with bounded memory: what does not fit is sorted on disk."""

    def __init__(self, folder: Path) -> None:
        self._spill = folder / SPILL_FOLDER
        config: dict[str, Any] = {
            "threads": 1,
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": str(self._spill),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._connection = duckdb.connect(":memory:", config=config)

    def write(self, points: Points, path: Path) -> None:
        """Write points, sorted, to a file; it may have none."""
        connection = self._connection
        tables = {"points": _points(points), "series": _series(points), "odd": _odd(points)}
        try:
            for name, columns in tables.items():
                connection.register(name, columns)
            connection.execute(f"COPY ({_WRITTEN}) TO {quoted(path)} ({_OPTIONS})")
        finally:
            for name in tables:
                connection.unregister(name)

    def merge(self, paths: Sequence[Path], path: Path) -> None:
        """Write all rows of files to one, sorted."""
        listed = ", ".join(quoted(each) for each in paths)
        self._connection.execute(
            f"COPY (SELECT {', '.join(TYPES)} FROM read_parquet([{listed}]) ORDER BY {SORTED_BY}) "
            f"TO {quoted(path)} ({_OPTIONS})"
        )

    def rows(self, path: Path) -> int | None:
        """Return how many rows a file has; None when it is no Parquet file that can be read."""
        try:
            found = self._connection.execute(
                f"SELECT num_rows FROM parquet_file_metadata({quoted(path)})"
            ).fetchall()
        except duckdb.Error:
            return None
        return int(found[0][0])

    def close(self) -> None:
        self._connection.close()


def quoted(path: Path) -> str:
    """Return a path as SQL text."""
    return "'" + str(path).replace("'", "''") + "'"


def _points(points: Points) -> dict[str, Any]:
    return {
        "row": np.arange(len(points.series)),
        "series": points.series,
        "step": points.step,
        "has_step": points.has_step,
        "time_ns": points.time_ns,
        "value": points.value,  # DuckDB takes NaN in an array for NULL
        "sequence": points.sequence,
    }


def _series(points: Points) -> dict[str, Any]:
    """The table of series. `ord`: the place of all series in the file that are sorted alike."""
    table = points.table
    order = {key: place for place, key in enumerate(sorted({series.sorted_by for series in table}))}
    columns: dict[str, Any] = {}
    for place, name in enumerate(Series._fields):
        values = [series[place] for series in table]
        columns[name] = _integers(values) if TYPES[name] == "INTEGER" else _texts(values)
    columns["series"] = np.arange(len(table), dtype=np.int32)
    columns["ord"] = np.array([order[series.sorted_by] for series in table], np.int64)
    return columns


def _odd(points: Points) -> dict[str, Any]:
    bits = points.odd_bits
    return {
        "row": points.odd_row,
        "wide": _texts(points.odd_wide),
        "has_bits": np.array([each is not None for each in bits], np.bool_),
        "bits": np.array([each or 0 for each in bits], np.int64),
    }


def _texts(values: Sequence[Any]) -> Any:
    return np.array(values, dtype=object) if any(value is not None for value in values) else _nothing(len(values))


def _integers(values: Sequence[Any]) -> Any:
    numbers = np.array([value or 0 for value in values], np.int32)
    return np.ma.masked_array(numbers, mask=np.array([value is None for value in values], np.bool_))


def _nothing(rows: int) -> Any:
    """A column of NULL; DuckDB makes no column of an empty array of objects."""
    return np.ma.masked_array(np.zeros(rows, np.int32), mask=np.ones(rows, np.bool_))
