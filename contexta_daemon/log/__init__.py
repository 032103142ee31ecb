"""The log: the truth of what was captured. Append-only segments of checksummed frames; everything else follows it.

Layers, low to high: `files` (the seam to the disk) · `frame`, `envelope` (bytes) · `segment`, `directory` (one file,
all files) · `sessions` · `reader` · `recovery` · `log`. Synchronous throughout.
"""

from __future__ import annotations

from .directory import Position
from .envelope import MAX_BODY_BYTES, MAX_CURSOR_BYTES, Envelope, PackedBody, SessionState, pack_body
from .errors import LogClosedError, LogCorruptError, LogError, LogIOError, LogTruncatedError
from .log import Log, ReadableLog
from .reader import LoggedBatch, LogReader

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_CURSOR_BYTES",
    "Envelope",
    "Log",
    "LogClosedError",
    "LogCorruptError",
    "LogError",
    "LogIOError",
    "LogReader",
    "LogTruncatedError",
    "LoggedBatch",
    "PackedBody",
    "Position",
    "ReadableLog",
    "SessionState",
    "pack_body",
]
