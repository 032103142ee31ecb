"""Log lines for a terminal, or for whoever reads our stderr: if nobody does, the daemon still serves, and ends.

A logging.handlers.QueueListener would not: its stop() waits for the write that nobody reads, without end.
"""

from __future__ import annotations

import logging
import os
import queue
import threading

WAITING_LINES = 1_000
CLOSE_S = 1.0
STDERR = 2


class TerminalLines(logging.Handler):
    """Writes in a thread of its own. Lines beyond those that wait are left out: the log file has them."""

    def __init__(self, descriptor: int = STDERR) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._waiting: queue.Queue[bytes | None] = queue.Queue(WAITING_LINES)
        self._thread = threading.Thread(target=self._write, name="terminal", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._waiting.put_nowait((self.format(record) + "\n").encode(errors="replace"))
        except queue.Full:
            pass
        except Exception:  # whatever a message's arguments raise
            self.handleError(record)

    def close(self) -> None:
        """Wait, not for long, until what waits is written."""
        try:
            self._waiting.put_nowait(None)
            self._thread.join(CLOSE_S)
        except queue.Full:
            pass
        super().close()

    def _write(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except OSError:  # closed at its other end: nobody will read again
                return
