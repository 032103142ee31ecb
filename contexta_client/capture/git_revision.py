"""The revision of the code that runs, read from git's own files: no process is started, and nothing is slow.

Known formats: loose and packed references, linked worktrees, the index in versions 2 and 3. What cannot be read
cheaply is left out. `dirty` is told for tracked files of repositories of up to MAX_FILES files.
"""

from __future__ import annotations

import os
import struct
from hashlib import sha1
from pathlib import Path
from time import monotonic
from typing import Any

MAX_FILES = 3000
MAX_HASH_BYTES = 1 << 20
BUDGET_S = 0.02

ASSUME_UNCHANGED, EXTENDED = 0x8000, 0x4000  # flags of an entry
SKIP_WORKTREE = 0x4000  # of its extended flags: a sparse checkout leaves the file out

_ENTRY = struct.Struct(">10I20sH")  # times, device, inode, mode, owner, size, object, flags


def read_git(folder: str | os.PathLike[str]) -> dict[str, str | bool] | None:
    """Return {revision, branch, dirty, remote} as far as they are known, None outside a repository.

    The remote is as configured: the caller takes out what is secret. Never raises.
    """
    try:
        found = _find(Path(folder))
        if found is None:
            return None
        top, git = found
        common = _common(git)
        answer: dict[str, str | bool] = {}
        head = (git / "HEAD").read_text("utf-8", "replace").strip()
        if head.startswith("ref: "):
            name = head[5:]
            answer["branch"] = name.removeprefix("refs/heads/")
            head = _resolve(git, common, name)
        if head:
            answer["revision"] = head
        remote = _remote(common / "config")
        if remote:
            answer["remote"] = remote
        if len(head) == 40:  # not with SHA-256, whose index entries are longer
            answer |= _dirt(top, git / "index")
        return answer
    except (OSError, ValueError):
        return None


def _find(folder: Path) -> tuple[Path, Path] | None:
    for top in (folder, *folder.parents):
        git = top / ".git"
        if git.is_dir():
            return top, git
        if git.is_file():  # a linked worktree, or a submodule
            text = git.read_text("utf-8", "replace").strip()
            if text.startswith("gitdir: "):
                return top, top / text[8:]
    return None


def _common(git: Path) -> Path:
    note = git / "commondir"
    return git / note.read_text("utf-8", "replace").strip() if note.exists() else git


def _resolve(git: Path, common: Path, name: str) -> str:
    """Return the object that a reference names, empty when it has none yet."""
    for home in (git, common):
        loose = home / name
        if loose.is_file():
            return loose.read_text("ascii", "replace").strip()
    packed = common / "packed-refs"
    if packed.exists():
        for line in packed.read_text("utf-8", "replace").splitlines():
            revision, _, packed_name = line.partition(" ")
            if packed_name == name and len(revision) in (40, 64):
                return revision
    return ""


def _remote(config: Path) -> str:
    """Return the url of origin, else of the first remote."""
    section, first = "", ""
    for raw in config.read_text("utf-8", "replace").splitlines():
        line = raw.strip()
        if line.startswith("["):
            section = line
        elif section.startswith('[remote "') and line.partition("=")[0].strip() == "url":
            url = line.partition("=")[2].strip()
            if section == '[remote "origin"]':
                return url
            first = first or url
    return first


def _dirt(top: Path, index: Path) -> dict[str, bool]:
    try:
        dirty = _is_dirty(top, index)
    except (OSError, ValueError, struct.error):  # no index yet, or a damaged one
        return {}
    return {} if dirty is None else {"dirty": dirty}


def _is_dirty(top: Path, index: Path) -> bool | None:
    """Whether a tracked file differs from the index; None when that is not cheap to tell, or something may be staged.

    Staging a change makes the root of the index's cached tree invalid, until the commit.
    """
    data = index.read_bytes()
    version, files = int.from_bytes(data[4:8], "big"), int.from_bytes(data[8:12], "big")
    if data[:4] != b"DIRC" or version not in (2, 3) or files > MAX_FILES:
        return None
    end = monotonic() + BUDGET_S
    root = os.fsencode(top) + b"/"
    at = 12
    for _ in range(files):
        fields = _ENTRY.unpack_from(data, at)
        start = at + _ENTRY.size
        more = 0
        if fields[11] & EXTENDED:
            more = int.from_bytes(data[start : start + 2], "big")
            start += 2
        stop = data.index(b"\0", start)
        looked_at = not (fields[11] & ASSUME_UNCHANGED or more & SKIP_WORKTREE)
        differs = looked_at and _differs(root + data[start:stop], fields)
        if differs is not False:
            return differs
        if monotonic() > end:
            return None
        at += (stop - at) // 8 * 8 + 8
    staged = data[at : at + 4] != b"TREE" or data[at + 8 : at + 11] == b"\0-1"
    return None if staged else False


def _differs(path: bytes, fields: tuple[Any, ...]) -> bool | None:
    """Compare a file with its index entry, first by its size and times, then by its content."""
    mode, size, object_id = fields[6], fields[9], fields[10]
    if mode >> 12 != 0o10:  # a link or a submodule
        return False
    try:
        found = os.lstat(path)  # not of a Path: those take as long as the call
    except FileNotFoundError:
        return True
    if found.st_size & 0xFFFFFFFF != size:
        return True
    if divmod(found.st_mtime_ns, 10**9) == (fields[2], fields[3]):
        return False
    if size > MAX_HASH_BYTES:
        return None
    content = Path(os.fsdecode(path)).read_bytes()
    return bool(sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).digest() != object_id)
