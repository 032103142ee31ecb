"""Metrics as a Parquet file, written by DuckDB in steps of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from contexta.interpretation import ObservationRecord

_ROWS_AT_ONCE = 50_000
_COLUMNS = "run_id VARCHAR, stage_id VARCHAR, batch_id VARCHAR, sample_id VARCHAR, key VARCHAR, unit VARCHAR, " \
           "rank INTEGER, step BIGINT, observed_at VARCHAR, value DOUBLE"  # fmt: skip


def write_metrics(file: Path, records: Iterator[ObservationRecord]) -> int:
    """Write the metrics among records; return how many."""
    import duckdb
    import numpy as np

    names = [part.split()[0] for part in _COLUMNS.split(", ")]
    count = 0
    with duckdb.connect() as connection:
        connection.execute("SET memory_limit = '512MB'")
        connection.execute(f"CREATE TABLE metrics ({_COLUMNS})")
        while part := list(islice(records, _ROWS_AT_ONCE)):
            columns = {name: np.array([getattr(each, name) for each in part], dtype=object) for name in names}
            columns["value"] = values = np.array([each.value for each in part], dtype=np.float64)
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
