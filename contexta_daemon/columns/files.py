"""The folder of Parquet files: their names, which of them count, and how one comes to stand there.

A file's name tells which range of the log it holds, so the folder needs no index: what counts is the *chain*, the files
that follow each other without a gap from the beginning of the log, and its end is how far the columns are durable. The
name tells a digest of the file too: Parquet has no checksums that its readers look at.
A file appears by a rename after it was synced. Merged files take the place of those whose range they hold: these count
no longer from the rename on, and are then deleted. So a crash between any two steps loses and doubles nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import xxhash

from contexta.errors import StorageError
from contexta_daemon.log import Position

from .schema import VERSION

_log = logging.getLogger(__name__)

BEGINNING = Position(0, 0)
UNFINISHED = ".new"
DAMAGED = ".damaged"
PUT_AWAY = "old-"  # begins the names of folders with files that follow from no log, or from none any more
SPILL_FOLDER = "sorting"  # where DuckDB sorts what does not fit in memory
_STATE, _LOCK = "log.json", "lock"
_LOCK_TIMEOUT_S = 5.0
_LOCK_RETRY_S = 0.02
_RANGE = r"(\d{10})-(\d{12})_(\d{10})-(\d{12})"
_NAME = re.compile(rf"{_RANGE}\.([0-9a-f]{{16}})\.parquet", re.ASCII)
_UNFINISHED_NAME = re.compile(rf"({_RANGE}\.parquet|{re.escape(_STATE)}){re.escape(UNFINISHED)}", re.ASCII)
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, order=True)
class ColumnFile:
    """One file: the metrics of the log from `start` up to `end`. `digest`: of its bytes; empty while it is written."""

    start: Position
    end: Position
    digest: str = ""

    @property
    def name(self) -> str:
        digest = f".{self.digest}" if self.digest else ""
        return f"{_written(self.start)}_{_written(self.end)}{digest}.parquet"

    def within(self, other: ColumnFile) -> bool:
        return other.start <= self.start and self.end <= other.end


def _written(position: Position) -> str:
    return f"{position.segment:010d}-{position.offset:012d}"


def named(name: str) -> ColumnFile | None:
    """Return the finished file of a name; None when it is not one of ours."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    *numbers, digest = found.groups()
    places = [int(number) for number in numbers]
    file = ColumnFile(Position(*places[:2]), Position(*places[2:]), digest)
    return file if file.start < file.end else None


def digest_of(path: Path) -> str:
    """Return xxh3-64 of a file's bytes, as 16 hex digits. Raises OSError."""
    state = xxhash.xxh3_64()
    with path.open("rb", buffering=0) as file:
        while data := file.read(_READ_BYTES):
            state.update(data)
    return state.hexdigest()


def damaged(folder: Path, files: Iterable[ColumnFile]) -> list[ColumnFile]:
    """Return those that are not what was written. Raises OSError when it cannot be told."""
    found = []
    for file in files:
        with contextlib.suppress(FileNotFoundError):  # merged meanwhile
            if digest_of(folder / file.name) != file.digest:
                found.append(file)
    return found


