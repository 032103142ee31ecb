"""Metrics as a Parquet file, written by DuckDB in steps of bounded memory.

`wide` has the exact integer, in decimal digits, where `value` may not be: as in the columns (docs/format/columns.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import inf, nan
from pathlib import Path

from contexta.interpretation import ObservationRecord

_ROWS_AT_ONCE = 50_000
_COLUMNS = "run_id VARCHAR, stage_id VARCHAR, batch_id VARCHAR, sample_id VARCHAR, key VARCHAR, unit VARCHAR, " \
           "rank INTEGER, step BIGINT, observed_at VARCHAR, value DOUBLE, wide VARCHAR"  # fmt: skip
_EXACT = 2**53  # every integer up to here is a double


def write_metrics(file: Path, records: Iterator[ObservationRecord]) -> int:
    """Write the metrics among records; return how many."""
    import duckdb
    import numpy as np

    names = [part.split()[0] for part in _COLUMNS.split(", ") if not part.startswith("wide ")]
    count = 0
    with duckdb.connect() as connection:
        connection.execute("SET memory_limit = '512MB'")
        connection.execute(f"CREATE TABLE metrics ({_COLUMNS})")
        while part := list(islice(records, _ROWS_AT_ONCE)):
            columns = {name: np.array([getattr(each, name) for each in part], dtype=object) for name in names}
            columns["value"] = values = np.array([_as_double(each.value) for each in part], dtype=np.float64)
            columns["wide"] = np.array([_digits(each.value) for each in part], dtype=object)
            connection.register("part", columns | {"odd": np.isnan(values)})  # DuckDB takes NaN in an array for NULL
            connection.execute(
                "INSERT INTO metrics BY NAME "
                "SELECT * EXCLUDE odd REPLACE (if(odd, 'NaN'::DOUBLE, value) AS value) FROM part"
            )
            connection.unregister("part")
            count += len(part)
        target = str(file).replace("'", "''")
        connection.execute(f"COPY metrics TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    return count


def _as_double(value: float | None) -> float:
    """Return the nearest double; an integer beyond all of them is infinite."""
    if value is None:
        return nan
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def _digits(value: float | int | None) -> str | None:
    return str(value) if isinstance(value, int) and abs(value) > _EXACT else None
