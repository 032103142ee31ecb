"""Columns of DuckDB's answers as numpy arrays, against what DuckDB itself makes of them."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import numpy as np
import pytest

from contexta.errors import StorageError
from contexta_daemon.columns.arrow import fetch_columns

TYPES = (np.int64, np.float64, np.int32, np.uint8, np.bool_)


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


@pytest.mark.parametrize("rows", [0, 1, 7, 8, 9, 2_047, 2_049, 100_001, 2_500_003])
@pytest.mark.parametrize("nulls", ["false", "i % 3 = 0", "i > 4000", "true"])
def test_values_and_missing_ones_come_as_duckdb_gives_them(
    database: duckdb.DuckDBPyConnection, rows: int, nulls: str
) -> None:
    given = {
        "i": "i::BIGINT", "f": "(i / 7)::DOUBLE", "s": "(-i)::INTEGER", "b": "(i % 251)::UTINYINT", "t": "i % 5 < 2",
    }  # fmt: skip
    said = ", ".join(f"CASE WHEN NOT ({nulls}) THEN {how} END AS {name}" for name, how in given.items())
    query = f"SELECT {said} FROM range(?) r(i)"
    expected = database.execute(query, [rows]).fetchnumpy()
    found = fetch_columns(database, query, [rows], TYPES)
    for column, whole, kind in zip(found, expected.values(), TYPES, strict=True):
        assert column.values.dtype == kind and len(column.values) == rows
        is_valid = np.ones(rows, np.bool_) if column.valid is None else column.valid
        assert np.array_equal(is_valid, ~np.ma.getmaskarray(whole))
        assert np.array_equal(column.values[is_valid], np.ma.getdata(whole)[is_valid])
        column.values[:] = 0  # they are the caller's own


def test_floats_keep_their_bits(database: duckdb.DuckDBPyConnection) -> None:
    bits = [0, 1, -(1 << 63), 0x7FF0_0000_0000_0000, -(1 << 52), 0x000F_FFFF_FFFF_FFFF]
    database.execute("CREATE TABLE t(f DOUBLE)")
    database.executemany("INSERT INTO t VALUES (?)", [[each] for each in np.array(bits).view(np.float64).tolist()])
    (column,) = fetch_columns(database, "SELECT f FROM t", [], [np.float64])
    assert column.values.view(np.int64).tolist() == bits


def test_what_is_wrong_with_a_query_is_said(database: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.Error, match="nothing_such"):
        fetch_columns(database, "SELECT * FROM nothing_such", [], [np.int64])
    late = "SELECT CASE WHEN i < 90000 THEN i ELSE error('too late') END FROM range(100000) r(i)"
    with pytest.raises((duckdb.Error, StorageError), match="too late"):
        fetch_columns(database, late, [], [np.int64])
    assert database.execute("SELECT 1").fetchall() == [(1,)]
