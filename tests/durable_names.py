"""Watches syncs and renames of this process: what a power loss would leave under the names that files were given."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest


class DurableNames:
    """What is renamed into place must have been synced since it was written, and its folder be synced after.

    `named`: every path that something was renamed to, in order. Folders that are made count for those tests that ask.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.named: list[Path] = []
        self._too_early: list[str] = []
        self._synced: dict[tuple[int, int], tuple[int, int]] = {}
        self._to_be_synced: dict[tuple[int, int], Path] = {}
        self._made_in: dict[tuple[int, int], Path] = {}
        self._fsync, self._mkdir = os.fsync, os.mkdir
        patch.setattr(os, "fsync", self._sync)
        patch.setattr(os, "mkdir", self._making)
        for name in ("replace", "rename"):
            patch.setattr(os, name, self._renaming(getattr(os, name)))

    def check(self) -> None:
        assert self.named, "nothing was renamed"
        assert not self._too_early, "these had their names before their bytes were durable"
        assert not self._to_be_synced, "the last renames in these folders may be lost"

    def check_folders(self) -> None:
        assert not self._made_in, "the folders that were made in these may be lost"

    def _making(self, path, *arguments, **more):
        self._mkdir(path, *arguments, **more)
        parent = Path(path).parent
        self._made_in[_which(parent.stat())] = parent

    def _sync(self, file: int) -> None:
        self._fsync(file)
        found = os.fstat(file)
        self._to_be_synced.pop(_which(found), None)
        self._made_in.pop(_which(found), None)
        self._synced[_which(found)] = _written(found)

    def _renaming(self, real):
        def rename(source, target, **more):
            source, target = Path(source), Path(target)
            within = source.rglob("*") if source.is_dir() else ()
            for path in (source, *within):
                found = path.stat()
                if self._synced.get(_which(found)) != _written(found):
                    self._too_early.append(f"{path} as {target}")
            self._to_be_synced[_which(target.parent.stat())] = target.parent
            self.named.append(target)
            real(source, target, **more)

        return rename


def _which(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino


def _written(found: os.stat_result) -> tuple[int, int]:
    """Return what changes with each write, and in a folder with each name."""
    return 0 if stat.S_ISDIR(found.st_mode) else found.st_size, found.st_mtime_ns
