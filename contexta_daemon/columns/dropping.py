"""Dropping metrics from the log once files hold them: the policy `retention.log = "drop"`."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path

from contexta_daemon.log import Log, Position

from .files import ColumnFolder
from .worker import Steps, Worker

_log = logging.getLogger(__name__)

_END_TIMEOUT_S = 10.0


class Dropper:
    """Takes the metrics out of one sealed segment after the other, in a process of its own.

    A thread that looks whenever `files_grew` is called. What goes wrong is noted, and tried again the next time; the
    log is as it was.
    """

    def __init__(
        self,
        log: Log,
        folder: ColumnFolder,
        catalog_path: Path,
        *,
        position: Callable[[], Position],
        start_worker: Callable[[ColumnFolder, Path], Steps] = Worker,
    ) -> None:
        """`position` tells up to where in the log the files hold all metrics."""
        self._log = log
        self._folder = folder
        self._catalog_path = catalog_path
        self._position = position
        self._start_worker = start_worker
        self._done: set[int] = set()
        self._grew = threading.Event()
        self._closing = False
        self._using = threading.Lock()  # of the worker: made, or ended
        self._worker: Steps | None = None
        self._thread = threading.Thread(target=self._run, name="dropper", daemon=True)

    def start(self) -> None:
        self.files_grew()
        self._thread.start()

    def files_grew(self) -> None:
        """Look again; returns at once."""
        self._grew.set()

    def close(self) -> None:
        """End; a segment that is being written stays as it was. Idempotent."""
        self._closing = True
        self._grew.set()
        self._stop_worker()
        if self._thread.ident:
            self._thread.join(_END_TIMEOUT_S)

    def drop(self) -> int:
        """Drop what can be dropped now; return how many segments became lean. Raises StorageError."""
        made = 0
        for number, end in self._log.sealed(self._position()):
            if self._closing:
                break
            if number not in self._done and not self._log.is_lean(number):
                made += self._drop(number, end)
            self._done.add(number)
        return made

    def _drop(self, number: int, end: int) -> bool:
        with self._using:
            if self._closing:
                return False
            if self._worker is None:
                self._worker = self._start_worker(self._folder, self._catalog_path)
            worker = self._worker
        made = worker.drop_metrics(self._log.path, number, end)
        if made is None:
            _log.info("segment %d of the log stays as it is: it has no metrics, or is damaged", number)
            return False
        _log.info("segment %d of the log dropped its metrics: %d bytes of %d stay", number, made.after, made.before)
        return True

    def _run(self) -> None:
        while True:
            self._grew.wait()
            self._grew.clear()
            if self._closing:
                return
            try:
                self.drop()
            except (
                Exception
            ) as error:  # of the disk, of memory, of the worker; the next file that is written tries again
                if not self._closing:
                    _log.warning("metrics cannot be dropped from the log: %s", error)
            self._stop_worker()

    def _stop_worker(self) -> None:
        with self._using:
            worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()
