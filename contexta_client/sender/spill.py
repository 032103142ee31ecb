"""Moves blocks from memory to the workspace's disk while the daemon is away, so that writers keep their room."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

from contexta_client.capture import spool_format as fmt

from .session import Session

_log = logging.getLogger("contexta.sender")


class Spill:
    """Blocks of all sessions on disk, `limit_bytes` at most."""

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.trouble = ""

    def used_bytes(self) -> int:
        """Return what lies on disk."""
        return sum(file.stat().st_size for file in self.folder.glob("*/*") if file.is_file())

    def relieve(self, session: Session, bound_bytes: int) -> None:
        """Move a session's passed blocks to disk when its spool is over half its bound."""
        words, reader = session.words, session.reader
        waiting = int(words[fmt.CREATED_BYTES]) - int(words[fmt.RELEASED_BYTES])
        if waiting * 2 < bound_bytes:
            return
        target = self.folder / reader.session_id.hex()
        room = self.limit_bytes - self.used_bytes()
        reader.refresh()
        for kind, group, number, path in reader.passed():
            if path.parent == target:
                continue
            size = path.stat().st_size
            if size > room:
                self.trouble = f"{self.folder} holds {self.limit_bytes} bytes, which is capture.spill_bytes"
                return
            try:
                self._move(path, target)
            except OSError as error:
                self.trouble = f"blocks cannot be moved to {self.folder}: {error.strerror or error}"
                return
            room -= size
            words[fmt.RELEASED_BYTES] += size
            reader.moved(kind, group, number, target / path.name)
        self.trouble = ""

    def _move(self, path: Path, target: Path) -> None:
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = target / f".{path.name}"
        try:
            shutil.copyfile(path, temporary)
            os.replace(temporary, target / path.name)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        path.unlink()
