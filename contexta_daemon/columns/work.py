"""The steps that a worker takes: collect metrics, write them to a file, merge files."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from contexta_daemon.catalog import connect_reader
from contexta_daemon.log import LoggedBatch, Position

from .files import ColumnFile, ColumnFolder
from .gathering import Gatherer
from .merging import next_merge
from .parquet import ParquetWriter


class Work:
    """Used by one thread at a time. After an error nothing is known of what was collected: make another one."""

    def __init__(self, folder: ColumnFolder, catalog_path: Path) -> None:
        self._folder = folder
        self._catalog_path = catalog_path
        self._writer = ParquetWriter(folder.path)
        self._gatherer = Gatherer()
        self._rows: dict[ColumnFile, int] = {}

    def take(self, batches: Sequence[LoggedBatch]) -> int:
        """Collect the metrics of batches; return how many are collected."""
        # A catalog that was made again is another file: look it up anew at each step.
        with closing(connect_reader(self._catalog_path)) as connection:
            self._gatherer.take(connection, batches)
        return self._gatherer.rows

    def write(self, start: Position, end: Position) -> int:
        """Write what was collected as the file of this range; return its rows."""
        file = ColumnFile(start, end)
        rows = self._gatherer.rows
        self._writer.write(self._gatherer.points(), self._folder.unfinished(file))
        self._folder.finish(file)
        self._gatherer.clear()
        return rows

    def merge(self) -> bool:
        """Merge neighbours if any are to be merged. A file that cannot be read is put aside. Returns whether it did
        anything."""
        chain = self._folder.chain()
        for file in chain:
            if file not in self._rows:
                rows = self._writer.rows(self._folder.path / file.name)
                if rows is None:
                    self._folder.put_aside(file)
                    return True
                self._rows[file] = rows
        counts = [self._rows[file] for file in chain]
        found = next_merge(counts)
        if found is None:
            return False
        merged = chain[slice(*found)]
        whole = ColumnFile(merged[0].start, merged[-1].end)
        self._writer.merge([self._folder.path / file.name for file in merged], self._folder.unfinished(whole))
        self._folder.finish(whole)
        self._folder.remove(merged)
        self._rows = {file: self._rows[file] for file in chain if file not in merged}
        self._rows[whole] = sum(counts[slice(*found)])
        return True

    def close(self) -> None:
        self._writer.close()
