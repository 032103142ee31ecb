"""Folders that only their owner enters, whatever the umask, and places that others have prepared.

Standard library only: the training process uses it too.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

PARTS = ("daemon", "records", "metadata", "cache", "artifacts", "reports", "exports", "backups")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that lack, each for its owner alone. Raises OSError."""
    missing = []
    above = folder
    while not os.path.lexists(above):
        missing.append(above)
        above = above.parent
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            each.mkdir(mode=0o700)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder")


def refuse_strangers(workspace: Path) -> None:
    """Raise PermissionError where the workspace, or a part of it, was made by another user: whoever owns it can lead
    what is written there to any file of this user. Root's work is trusted, and root itself may work anywhere."""
    if os.getuid() == 0:
        return
    for path in (workspace, *(workspace / name for name in PARTS)):
        try:
            owner = path.lstat().st_uid
        except FileNotFoundError:
            continue
        if owner not in (0, os.getuid()) and owner != _shown_owner(workspace):
            raise PermissionError(f"{path} belongs to user {owner}, not to {os.getuid()}; use a folder of your own")


def is_trusted_socket(path: str) -> bool:
    """Whether only this user can have put a socket there: its folder is ours and nobody else may write to it. What is
    there already must be ours too."""
    place = Path(path)
    if not place.is_absolute():
        return False
    try:
        folder = place.parent.lstat()
        if not stat.S_ISDIR(folder.st_mode) or folder.st_uid != os.geteuid() or folder.st_mode & 0o022:
            return False
        if not os.path.lexists(place):
            return True
        found = place.lstat()
    except (OSError, ValueError):
        return False
    return stat.S_ISSOCK(found.st_mode) and found.st_uid == os.geteuid()


def _shown_owner(workspace: Path) -> int:
    """The owner that this file system shows for what this user makes: some know only one, or map all to nobody."""
    probe = workspace / f".owner-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        probe.mkdir(mode=0o700)
    except OSError:
        return os.getuid()
    try:
        return probe.lstat().st_uid
    finally:
        probe.rmdir()
