"""Appending to the two files so that after any crash every line stands there exactly once.

The state file holds the position in the log and, for each file, which file it was (inode) and how long. A step appends
first and then replaces the state. After a crash between the two, the file is the one of the state and longer: the rest
is cut off and made again. When the user deleted, replaced or shortened a file, it is not the one of the state: then the
state first takes in the file as it is now, and the lines go on behind it.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from contexta.errors import StorageError
from contexta_daemon.log import Position

RECORD, ARTIFACT = "record.jsonl", "artifact.jsonl"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class FileMark:
    """Which file it was, and how long, when everything up to the position stood in it."""

    inode: int
    size: int


@dataclass(frozen=True, slots=True)
class State:
    """What the state file says."""

    position: Position
    log_id: str
    files: Mapping[str, FileMark]


def load_state(path: Path) -> State | None:
    """Return the state; None when there is none that can be read."""
    try:
        found = json.loads(path.read_bytes())
        if found["version"] != _VERSION:
            return None
        marks = {name: FileMark(int(mark["inode"]), int(mark["size"])) for name, mark in found["files"].items()}
        return State(Position(int(found["segment"]), int(found["offset"])), str(found["log_id"]), marks)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def save_state(path: Path, state: State) -> None:
    """Replace the state file in one step. The folder must be there: a deleted workspace is not made again."""
    text = json.dumps(
        {
            "version": _VERSION,
            "segment": state.position.segment,
            "offset": state.position.offset,
            "log_id": state.log_id,
            "files": {name: {"inode": mark.inode, "size": mark.size} for name, mark in state.files.items()},
        }
    )
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)


class LineFiles:
    """The two files and the state beside them. Holds nothing in memory, so any process may take the next step."""

    def __init__(self, folder: Path, state_path: Path) -> None:
        self.folder = folder
        self.state_path = state_path

    def state(self) -> State:
        return load_state(self.state_path) or State(Position(0, 0), "", {})

    def append(self, texts: Iterable[tuple[str, bytes]], *, start: Position, end: Position) -> bool:
        """Append lines, given as (file, whole lines), and move from `start` to `end`. On an error nothing has moved,
        and it may be tried again.

        Return whether there was a line. Without one no file is touched, and the state stays at `start`: the end of a
        process is such a step, and whoever deletes a workspace right behind it must not meet a new file while at it.

        Raises StorageError when the state does not stand at `start`, OSError when the disk refuses, and what `texts`
        raises.
        """
        lines = (each for each in texts if each[1])
        first = next(lines, None)
        if first is None:
            return False
        with self._locked(), ExitStack() as opened:
            state = self._state_at(start)
            before, after = dict(state.files), dict(state.files)
            descriptors: dict[str, int] = {}
            try:
                for name, text in chain((first,), lines):
                    if name not in descriptors:
                        descriptor = opened.enter_context(self._opened(name))
                        mark = self._recovered(descriptor, before.get(name))
                        if mark != before.get(name):
                            before[name] = mark
                            save_state(self.state_path, replace(state, files=before))
                        descriptors[name], after[name] = descriptor, mark
                    after[name] = replace(after[name], size=after[name].size + len(text))
                    _write_all(descriptors[name], text)
                save_state(self.state_path, State(end, state.log_id, after))
                return True
            except Exception:
                for name, descriptor in descriptors.items():
                    os.ftruncate(descriptor, before[name].size)
                raise

    def move(self, *, start: Position, end: Position) -> None:
        """Move from `start` to `end` without lines. Raises StorageError and OSError as `append` does."""
        with self._locked():
            save_state(self.state_path, replace(self._state_at(start), position=end))

    def begin_again(self, log_id: str) -> None:
        """Go to the beginning of a log. What stands in the files stays, and lines go on behind it."""
        with self._locked():
            save_state(self.state_path, State(Position(0, 0), log_id, {}))

    def put_away(self) -> None:
        """Move files that no state speaks of aside, as `*.old.jsonl`: they will be made again from the log."""
        with self._locked():
            for name in (RECORD, ARTIFACT):
                path = self.folder / name
                if path.is_file() and path.stat().st_size:
                    path.replace(path.with_suffix(".old.jsonl"))

    def _state_at(self, start: Position) -> State:
        state = self.state()
        if state.position != start:
            raise StorageError(f"the JSON Lines files stand at {state.position}, not at {start}", retryable=True)
        return state

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process at a time: the worker of a daemon that was killed may still be at its last step."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.state_path.with_suffix(".lock"), flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        if not self.state_path.parent.is_dir():
            raise StorageError(f"{self.state_path.parent} is gone; was the workspace deleted?", retryable=True)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(self.folder / name, flags, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise StorageError(f"{self.folder / name} is not a file")
            yield descriptor
        finally:
            os.close(descriptor)

    def _recovered(self, descriptor: int, mark: FileMark | None) -> FileMark:
        """Cut off what a crashed step left behind, or take in a file that changed; return where to append."""
        found = os.fstat(descriptor)
        if mark is not None and found.st_ino == mark.inode and found.st_size >= mark.size:
            if found.st_size > mark.size:
                os.ftruncate(descriptor, mark.size)
            return mark
        size = found.st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":  # cut within a line: keep ours whole
            size += os.write(descriptor, b"\n")
        return FileMark(found.st_ino, size)


def _write_all(descriptor: int, text: bytes) -> None:
    view = memoryview(text)
    while view:
        view = view[os.write(descriptor, view) :]
