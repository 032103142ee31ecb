"""A log, a catalog and columns behind them, with the work done in this process, and what the files hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
from logged import FakeLog

from contexta_daemon.catalog import Catalog
from contexta_daemon.columns import Columns, chain_in
from contexta_daemon.columns.files import ColumnFile
from contexta_daemon.columns.work import Work


class Bench:
    """`own_process`: with workers as the daemon has them."""

    def __init__(self, root: Path, *, own_process: bool = False, log: FakeLog | None = None) -> None:
        self.root = root
        self.log = log or FakeLog()
        self.folder = root / "records" / "columns"
        self.catalog = Catalog(root / "metadata" / "catalog.sqlite3")
        self.own_process = own_process
        self.columns = self.opened()

    def opened(self, **options: Any) -> Columns:
        """Columns as a new process of the daemon opens them."""
        if not self.own_process:
            options |= {"start_worker": Work, "tend": False}
        return Columns(self.folder, self.catalog, **options)

    def catch_up(self) -> None:
        """Carry the catalog to the end of the log."""
        self.catalog.follow(list(self.log.read(self.catalog.position)), self.log.committed)

    def run(self, *, flush_each: bool = False) -> None:
        """Carry both to the end of the log, from where the files end."""
        self.catch_up()
        for batch in list(self.log.read(self.columns.position)):
            self.columns.follow([batch], batch.end)
            if flush_each:
                self.columns.flush()
        self.columns.flush()

    def rows(self, what: str = "*", files: Sequence[ColumnFile] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of files, by default of all that count, in their order."""
        paths = [str(self.folder / file.name) for file in (chain_in(self.folder) if files is None else files)]
        if not paths:
            return []
        with duckdb.connect(":memory:", config={"threads": 1}) as connection:
            return connection.execute(f"SELECT {what} FROM read_parquet(?)", [paths]).fetchall()

    def values(self) -> list[float]:
        return sorted(row[0] for row in self.rows("value"))

    def close(self) -> None:
        self.columns.close()
        self.catalog.close()
