"""The log: the truth of what was captured. Append-only segments of checksummed frames; everything else follows it.

Layers, low to high: `files` (the seam to the disk) · `frame`, `envelope` (bytes) · `segment`, `directory` (one file,
all files) · `lean`, `making_lean` (segments without their metrics) · `sessions` · `reader` · `recovery` · `log`.
Synchronous throughout.
"""

from __future__ import annotations

from .directory import LogDirectory, Position
from .envelope import MAX_BODY_BYTES, MAX_CURSOR_BYTES, MAX_SEQUENCE, Envelope, PackedBody, SessionState, pack_body
from .errors import LogClosedError, LogCorruptError, LogError, LogIOError, LogTruncatedError
from .lean import FetchBodies, LeanBatch
from .log import Log, ReadableLog
from .making_lean import MadeLean, make_lean, remove_unfinished
from .reader import LoggedBatch, LogReader

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_CURSOR_BYTES",
    "MAX_SEQUENCE",
    "Envelope",
    "FetchBodies",
    "LeanBatch",
    "Log",
    "LogClosedError",
    "LogCorruptError",
    "LogDirectory",
    "LogError",
    "LogIOError",
    "LogReader",
    "LogTruncatedError",
    "LoggedBatch",
    "MadeLean",
    "PackedBody",
    "Position",
    "ReadableLog",
    "SessionState",
    "make_lean",
    "pack_body",
    "remove_unfinished",
]
