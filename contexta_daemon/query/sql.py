"""SQL over the whole store, read-only. `run_sql` is for a process of its own: a question may be anything.

DuckDB holds the tables of the catalog that a statement reads in memory (see sql_tables.py), and reads the columns where
they lie. It reaches no other file, no network and no setting; memory, time and the answer are bounded.
"""

from __future__ import annotations

import math
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as clock_time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contexta._private_folders import make_folder
from contexta.errors import DeadlineError, StorageError, ValidationError
from contexta_daemon.catalog import connect_reader
from contexta_daemon.columns import chain_in
from contexta_daemon.columns.schema import TYPES

from .sql_limits import bounded_memory, weight
from .sql_statement import invalid, tables_read
from .sql_tables import METRICS, TABLES, SqlTable, define_functions

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "1GB"
SPILL_LIMIT = "4GB"
MAX_BYTES = 64 << 20
_ROWS_AT_ONCE = 1_000
_LOADED_AT_ONCE = 20_000
_INTERRUPT_AGAIN_S = 0.05
_ATTEMPTS = 3  # files may be merged away between the look into the folder and their opening
_ZONED = "TIMESTAMP WITH TIME ZONE"


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    """Rows of values that JSON knows, but for floats that are not finite. `types` are DuckDB's names."""

    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


def run_sql(
    text: str,
    *,
    catalog_path: Path,
    columns_folder: Path,
    spill_folder: Path | None = None,
    max_rows: int = 100_000,
    deadline_s: float = 60.0,
    max_bytes: int = MAX_BYTES,
) -> SqlAnswer:
    """Answer one read-only statement. Imports DuckDB, and blocks: not for the daemon's own process.

    spill_folder: where DuckDB may put what does not fit into memory; below the system's temporary folder by default.
    Raises ValidationError (`sql_invalid`, `sql_not_read_only`, `answer_too_long`), DeadlineError, StorageError. None of
    them carries what only this process can load.
    """
    import duckdb

    for left in reversed(range(_ATTEMPTS)):
        try:
            deadline = time.monotonic() + deadline_s
            with bounded_memory(), _Question(catalog_path, columns_folder, spill_folder, deadline) as question:
                return question.ask(text, max_rows, max_bytes)
        except duckdb.InterruptException:
            raise DeadlineError(f"The statement was not answered within {deadline_s:g} s.") from None
        except duckdb.IOException as error:
            if not left:
                raise StorageError(f"The columns cannot be read: {error}") from None
        except (duckdb.OutOfMemoryException, MemoryError) as error:
            message = f"The statement needs more than {MEMORY_LIMIT} of memory and {SPILL_LIMIT} of disk: {error}"
            raise ValidationError(message, code="sql_invalid") from None
        except duckdb.Error as error:
            raise invalid(error) from None
        except sqlite3.OperationalError as error:
            if "interrupted" in str(error):
                raise DeadlineError(f"The statement was not answered within {deadline_s:g} s.") from None
            raise StorageError(f"The catalog cannot be read: {error}") from None
    raise AssertionError("unreachable")


