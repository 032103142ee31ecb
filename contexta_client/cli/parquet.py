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
            columns["value"] = np.array([float(each.value or 0.0) for each in part])
            rows = list(zip(*(columns[name].tolist() for name in names), strict=True))
            connection.executemany(f"INSERT INTO metrics VALUES ({', '.join('?' * len(names))})", rows)
            count += len(part)
        target = str(file).replace("'", "''")
        connection.execute(f"COPY metrics TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    return count
