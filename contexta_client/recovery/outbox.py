"""What the user's own sinks did not take: `<workspace>/cache/outbox/<sink>.jsonl`, until it is sent again.

Runs in the capture call of a failing sink, so: standard library only, nothing is raised, each file has a bound, and a
lock that somebody holds too long is not waited for. Lines survive the end of the process, not the loss of power: they
are not synced. Format: docs/format/backup.md.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from time import sleep, time_ns
from typing import Any

from contexta._private_folders import make_folder
from contexta.capture.results import PayloadFamily
from contexta.capture.sinks import payload_ref, payload_type
from contexta.contract.json_text import dumps
from contexta_client.capture.notices import told

VERSION = 1
MAX_BYTES = 16 << 20  # of one sink's file; what comes then is counted and lost
DEAD_LETTER = "dead-letter"
SUFFIX, OVERFLOW_SUFFIX = ".jsonl", ".overflow"
_LOCK_TRIES, _LOCK_NAP_S = 40, 0.005
_TRIES_AT_ONCE = 30  # another process that appends is done in microseconds; only then is time given up
_OTHER = re.compile(r"[^A-Za-z0-9_-]+")


class OutboxBusyError(Exception):
    """Somebody holds the file's lock longer than a capture call may wait."""


def file_stem(sink_name: str) -> str:
    """Return the name of a sink's file without its suffix: the sink's own where it can be one, else one made of it."""
    stem = _OTHER.sub("-", sink_name)[:60]
    if stem == sink_name and stem not in ("", DEAD_LETTER):
        return stem
    return f"{stem}-{blake2b(sink_name.encode('utf-8', 'surrogatepass'), digest_size=4).hexdigest()}"


def keep(folder: str, sink_name: str, family: PayloadFamily, payload: Any, error: Exception) -> bool:
    """Append a payload that a sink did not take. Returns whether it is kept; never raises."""
    try:
        line = dumps(
            {
                "version": VERSION,
                "entry_id": os.urandom(8).hex(),
                "failed_at_ns": time_ns(),
                "sink": sink_name,
                "family": family.value,
                "payload_type": payload_type(payload),
                "payload_ref": payload_ref(payload),
                "payload": payload,
                "failures": 1,
                "error": told(error)[:1000],
            }
        )
        make_folder(Path(folder))
        return append(f"{folder}/{file_stem(sink_name)}", line.encode() + b"\n", max_bytes=MAX_BYTES)
    except Exception:  # a full disk, a payload that has no JSON, a folder that is not ours
        return False


def append(stem: str, line: bytes, *, max_bytes: int) -> bool:
    """Append a line to `<stem>.jsonl`, unless it would be larger than max_bytes: then it is counted in
    `<stem>.overflow`. Returns whether it was appended. Raises OSError and OutboxBusyError."""
    with opened(stem + SUFFIX, tries=_LOCK_TRIES) as file:
        size = os.fstat(file).st_size
        if size + len(line) > max_bytes:
            _count_overflow(stem + OVERFLOW_SUFFIX)
            return False
        if size and os.pread(file, 1, size - 1) != b"\n":  # a process ended within its line: keep ours whole
            line = b"\n" + line
        try:
            view = memoryview(line)
            while view:
                view = view[os.write(file, view) :]
        except OSError:
            os.ftruncate(file, size)
            raise
    return True


@contextmanager
def opened(path: str, *, tries: int) -> Iterator[int]:
    """Open a file of the outbox, made if need be, and hold its lock: the one that lies at the path now, since a replay
    puts another in its place. Raises OSError and OutboxBusyError."""
    for attempt in range(tries):
        if attempt:
            sleep(0 if attempt < _TRIES_AT_ONCE else _LOCK_NAP_S)
        file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            if _is_locked_here(file, path):
                yield file
                return
        finally:
            os.close(file)
    raise OutboxBusyError(path)


def _is_locked_here(file: int, path: str) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held, there = os.fstat(file), os.stat(path)  # noqa: PTH116
    except (BlockingIOError, FileNotFoundError):
        return False
    return (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino)


def read_overflow(path: str) -> int:
    """Return how many payloads a sink's file had no room for."""
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123
            return int(file.read(32) or 0)
    except (OSError, ValueError):
        return 0


def _count_overflow(path: str) -> None:
    """Count one more. The lock of the sink's file is held."""
    count = read_overflow(path) + 1
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(file, str(count).encode(), 0)
    finally:
        os.close(file)
