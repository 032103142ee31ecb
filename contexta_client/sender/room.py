"""Whether the workspace's disk is full, said before a write fails: a file's last page takes some more for a while."""

from __future__ import annotations

import os
from pathlib import Path

LOOK_EVERY_S = 0.2
LEAST_BYTES = 64 << 10


class Room:
    """`trouble` says, for people, that the disk is full; empty: it is not, or it does not tell. Nothing depends on it
    but what is said: records are sent and taken for as long as they can be written."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace
        self.trouble = ""
        self._next_look = 0.0

    def look(self, now: float) -> None:
        """Ask the file system, now and then."""
        if now < self._next_look:
            return
        self._next_look = now + LOOK_EVERY_S
        free = free_bytes(self.workspace)
        full = free is not None and free < LEAST_BYTES
        self.trouble = f"there is no room on the disk of {self.workspace}" if full else ""


def free_bytes(folder: Path) -> int | None:
    """Return what this user can still write there; None where that cannot be told."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    if not found.f_blocks:  # some network file systems know no numbers
        return None
    return (found.f_bavail if os.geteuid() else found.f_bfree) * found.f_frsize
