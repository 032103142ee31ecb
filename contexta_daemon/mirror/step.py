"""One step of the mirror: batches -> lines -> files, with the position moved along."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence

from contexta_daemon.log import LoggedBatch, Position

from .files import LineFiles
from .lines import LineWriter

_log = logging.getLogger(__name__)


def write_step(
    files: LineFiles, connection: sqlite3.Connection, batches: Sequence[LoggedBatch], *, start: Position, end: Position
) -> bool:
    """Make the lines of batches, append them, and move to `end`; return whether there were any."""
    writer = LineWriter(connection)
    texts = (text for batch in batches for text in writer.lines(batch))
    moved = files.append(texts, start=start, end=end)
    if writer.skipped:
        _log.warning("%d items before %s have no lines: what they refer to was never defined", writer.skipped, end)
    return moved
