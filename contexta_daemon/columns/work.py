"""The steps that a worker takes: collect metrics, write them to a file, merge files,
and take what they hold out of the log."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from contexta.errors import StorageError
from contexta_daemon.batches import skeleton_of
from contexta_daemon.catalog import connect_reader
from contexta_daemon.log import LogDirectory, LoggedBatch, MadeLean, Position, make_lean
from contexta_daemon.log.files import RealFiles

from .bodies import fetcher
from .files import ColumnFile, ColumnFolder, damaged
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
        if wrong := damaged(self._folder.path, merged):
            for file in wrong:
                self._folder.put_aside(file)
            return True
        whole = ColumnFile(merged[0].start, merged[-1].end)
        rows = sum(counts[slice(*found)])
        self._writer.merge([self._folder.path / file.name for file in merged], self._folder.unfinished(whole))
        if (written := self._writer.rows(self._folder.unfinished(whole))) != rows:  # they may be all that there is
            raise StorageError(f"merging {rows} metrics gave {written}; the files stay as they were")
        whole = self._folder.finish(whole)
        self._folder.remove(merged)
        self._rows = {file: self._rows[file] for file in chain if file not in merged}
        self._rows[whole] = rows
        return True

    def drop_metrics(self, log: Path, segment: int, end: int) -> MadeLean | None:
        """Take the metrics that the files hold out of a sealed segment of the log; see make_lean."""
        return make_lean(
            LogDirectory(log, RealFiles()), segment, end,
            skeleton_of=skeleton_of, fetch=fetcher(self._folder.path), may_replace=self._folder.require_ours,
        )  # fmt: skip

    def close(self) -> None:
        self._writer.close()
