"""The follower that keeps metrics as Parquet files, sorted by series, behind the catalog, which knows the names.

Metrics collect in the memory of a process of their own until they are worth a file. `position` is what the files hold:
after a crash, or when that process is gone, the log is read again from there. What was followed but is in no file yet
is answered from the log like everything new.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from contexta.errors import StorageError, UnavailableError
from contexta_daemon.catalog import Catalog
from contexta_daemon.catalog.schema import HAS_METRICS, HAS_STORED
from contexta_daemon.log import LoggedBatch, Position

from .files import ColumnFolder, damaged, end_of
from .merging import FAN_IN
from .worker import Steps, Worker

_log = logging.getLogger(__name__)

FILE_ROWS = 1 << 20
FILE_LOG_BYTES = 64 << 20  # read again after a crash at most, also where there are no metrics in it
CLOSING_ROWS = 100_000  # a moment's work
QUIET_S = 2.0
OLDEST_S = 10.0
CHECK_AFTER_S = 5.0  # of the start: there are more urgent things
CATALOG_TIMEOUT_S = 30.0
_WORKER_IDLE_S = 30.0
_END_TIMEOUT_S = 10.0


class Columns:
    """Follows the log into Parquet files. `follow` is called by one thread at a time, `flush` by any.

    A thread writes what has waited long enough, and merges small files, in a process beside the one that collects.
    """

    name = "columns"

    def __init__(
        self,
        folder: Path,
        catalog: Catalog,
        *,
        start_worker: Callable[[ColumnFolder, Path], Steps] = Worker,
        tend: bool = True,
        on_written: Callable[[], None] = lambda: None,
    ) -> None:
        """`tend=False`: nothing is written or merged but by `flush`, `follow` and `merge`. `on_written` is called in
        some thread when there is another file; it returns at once.

        Raises StorageError when another process has the folder.
        """
        self._folder = ColumnFolder(folder)
        self._catalog = catalog
        self._start_worker = start_worker
        self._changed = threading.Condition()
        self._collector: Steps | None = None
        self._merger: Steps | None = None
        self._tender = threading.Thread(target=self._tend, name="columns", daemon=True) if tend else None
        self._on_written = on_written
        self._closing = False
        self._failure: Exception | None = None
        chain = self._folder.chain()
        self._unmerged = len(chain)  # files since the last merge
        self._check_at = time.monotonic() + CHECK_AFTER_S if chain else None  # those that another process wrote
        self._position = self._taken = end_of(chain)  # in files, and collected
        self._rows = self._log_bytes = 0  # collected, and the log it took
        self._since = self._last = 0.0  # when the first and the last of them came

    @property
    def folder(self) -> ColumnFolder:
        return self._folder

    @property
    def position(self) -> Position:
        """Up to where files hold everything."""
        return self._position

    def attach(self, log_id: bytes, committed: Position) -> bool:
        """Say which log is followed, before the first follow. Files of another log, and those that reach beyond the
        end of this one, are put away. Returns whether there were any."""
        with self._changed:
            before = self._position
            if self._folder.log_id() != log_id.hex():
                self._folder.begin_again(log_id.hex())
            elif before > committed:
                self._folder.put_away_beyond(committed)
            self._discard()
            self._start_tender()
            return self._position < before

    def follow(self, batches: Sequence[LoggedBatch], end: Position) -> None:
        """Collect the metrics of batches, and write a file when there are many. When it raises, all that is not in
        files is to be read again, from `position` on."""
        with self._changed:
            try:
                if self._failure is not None:
                    raise self._failure
                self._follow(batches, end)
            except BaseException:
                self._discard()
                raise
            self._start_tender()
            self._changed.notify_all()

    def flush(self) -> Position:
        """Write what was collected to a file; return `position`. Raises StorageError."""
        with self._changed:
            self._write_or_note()
            if self._failure is not None:
                raise self._failure
            return self._position

    def merge(self) -> bool:
        """Merge small files once; return whether anything was to be done. Raises StorageError."""
        if self._merger is None:
            self._merger = self._start_worker(self._folder, self._catalog.path)
        try:
            return self._merger.merge()
        except BaseException:
            self._stop_merger()
            raise

    def check(self) -> int:
        """Put aside the files that are not what was written; return how many. What they held is read out of the log,
        and made again. Raises OSError."""
        wrong = damaged(self._folder.path, self._folder.chain())
        with self._changed:
            for file in wrong:
                self._folder.put_aside(file)
            if wrong:
                self._failure = StorageError(f"{len(wrong)} files in {self._folder.path} were damaged", retryable=True)
                self._stop_collector()
        return len(wrong)

    def close(self) -> None:
        """End the processes, having written what was collected where that takes no time. Idempotent."""
        was_closing, self._closing = self._closing, True
        if was_closing:
            return
        self._stop_merger()
        collector = self._collector
        if collector is not None and self._rows > CLOSING_ROWS:
            collector.close()  # whoever waits for it goes on; what it held is read again from the log
        with self._changed:
            self._changed.notify_all()
        if self._tender is not None and self._tender.ident:
            self._tender.join(_END_TIMEOUT_S)
        with self._changed:
            if self._rows <= CLOSING_ROWS:
                self._write_or_note()
            self._stop_collector()
        self._folder.close()

    # --- with the lock held ---

    def _follow(self, batches: Sequence[LoggedBatch], end: Position) -> None:
        if not self._catalog.wait_applied(end, timeout_s=CATALOG_TIMEOUT_S):
            raise UnavailableError(f"the catalog stands at {self._catalog.position}, columns are due up to {end}")
        wanted = self._with_metrics(batches)
        if wanted:
            if self._collector is None:
                self._collector = self._start_worker(self._folder, self._catalog.path)
            self._rows = self._collector.take(wanted)
            now = time.monotonic()
            self._since, self._last = (self._since if self._since else now), now
        self._taken = end
        self._log_bytes += sum(len(batch.body) for batch in batches)
        if self._rows >= FILE_ROWS or self._log_bytes >= FILE_LOG_BYTES:
            self._write(also_empty=True)

    def _with_metrics(self, batches: Sequence[LoggedBatch]) -> list[LoggedBatch]:
        if not batches:
            return []
        first, last = batches[0].position, batches[-1].position
        with closing(self._catalog.connect()) as connection:
            found = connection.execute(
                "SELECT segment, offset FROM batches WHERE kinds & ? AND (segment, offset) >= (?, ?) "
                "AND (segment, offset) <= (?, ?)",
                (HAS_METRICS | HAS_STORED, first.segment, first.offset, last.segment, last.offset),
            ).fetchall()
        positions = {Position(*row) for row in found}
        return [batch for batch in batches if batch.position in positions]

    def _write(self, *, also_empty: bool = False) -> None:
        """Write a file for what was followed since the last one. A stretch without metrics gets one when it is long."""
        if self._failure is not None:
            raise self._failure  # what was collected is gone with its process
        if self._taken <= self._position or not (self._rows or also_empty):
            return
        if end_of(self._folder.chain()) != self._position:
            raise StorageError(f"files are missing in {self._folder.path}; they are made again", retryable=True)
        if self._collector is None:
            self._collector = self._start_worker(self._folder, self._catalog.path)
        self._collector.write(self._position, self._taken)
        self._position = self._taken
        self._unmerged += 1
        self._forget()
        self._on_written()

    def _forget(self) -> None:
        self._rows = self._log_bytes = 0
        self._since = self._last = 0.0

    def _discard(self) -> None:
        """Begin again behind the last file."""
        self._failure = None
        self._stop_collector()
        self._forget()
        self._position = self._taken = end_of(self._folder.chain())

    def _start_tender(self) -> None:
        if self._tender is not None and not self._tender.ident:
            self._tender.start()

    def _stop_collector(self) -> None:
        if self._collector is not None:
            self._collector.close()
            self._collector = None

    # --- the thread ---

    def _tend(self) -> None:
        while True:
            with self._changed:
                while not self._closing and (wait_s := self._wait_s()) != 0:
                    if not self._changed.wait(wait_s) and not self._rows and self._is_idle():
                        self._stop_collector()
                if self._closing:
                    return
                if self._due() == 0:
                    self._write_or_note()
            if self._check_at is not None and self._check_at <= time.monotonic():
                self._check_all()
            if self._has_merges:
                self._merge_next()

    def _wait_s(self) -> float | None:
        """How long nothing is to be done: 0 when something is, None without end."""
        if self._failure is not None:
            return None
        if self._has_merges:
            return 0
        waits = [] if self._check_at is None else [max(0.0, self._check_at - time.monotonic())]
        if (due := self._due()) is not None:
            waits.append(due)
        elif self._collector is not None:
            waits.append(_WORKER_IDLE_S)
        return min(waits, default=None)

    def _due(self) -> float | None:
        """In how many seconds what was collected is to be written; None when there is nothing."""
        if not self._rows or self._failure is not None:
            return None
        return max(0.0, min(self._last + QUIET_S, self._since + OLDEST_S) - time.monotonic())

    def _is_idle(self) -> bool:
        return self._failure is None and not self._has_merges

    @property
    def _has_merges(self) -> bool:
        """Whether files wait to be merged, or the last merge may have left some."""
        return self._unmerged >= FAN_IN or self._merger is not None

    def _write_or_note(self) -> None:
        """When it fails, so does the next follow: the log is read again from `position`."""
        try:
            self._write()
        except Exception as error:
            if self._failure is None:
                _log.warning("columns cannot be written: %s", error)
            self._failure = error
            self._stop_collector()

    def _check_all(self) -> None:
        self._check_at = None
        try:
            self.check()
        except OSError as error:
            _log.warning("columns cannot be checked: %s", error)

    def _merge_next(self) -> None:
        """Merge once. When nothing is left to be merged, or it fails, the process is let go until there is more."""
        self._unmerged = 0
        try:
            if self.merge():
                return
        except Exception as error:
            if not self._closing:
                _log.warning("columns cannot be merged: %s", error)
        self._stop_merger()

    def _stop_merger(self) -> None:
        merger, self._merger = self._merger, None
        if merger is not None:
            merger.close()
