"""Whether the workspace is there, or was deleted, or only cannot be seen: its disk may be away for a while."""

from __future__ import annotations

import os
from pathlib import Path

UNKNOWN, THERE, DELETED, AWAY = range(4)


class Whereabouts:
    """Always: `look` says DELETED only of a workspace that is gone from the very folder in which it was seen last. A
    disk that is unplugged, unmounted or found under another name takes that folder along."""

    def __init__(self, workspace: Path) -> None:
        self._parent = workspace.parent
        self._name = workspace.name or "."
        self._seen_in: tuple[int, int] | None = None  # device and inode of the folder around it

    def look(self) -> int:
        """Return THERE, DELETED or AWAY; UNKNOWN: it is not there, and never was as far as this sender knows."""
        try:
            parent = os.open(self._parent, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return UNKNOWN if self._seen_in is None else AWAY
        try:
            found = os.fstat(parent)
            here = found.st_dev, found.st_ino
            os.stat(self._name, dir_fd=parent)  # of this folder, whatever is put at its path meanwhile
        except OSError as error:
            if self._seen_in is None:
                return UNKNOWN
            return DELETED if isinstance(error, FileNotFoundError) and here == self._seen_in else AWAY
        finally:
            os.close(parent)
        self._seen_in = here
        return THERE
