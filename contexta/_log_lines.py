"""The lines of log files."""

from __future__ import annotations

import logging
from types import TracebackType

from ._plain_text import plain, plain_lines

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class PlainFormatter(logging.Formatter):
    """Writes each record on a line, whatever its message holds; only a traceback has more lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = plain(record.message)
        return super().formatMessage(record)

    def formatException(  # noqa: N802
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        return plain_lines(super().formatException(ei))