class _Question:
    """A database in memory for one statement, interrupted when the time is over."""

    def __init__(self, catalog_path: Path, columns_folder: Path, spill_folder: Path | None, deadline: float) -> None:
        self._catalog_path = catalog_path
        self._columns_folder = columns_folder
        self._spill_folder = spill_folder
        self._deadline = deadline
        self._stack = ExitStack()

    def __enter__(self) -> _Question:
        import duckdb

        if self._spill_folder is not None:
            make_folder(self._spill_folder)
        spill = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="contexta-sql-", dir=self._spill_folder))
        config: dict[str, Any] = {
            "threads": 1,
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": spill,
            "max_temp_directory_size": SPILL_LIMIT,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "python_enable_replacements": False,  # names in a statement are not variables of this program
        }
        self._connection = self._stack.enter_context(duckdb.connect(":memory:", config=config))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def ask(self, text: str, max_rows: int, max_bytes: int) -> SqlAnswer:
        connection = self._connection
        names = tables_read(connection, text)
        for name, table in TABLES.items():
            connection.execute(f'CREATE TABLE "{name}" ({table.columns})')
        self._fill([name for name in TABLES if name in names])
        self._show_columns()
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        connection.execute("BEGIN TRANSACTION READ ONLY")
        with self._interrupted(connection):
            connection.execute(text)
            description = connection.description or []
            columns = tuple(str(each[0]) for each in description)
            types = tuple(str(each[1]) for each in description)
            for column, kind in zip(columns, types, strict=True):
                if _ZONED in kind:
                    raise ValidationError(f"Cast {column} to TIMESTAMP or VARCHAR: it has a zone.", code="sql_invalid")
            return SqlAnswer(columns, types, tuple(self._rows(max_rows, max_bytes)))

    def _rows(self, max_rows: int, max_bytes: int) -> Iterator[tuple[Any, ...]]:
        count = size = 0
        while part := self._connection.fetchmany(_ROWS_AT_ONCE):
            for values in part:
                row = tuple(map(_plain, values))
                count += 1
                size += sum(map(weight, row))
                if count > max_rows or size > max_bytes:
                    raise ValidationError(
                        f"The answer has more than {max_rows} rows or {max_bytes >> 20} MiB; "
                        "ask with LIMIT, or for sums.",
                        code="answer_too_long",
                        details={"max_rows": max_rows, "max_bytes": max_bytes},
                    )
                yield row

    def _fill(self, names: Sequence[str]) -> None:
        if not names:
            return
        with closing(connect_reader(self._catalog_path)) as catalog, self._interrupted(catalog):
            define_functions(catalog)
            catalog.execute("BEGIN")  # all tables as of one moment
            for name in names:
                self._fill_one(catalog, name, TABLES[name])

    def _fill_one(self, catalog: sqlite3.Connection, name: str, table: SqlTable) -> None:
        rows = catalog.execute(table.query)
        width = len(rows.description)
        while part := rows.fetchmany(_LOADED_AT_ONCE):
            columns = {f"c{place}": _loaded([row[place] for row in part]) for place in range(width)}
            self._connection.register("loaded", columns)
            self._connection.execute(f'INSERT INTO "{name}" SELECT * FROM loaded')
            self._connection.unregister("loaded")

    def _show_columns(self) -> None:
        """Make the view of the points, and let its files be opened."""
        files = [self._columns_folder / file.name for file in chain_in(self._columns_folder)]
        listed = ", ".join("'" + str(path).replace("'", "''") + "'" for path in files)
        if files:
            self._connection.execute(f"SET allowed_paths = [{listed}]")
            source = f"read_parquet([{listed}])"
        else:
            nothing = ", ".join(f"NULL::{kind} AS {name}" for name, kind in TYPES.items())
            source = f"(SELECT {nothing} WHERE false)"
        shown = ", ".join("key AS metric_key" if name == "key" else name for name in TYPES)
        self._connection.execute(
            f"CREATE VIEW {METRICS} AS SELECT {shown}, make_timestamp_ns(time_ns) AS observed_at FROM {source}"
        )

    @contextmanager
    def _interrupted(self, what: duckdb.DuckDBPyConnection | sqlite3.Connection) -> Iterator[None]:
        """Interrupt what is under way when the time is over, and what begins after that: an interruption between two
        statements does nothing to the second one."""
        done = threading.Event()

        def interrupt() -> None:
            wait_s = max(0.0, self._deadline - time.monotonic())
            while not done.wait(wait_s):
                what.interrupt()
                wait_s = _INTERRUPT_AGAIN_S

        thread = threading.Thread(target=interrupt, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()


def _loaded(values: list[Any]) -> Any:
    """A column of SQLite's as one that DuckDB takes without guessing from its first values."""
    import numpy as np

    kinds = {type(value) for value in values} - {type(None)}
    missing = np.array([value is None for value in values], np.bool_)
    if kinds <= {int}:
        return np.ma.masked_array(np.array([value or 0 for value in values], np.int64), mask=missing)
    if kinds <= {int, float}:
        return np.array([math.nan if value is None else value for value in values], np.float64)  # NULL in DuckDB
    return np.array(values, dtype=object)


def _plain(value: Any) -> Any:
    """A value as JSON knows it, but for floats that are not finite."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, datetime | date | clock_time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return str(value)


def _number(value: Decimal) -> int | float | str:
    """A decimal as a number that has all of its digits, as text where there is none."""
    if value.as_tuple().exponent == 0:
        return int(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else str(value)
