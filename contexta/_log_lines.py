"""The lines of log files, and which ones are written."""

from __future__ import annotations

import logging
import os
from types import TracebackType

from ._plain_text import plain, plain_lines

LEVEL_VARIABLE = "CONTEXTA_LOG_LEVEL"
LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_level() -> int:
    """Return the level that CONTEXTA_LOG_LEVEL names, in any case; INFO where it names none."""
    named = os.environ.get(LEVEL_VARIABLE, "").strip().upper()
    return logging.getLevelNamesMapping().get(named, logging.INFO)


class PlainFormatter(logging.Formatter):
    """Writes each record on a line, whatever its message holds; only a traceback has more lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = plain(record.message)
        return super().formatMessage(record)

    def formatException(  # noqa: N802
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return plain_lines(super().formatException(ei))
