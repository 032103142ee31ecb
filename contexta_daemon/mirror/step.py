"""One step of the mirror: batches -> lines -> files, with the position moved along."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from contexta.errors import ContextaError
from contexta_daemon.log import LoggedBatch, Position

from .files import LineFiles
from .lines import LineWriter, Text

_log = logging.getLogger(__name__)


class ManyLinesError(ContextaError):
    """The lines of a step are more than may be made here."""

    default_code = "many_lines"


def write_step(
    files: LineFiles,
    connection: sqlite3.Connection,
    batches: Sequence[LoggedBatch],
    *,
    start: Position,
    end: Position,
    limit_bytes: int = 0,
) -> bool:
    """Make the lines of batches, append them, and move to `end`; return whether there were any.

    Raises ManyLinesError, with the files as before, when they take more than `limit_bytes` (0: any number), and what
    LineFiles.append raises.
    """
    writer = LineWriter(connection)
    texts = (text for batch in batches for text in writer.lines(batch))
    moved = files.append(_up_to(texts, limit_bytes) if limit_bytes else texts, start=start, end=end)
    if writer.skipped:
        _log.warning("%d items before %s have no lines: what they refer to was never defined", writer.skipped, end)
    return moved


def _up_to(texts: Iterable[Text], limit_bytes: int) -> Iterator[Text]:
    left = limit_bytes
    for text in texts:
        left -= len(text[1])
        if left < 0:
            raise ManyLinesError(f"the lines take more than {limit_bytes} bytes")
        yield text
