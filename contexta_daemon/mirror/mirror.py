"""The follower that writes the JSON Lines files, behind the catalog, which knows the names.

Making lines is the most expensive thing that is done with a record, so more than a few thousand of them, or than a few
megabytes, are made in a process of their own (see worker.py): neither the event loop nor the interpreter lock of the
daemon waits for them. A line may be a thousand times as large as its record, since it repeats the tags of its metric.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from contexta.errors import UnavailableError
from contexta_daemon.catalog import Catalog
from contexta_daemon.log import LoggedBatch, Position

from .files import LineFiles, load_state
from .step import ManyLinesError, write_step
from .worker import Worker

INLINE_ITEMS = 4_000  # about 5 ms of the interpreter lock
INLINE_BYTES = 8 << 20  # of lines; how many there are is seen when they are made
CATALOG_TIMEOUT_S = 30.0


class Mirror:
    """Follows the log into record.jsonl and artifact.jsonl. `follow` is called by one thread at a time.

    `enabled=False`: no files; only the position moves, so that nobody waits for lines, and lines begin with what is
    captured after it is enabled.
    """

    name = "mirror"

    def __init__(self, folder: Path, state_path: Path, catalog: Catalog, *, enabled: bool = True) -> None:
        self._files = LineFiles(folder, state_path)
        self._catalog = catalog
        self._enabled = enabled
        self._worker: Worker | None = None
        self._state_path = state_path
        state_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if load_state(state_path) is None:
            if enabled:
                self._files.put_away()
            self._files.begin_again("")
        self._stored = self._position = self._files.state().position  # stored: behind by what made no lines

    @property
    def position(self) -> Position:
        return self._position

    def attach(self, log_id: bytes, committed: Position) -> bool:
        """Say which log is followed, before the first follow. Behind lines of another log, begin at its beginning."""
        state = self._files.state()
        stale = state.position > committed or (state.log_id != log_id.hex() and state.position > Position(0, 0))
        if stale or state.log_id != log_id.hex():
            self._files.begin_again(log_id.hex())
            self._stored = self._position = Position(0, 0)
        return stale

    def follow(self, batches: Sequence[LoggedBatch], end: Position) -> None:
        """Write the lines of batches. When it raises, the files are as before, and the same batches may come again."""
        try:
            moved = self._follow(batches, end)
        except BaseException:
            self._stored = self._position = self._files.state().position
            raise
        self._position = end
        if moved:
            self._stored = end

    def _follow(self, batches: Sequence[LoggedBatch], end: Position) -> bool:
        """Return whether `end` is stored."""
        items = sum(batch.envelope.count for batch in batches)
        if not self._enabled:
            self._files.move(start=self._stored, end=end)
            return True
        if not items:
            return False
        if not self._catalog.wait_applied(end, timeout_s=CATALOG_TIMEOUT_S):
            raise UnavailableError(f"the catalog stands at {self._catalog.position}, lines are due up to {end}")
        if items <= INLINE_ITEMS:
            connection = self._catalog.connect()
            try:
                return write_step(
                    self._files, connection, batches, start=self._stored, end=end, limit_bytes=INLINE_BYTES
                )
            except ManyLinesError:
                pass  # none were written: the worker makes them all
            finally:
                connection.close()
        if self._worker is None:
            self._worker = Worker(self._files, self._catalog.path)
        try:
            return self._worker.write(batches, start=self._stored, end=end)
        except BaseException:
            self._worker.stop()
            self._worker = None
            raise

    def close(self) -> None:
        """End the worker process, if there is one. Idempotent."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None
