"""What dead processes left for workspaces that nobody has seen for long.

A sender that cannot see its workspace leaves their records where they are, because a disk may be away; where the
workspace was deleted together with the folder around it, no sender ever runs for it again. So each sender, when it
begins, looks once at the spools of this user's other workspaces.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from contexta_client.capture import spool_format as fmt
from contexta_client.capture import spool_place
from contexta_client.launch import is_locked

from .follow import session_folders

KEPT_S = 7 * 86_400.0
MARK_NAME = "unseen"  # in a spool root, made when its workspace was missed first


def remove_forsaken(own_roots: Sequence[Path], now_s: float) -> None:
    """Delete the spools of dead processes whose workspace was missed at every look since KEPT_S ago. A sender of its
    own, or a living process, is no miss, and a network that may not answer is not asked. now_s: since 1970."""
    for root in own_roots:
        with suppress(OSError):
            (root / MARK_NAME).unlink()
    for folder in {root.parent for root in own_roots}:
        with suppress(OSError):
            for root in list(folder.iterdir()):
                if root not in own_roots:
                    with suppress(OSError):
                        _look_after(root, now_s)


def _look_after(root: Path, now_s: float) -> None:
    folders = [folder for found in session_folders([root]).values() for folder in found]
    mark = root / MARK_NAME
    workspace = os.fsdecode((root / spool_place.WORKSPACE_NAME).read_bytes())
    if not folders or any(is_locked(folder / fmt.LOCK_NAME) for folder in folders) or _may_be_there(workspace):
        mark.unlink(missing_ok=True)
        return
    if not mark.exists():
        mark.touch(mode=0o600)
        os.utime(mark, (now_s, now_s))
        return
    if now_s - mark.stat().st_mtime > KEPT_S:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _may_be_there(workspace: str) -> bool:
    kind = spool_place.file_system(workspace)
    return kind == "autofs" or spool_place.is_network_type(kind) or os.path.lexists(workspace)