def listed(folder: Path) -> list[ColumnFile]:
    """Return all files of ours in a folder, by their range; none when there is no folder."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(file for name in names if (file := named(name)) is not None)


def chain_of(files: Iterable[ColumnFile]) -> list[ColumnFile]:
    """Return the files that follow each other from the beginning; of two that start together the larger one."""
    largest: dict[Position, ColumnFile] = {}
    for file in files:
        if file.start not in largest or largest[file.start].end < file.end:
            largest[file.start] = file
    chain: list[ColumnFile] = []
    at = BEGINNING
    while (following := largest.get(at)) is not None:
        chain.append(following)
        at = following.end
    return chain


def chain_in(folder: Path) -> list[ColumnFile]:
    """Return the files of a folder that count."""
    return chain_of(listed(folder))


def end_of(chain: Sequence[ColumnFile]) -> Position:
    """Return how far a chain reaches."""
    return chain[-1].end if chain else BEGINNING


class ColumnFolder:
    """The folder, for the one process that changes it and its workers, which inherit the lock."""

    def __init__(self, path: Path, *, lock: int | None = None) -> None:
        """Without `lock`: make the folder, take the lock, and clear up what a killed process left.

        Raises StorageError when another process holds the lock, OSError when the disk refuses.
        """
        self.path = path
        if lock is not None:
            self.lock = lock
            return
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.lock = _locked(path / _LOCK)
        try:
            self._clear_up()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the lock back, once no worker holds it any more. Idempotent."""
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1

    def chain(self) -> list[ColumnFile]:
        return chain_in(self.path)

    def require_ours(self) -> None:
        """Raise StorageError when the folder at our path is not the one that we locked: it was deleted, or moved."""
        try:
            there, held = (self.path / _LOCK).stat(), os.fstat(self.lock)
            ours = (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)
        except OSError:
            ours = False
        if not ours:
            raise StorageError(f"{self.path} was deleted or moved away; nothing is written there", retryable=True)

    def unfinished(self, file: ColumnFile) -> Path:
        """Where a file is written before it counts."""
        return self.path / (file.name + UNFINISHED)

    def finish(self, file: ColumnFile) -> ColumnFile:
        """Make an unfinished file count, durably; return it with its digest."""
        self.require_ours()
        written = self.unfinished(file)
        _sync(written)
        finished = replace(file, digest=digest_of(written))
        os.replace(written, self.path / finished.name)
        _sync(self.path)
        return finished

    def remove(self, files: Iterable[ColumnFile]) -> None:
        """Delete files whose range a larger one holds."""
        for file in files:
            (self.path / file.name).unlink(missing_ok=True)

    def put_aside(self, file: ColumnFile) -> None:
        """Take a damaged file out of the chain; what it held is made again from the log."""
        (self.path / file.name).rename(self.path / (file.name + DAMAGED))
        _log.warning("%s is damaged; its metrics are made again", self.path / file.name)

    # --- which log they are of ---

    def log_id(self) -> str:
        """Return which log the files are of; empty when nothing says so, or they are of another version."""
        try:
            state = json.loads((self.path / _STATE).read_bytes())
            return str(state["log_id"]) if state["version"] == VERSION else ""
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return ""

    def begin_again(self, log_id: str) -> None:
        """Go to the beginning of a log. Files of another one are kept, out of the way: they may be all that is left."""
        self.require_ours()
        self._put_away(listed(self.path))
        text = json.dumps({"version": VERSION, "log_id": log_id})
        fresh = self.path / (_STATE + UNFINISHED)
        fresh.write_text(text)
        _sync(fresh)
        os.replace(fresh, self.path / _STATE)
        _sync(self.path)

    def put_away_beyond(self, end: Position) -> None:
        """Go back to a log that is shorter than it was: one from a backup, with columns that were copied after it."""
        self.require_ours()
        self._put_away([file for file in listed(self.path) if file.end > end])

    def _put_away(self, files: Sequence[ColumnFile]) -> None:
        if not files:
            return
        number = 1
        while (old := self.path / f"{PUT_AWAY}{number}").exists():
            number += 1
        old.mkdir(mode=0o700)
        for file in files:
            (self.path / file.name).rename(old / file.name)
        _log.warning("%d column files do not follow from this log; they are kept in %s", len(files), old)

    def _clear_up(self) -> None:
        """Delete what a killed process left; put away what stands behind a gap: the log is read again from there."""
        for name in os.listdir(self.path):
            if _UNFINISHED_NAME.fullmatch(name):
                (self.path / name).unlink(missing_ok=True)
        clear_spill(self.path / SPILL_FOLDER)
        files = listed(self.path)
        chain = chain_of(files)
        replaced = [file for file in files if file not in chain and any(file.within(other) for other in chain)]
        self.remove(replaced)
        self._put_away([file for file in files if file not in chain and file not in replaced])


def clear_spill(folder: Path) -> None:
    """Delete what DuckDB left where it sorts."""
    if folder.is_dir():
        for name in os.listdir(folder):
            if name.startswith("duckdb_temp"):
                (folder / name).unlink(missing_ok=True)


def _locked(path: Path) -> int:
    """Take the lock. The worker of a killed daemon holds it until it has seen that its pipe has ended."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    give_up = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > give_up:
                os.close(descriptor)
                raise StorageError(f"another process writes the columns in {path.parent}", retryable=True) from None
            time.sleep(_LOCK_RETRY_S)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
