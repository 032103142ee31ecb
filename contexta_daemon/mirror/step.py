"""One step of the mirror: batches -> lines -> files, with the position moved along."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence

from contexta_daemon.log import LoggedBatch, Position

from .files import ARTIFACT, RECORD, LineFiles
from .lines import Lines, LineWriter

_log = logging.getLogger(__name__)


def write_step(
    files: LineFiles, connection: sqlite3.Connection, batches: Sequence[LoggedBatch], *, start: Position, end: Position
) -> None:
    """Make the lines of batches, append them, and move to `end`."""
    lines = Lines()
    writer = LineWriter(connection)
    for batch in batches:
        writer.add(batch, lines)
    if lines.skipped:
        _log.warning("%d items before %s have no lines: what they refer to was never defined", lines.skipped, end)
    files.append({RECORD: lines.record, ARTIFACT: lines.artifact}, start=start, end=end)
