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
COMPRESSION_LEVEL = 9  # hardly more time than 1, and fewer bytes
ROW_GROUP_ROWS = 491_520  # a multiple of DuckDB's vectors; fewer cost bytes, more cost memory
DICTIONARY_VALUES = 4096  # in a row group; DuckDB would try larger ones, in a third of its time, and drop them
# So many have room in memory beside what is sorted. Sorting whole rows, with eleven names in each, takes DuckDB six
# times as long as writing them; with few series their numbers are sorted, and the names are looked up behind it.
FEW_SERIES = 1 << 16

_OPTIONS = (
    f"FORMAT parquet, PARQUET_VERSION V2, COMPRESSION zstd, COMPRESSION_LEVEL {COMPRESSION_LEVEL}, "
    f"ROW_GROUP_SIZE {ROW_GROUP_ROWS}, DICTIONARY_SIZE_LIMIT {DICTIONARY_VALUES}, "
    f"KV_METADATA {{contexta_columns: '{VERSION}'}}"
)
_SERIES_CAST = ", ".join(
    f"nullif({name}::VARCHAR, '') AS {name}" if TYPES[name] == "VARCHAR"
    else f"CASE WHEN has_{name} THEN {name}::{TYPES[name]} END AS {name}"
    for name in Series._fields
)  # fmt: skip
_WRITTEN = f"""
SELECT {", ".join(f"{name}::{kind} AS {name}" for name, kind in TYPES.items())} FROM (
  SELECT s.*, CASE WHEN p.has_step THEN p.step END AS step, p.time_ns,
         coalesce(p.value, 'nan'::DOUBLE) AS value,
         nullif(o.wide::VARCHAR, '') AS wide, CASE WHEN o.has_bits THEN o.bits END AS value_bits, p.sequence
  FROM points p JOIN (SELECT series, ord, {_SERIES_CAST} FROM series) s ON s.series = p.series
       JOIN odd o ON o.odd = p.odd
)
"""
_SORT = "ORDER BY ord, step NULLS FIRST, time_ns, session, sequence"

# Merging. `{files}`: what is merged.
_NAMES = ", ".join(Series._fields)
_COUNT_SERIES = f"SELECT approx_count_distinct(hash({_NAMES})) FROM {{files}}"
_SERIES = f"""
CREATE OR REPLACE TEMP TABLE series AS
SELECT *, row_number() OVER () AS series, dense_rank() OVER (ORDER BY session) AS session_order,
       dense_rank() OVER (ORDER BY run_id NULLS FIRST, attempt NULLS FIRST, key, stage_id NULLS FIRST, rank NULLS FIRST)
         AS ord
FROM (SELECT DISTINCT {_NAMES} FROM {{files}})
"""
_SORTED = f"""
CREATE OR REPLACE TEMP TABLE sorted AS
SELECT s.series, p.step, p.time_ns, p.value, p.wide, p.value_bits, p.sequence
FROM {{files}} p JOIN series s ON {" AND ".join(f"p.{name} IS NOT DISTINCT FROM s.{name}" for name in Series._fields)}
ORDER BY s.ord, p.step NULLS FIRST, p.time_ns, s.session_order, p.sequence
"""
_MERGED = f"SELECT {', '.join(TYPES)} FROM sorted JOIN series USING (series)"
_MERGED_WIDE = f"SELECT {', '.join(TYPES)} FROM {{files}} ORDER BY {SORTED_BY}"


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
        # An inner join keeps the order of its left side, as long as the right one is what is looked up in.
        self._connection.execute("SET disabled_optimizers = 'join_order, build_side_probe_side'")

    def write(self, points: Points, path: Path) -> None:
        """Write points, sorted, to a file; it may have none."""
        connection = self._connection
        series = _series(points)
        tables = {"points": _points(points, series), "series": series, "odd": _odd(points)}
        rows = _WRITTEN if len(points.table) <= FEW_SERIES else f"{_WRITTEN} {_SORT}"
        try:
            for name, columns in tables.items():
                connection.register(name, columns)
            connection.execute(f"COPY ({rows}) TO {quoted(path)} ({_OPTIONS})")
        finally:
            for name in tables:
                connection.unregister(name)

    def merge(self, paths: Sequence[Path], path: Path) -> None:
        """Write all rows of files to one, sorted."""
        connection = self._connection
        files = f"read_parquet([{', '.join(quoted(each) for each in paths)}])"
        counted = connection.execute(_COUNT_SERIES.format(files=files)).fetchall()
        if counted[0][0] > FEW_SERIES:
            connection.execute(f"COPY ({_MERGED_WIDE.format(files=files)}) TO {quoted(path)} ({_OPTIONS})")
            return
        try:
            for make in (_SERIES, _SORTED):
                connection.execute(make.format(files=files))
            connection.execute(f"COPY ({_MERGED}) TO {quoted(path)} ({_OPTIONS})")
        finally:
            for table in ("sorted", "series"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")

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


def _points(points: Points, series: dict[str, Any]) -> dict[str, Any]:
    """The points, sorted. `odd`: their place in that table."""
    of_row = points.series
    odd = np.zeros(len(of_row), np.int32)
    odd[points.odd_row] = np.arange(1, len(points.odd_row) + 1)
    order = np.lexsort(
        (
            points.sequence, series["session_order"][of_row], points.time_ns, points.step, points.has_step,
            series["ord"][of_row],
        )
    )  # fmt: skip
    return {
        "series": of_row[order],
        "odd": odd[order],
        "step": points.step[order],
        "has_step": points.has_step[order],
        "time_ns": points.time_ns[order],
        "value": points.value[order],  # DuckDB takes NaN in an array for NULL
        "sequence": points.sequence[order],
    }


def _series(points: Points) -> dict[str, Any]:
    """The table of series. `ord`: the place of all series in the file that are sorted alike; `session_order`: that of
    their session."""
    table = points.table
    order = {key: place for place, key in enumerate(sorted({series.sorted_by for series in table}))}
    sessions = {session: place for place, session in enumerate(sorted({series.session for series in table}))}
    columns: dict[str, Any] = {}
    for place, name in enumerate(Series._fields):
        values = [series[place] for series in table]
        if TYPES[name] == "VARCHAR":
            columns[name] = _texts(values)
        else:
            columns[name] = np.array([value or 0 for value in values], np.int32)
            columns[f"has_{name}"] = np.array([value is not None for value in values], np.bool_)
    columns["series"] = np.arange(len(table), dtype=np.int32)
    columns["ord"] = np.array([order[series.sorted_by] for series in table], np.int64)
    columns["session_order"] = np.array([sessions[series.session] for series in table], np.int64)
    return columns


def _odd(points: Points) -> dict[str, Any]:
    """What few points have. The first row is that of all the others."""
    bits = (None, *points.odd_bits)
    return {
        "odd": np.arange(len(bits), dtype=np.int32),
        "wide": _texts((None, *points.odd_wide)),
        "has_bits": np.array([each is not None for each in bits], np.bool_),
        "bits": np.array([each or 0 for each in bits], np.int64),
    }


def _texts(values: Sequence[Any]) -> Any:
    """A column of texts, '' where there is none: before 2.0 DuckDB does not see which places of a masked array are."""
    return np.array([value or "" for value in values], object) if values else np.empty(0, np.int32)  # it needs a type
