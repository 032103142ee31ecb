"""What of a workspace belongs into a backup, and in which order it is copied while writing goes on.

The log is the truth and append-only: its files are listed when the backup begins, so whatever was durable then is in
them. Objects are there before the log or a reference of the store speaks of them, so they are copied after both.
Columns are copied, after the log, only where they have what it dropped. Else all that follows the log (metadata,
columns, capture files) is left out whole: restored beside a log that it does not match, it would give wrong answers.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contexta.config import UnifiedConfig
from contexta.errors import NotFoundError

from .backup_format import DATA, FORMAT, MANIFEST, may_hold

FOLLOWERS = "metadata and capture files: the daemon makes them again from the log"
COLUMNS = "columns: the daemon makes them again from the log"
UNFINISHED = ".new"
_VERSION_AT, _LEAN = 8, (2).to_bytes(4, "little")  # in a segment's header, see docs/format/log.md
BACKUPS = "backups"
INCOMING = ".incoming-"
OUTBOX = "outbox"
REFS = "refs"
_SAID_CHARS = 200
_HEAD_BYTES = 256  # of a manifest: its format is what it begins with
_CACHE_NEVER = ("capture/record.jsonl", "capture/artifact.jsonl", "spool", "spill")  # followers; mapped files in use


@dataclass(frozen=True, slots=True)
class Listed:
    """A file to copy. path: where it goes, relative to the restored workspace."""

    part: str
    source: Path
    path: str
    size_bytes: int


class Contents:
    """Lists a workspace. What is met and not taken is told in `left_out`.

    Always: no backup holds another, wherever in the workspace that lies, or each would be twice as large as the last.
    Nothing is listed that no restore would take, and nothing but a part's own files at the place where it is restored.
    """

    def __init__(self, config: UnifiedConfig, *, include_cache: bool, include_exports: bool) -> None:
        workspace = config.workspace
        self.root = _absolute(workspace.root_path)
        self._records = _absolute(workspace.records_path)
        self._artifacts = _absolute(workspace.artifacts_path)
        self._cache = _absolute(workspace.cache_path)
        self._reports = _absolute(workspace.reports_path)
        self._exports = _absolute(workspace.exports_path)
        self._metadata = _absolute(workspace.metadata_path)
        self._include_cache, self._include_exports = include_cache, include_exports
        self.left_out: list[str] = []
        if not self.root.is_dir():
            raise NotFoundError(
                f"There is no workspace at {self.root} to back up. Name it with --workspace (or `workspace=`).",
                code="workspace_not_found",
                details={"workspace": str(self.root)},
            )

    def list(self) -> Iterator[Listed]:
        """Yield the files in the order in which they are to be copied.

        A folder is listed once, when it is reached, so that one which grows does not keep this from coming to an end.
        """
        self.left_out = [FOLLOWERS, "daemon: token, lock and log files are of this machine's service"]
        yield from self._below("log", self._records / "log", "records/log")
        if lean_segments(self._records / "log"):
            yield from self.columns()
        else:
            self.left_out.append(COLUMNS)
        yield from self._below("artifacts", self._artifacts / REFS, f"artifacts/{REFS}")
        yield from self._below("artifacts", self._artifacts, "artifacts", never=("incoming", "lock", REFS))
        yield from self._below("cache", self._cache / OUTBOX, f"cache/{OUTBOX}")
        if self._include_cache:
            yield from self._below("cache", self._cache, "cache", never=(*_CACHE_NEVER, OUTBOX))
        elif self._cache.is_dir():
            self.left_out.append("cache: not asked for (include_cache); its outbox is in")
        yield from self._below("reports", self._reports, "reports")
        if self._include_exports:
            yield from self._below("exports", self._exports, "exports")
        elif self._exports.is_dir():
            self.left_out.append("exports: not asked for (include_exports)")
        yield from self._others()

    def columns(self) -> Iterator[Listed]:
        """Yield the files of columns, in no order that matters. Merging replaces them at any time."""
        for each in self._below("columns", self._records / "columns", "records/columns", never=("lock", "sorting")):
            if each.path.endswith((".parquet", ".parquet.damaged", "/log.json")):
                yield each

    def _others(self) -> Iterator[Listed]:
        """What users keep in the workspace: models, checkpoints."""
        parts = {
            "records": self._records,
            "artifacts": self._artifacts,
            "cache": self._cache,
            "reports": self._reports,
            "exports": self._exports,
        }
        known = {
            *parts.values(),
            self._metadata,
            self.root / BACKUPS,
            self.root / "daemon",
            self.root / "metadata",
        }
        for name, configured in parts.items():
            place = self.root / name  # where the part is restored, from wherever it lies now
            if place not in known and os.path.lexists(place):
                self.left_out.append(f"{name}: {configured} is configured in its place")
            known.add(place)
        yield from self._below("other", self.root, "", known=known)

    def _below(
        self,
        part: str,
        folder: Path,
        name: str,
        *,
        never: tuple[str, ...] = (),
        known: set[Path] | frozenset[Path] = frozenset(),
    ) -> Iterator[Listed]:
        """Yield the ordinary files of a folder, by name. never: paths relative to it that are not taken."""
        try:
            entries = sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return
        for entry in entries:
            path = folder / entry
            if entry in never or path in known or entry.startswith(INCOMING):
                continue
            if part == "log" and entry.endswith(UNFINISHED):
                continue
            named = f"{name}/{entry}" if name else entry
            inner = tuple(each[len(entry) + 1 :] for each in never if each.startswith(entry + "/"))
            if not may_hold(named):
                self.left_out.append(f"{named[:_SAID_CHARS]}: no backup holds a file of this name")
            elif path.is_symlink() or not path.is_dir():
                yield from self._file(part, path, named)
            elif _is_backup(path):
                self.left_out.append(f"{named}: a backup")
            else:
                yield from self._below(part, path, named, never=inner, known=known)

    def _file(self, part: str, path: Path, name: str) -> Iterator[Listed]:
        try:
            found = path.lstat()
        except FileNotFoundError:
            return
        if stat.S_ISREG(found.st_mode):
            yield Listed(part, path, name, found.st_size)
        else:
            self.left_out.append(f"{name}: {'a link' if stat.S_ISLNK(found.st_mode) else 'no ordinary file'}")


def lean_segments(log: Path) -> list[Path]:
    """Return the segments of a log that dropped their metrics: these are in the columns alone."""
    found = []
    for path in sorted(log.glob("*.seg")):
        try:
            with path.open("rb") as file:
                head = file.read(_VERSION_AT + len(_LEAN))
        except FileNotFoundError:
            continue
        if head[_VERSION_AT:] == _LEAN:
            found.append(path)
    return found


def _is_backup(folder: Path) -> bool:
    """Whether a folder is a backup, whole or damaged."""
    try:
        with (folder / MANIFEST).open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return False
    return f'"{FORMAT}"'.encode() in head and (folder / DATA).is_dir()


def _absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - links stay as given
