"""What can be wrong with a log: truncated, corrupt and I/O error are three different things, each with its place."""

from __future__ import annotations


class LogError(Exception):
    """Something is wrong at `segment`, `offset` (bytes from the segment's start; -1: unknown)."""

    code = "log_error"
    retryable = False

    def __init__(self, message: str, *, segment: int = 0, offset: int = -1) -> None:
        super().__init__(f"{message} (segment {segment}, offset {offset})")
        self.segment = segment
        self.offset = offset


class LogTruncatedError(LogError):
    """Bytes that must be there are not: the file ends within a header or a frame."""

    code = "log_truncated"


class LogCorruptError(LogError):
    """The bytes are there and are not what was written."""

    code = "log_corrupt"


class LogIOError(LogError):
    """The operating system refused; `errno` tells why. Trying again later can help."""

    code = "log_io_error"
    retryable = True

    def __init__(self, message: str, *, errno: int, segment: int = 0, offset: int = -1) -> None:
        super().__init__(message, segment=segment, offset=offset)
        self.errno = errno


class LogClosedError(LogError):
    """The log was closed; a new one must be opened."""

    code = "log_closed"
