"""Moves blocks from memory to the workspace's disk while the daemon is away, so that writers keep their room."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path
from time import monotonic

from contexta._private_folders import make_folder
from contexta_client.capture import spool_format as fmt

from .session import Session

_log = logging.getLogger("contexta.sender")

TURN_S = 0.05  # of moving before the loop goes on
COUNT_EVERY_S = 1.0
RETRY_S = 5.0
COPY_BYTES = 1 << 20


class Spill:
    """Blocks of all sessions on disk, `limit_bytes` at most. `trouble` says why no more can be moved; empty: it can."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.trouble = ""
        self._used = 0
        self._counted_at = -COUNT_EVERY_S
        self._retry_at = 0.0

    def used_bytes(self, now: float) -> int:
        """Return what lies on disk."""
        if now - self._counted_at >= COUNT_EVERY_S:
            self._counted_at = now
            self._used = sum(_size(file) for file in self.folder.glob("*/*"))
        return self._used

    def relieve(self, session: Session, bound_bytes: int, now: float) -> bool:
        """Move a session's passed blocks, while its spool is over half its bound. Returns whether some were moved.

        Stops after a moment: what is left is moved at the next look. What cannot be moved stays where it is, and so
        does a block that a living writer may still write to. Raises OSError when a block cannot be opened.
        """
        words, reader = session.words, session.reader
        if now < self._retry_at or _waiting(session) * 2 < bound_bytes:
            return False
        target = self.folder / reader.session_id.hex()
        end, moved = monotonic() + TURN_S, False
        reader.refresh()
        for kind, group, number, path in reader.passed():
            if path.parent != reader.home or path.parent == target:
                continue
            if monotonic() > end or _waiting(session) * 2 < bound_bytes:
                return moved
            block = None if session.gone else reader.block(kind, group, number)
            if block is not None and not block.is_finished():
                continue  # a call that has claimed a slot commits it in the memory that it has mapped
            size = _size(path)
            if self.used_bytes(now) + size > self.limit_bytes:
                self._refuse(now, f"{self.folder} holds as much as capture.spill_bytes allows")
                return moved
            try:
                _move(path, target)
            except OSError as error:
                why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
                self._refuse(now, f"waiting records cannot be moved to {self.folder}: {why}")
                return moved
            self._used += size
            words[fmt.RELEASED_BYTES] += size
            reader.moved(kind, group, number, target / path.name)
            moved, self.trouble = True, ""
        return moved

    def _refuse(self, now: float, trouble: str) -> None:
        if trouble != self.trouble:
            _log.warning("%s", trouble)
        self.trouble = trouble
        self._retry_at = now + RETRY_S


def _waiting(session: Session) -> int:
    return int(session.words[fmt.CREATED_BYTES]) - int(session.words[fmt.RELEASED_BYTES])


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _move(path: Path, target: Path) -> None:
    make_folder(target)
    temporary = target / f".{path.name}"
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with path.open("rb") as source, open(os.open(temporary, flags, 0o600), "wb") as copy:  # noqa: PTH123
            shutil.copyfileobj(source, copy, COPY_BYTES)
        temporary.rename(target / path.name)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    path.unlink()
