"""A process that takes the steps of Work. It ends at once when its pipe does.

    python -m contexta_daemon.columns <folder> <catalog> <descriptor of the lock>

Each message is a length (u32, little-endian) and a pickle, between two processes of one program: a request is the name
of a step of Work and its arguments, an answer is (what went wrong or "", what the step returned). Nothing but finished
files outlives this process, so it may be killed at any time; the lock is held until it is gone.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from contexta._priority import give_way
from contexta.errors import StorageError
from contexta_daemon.log import LoggedBatch, MadeLean, Position

from .files import ColumnFolder

_LENGTH = struct.Struct("<I")
NICENESS = 5  # below the daemon, which is below the training
_STEPS = frozenset({"take", "write", "merge", "drop_metrics"})


class Steps(Protocol):
    """What the follower has done for it; see work.py for what each step is."""

    def take(self, batches: Sequence[LoggedBatch]) -> int: ...
    def write(self, start: Position, end: Position) -> int: ...
    def merge(self) -> bool: ...
    def drop_metrics(self, log: Path, segment: int, end: int) -> MadeLean | None: ...
    def close(self) -> None: ...


class Worker:
    """The daemon's end of the pipe. Used by one thread at a time, but for `close`."""

    def __init__(self, folder: ColumnFolder, catalog_path: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-m", "contexta_daemon.columns", folder.path, catalog_path, str(folder.lock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            pass_fds=[folder.lock],
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def take(self, batches: Sequence[LoggedBatch]) -> int:
        return int(self._call("take", list(batches)))

    def write(self, start: Position, end: Position) -> int:
        return int(self._call("write", start, end))

    def merge(self) -> bool:
        return bool(self._call("merge"))

    def drop_metrics(self, log: Path, segment: int, end: int) -> MadeLean | None:
        made: MadeLean | None = self._call("drop_metrics", log, segment, end)
        return made

    def close(self) -> None:
        """End the process, whatever it is doing: what it has not renamed into place is made again from the log."""
        self._process.kill()  # before the pipes: closing one would wait for a thread that reads from it
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError, ValueError):
                    pipe.close()

    def _call(self, step: str, *arguments: Any) -> Any:
        """Raises StorageError with what the worker says, or when it is gone."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            _send(self._process.stdin, (step, arguments))
            answer = _receive(self._process.stdout)
        except (OSError, ValueError) as error:
            raise StorageError(f"the process that writes the columns is gone: {error}", retryable=True) from error
        if answer is None:
            raise StorageError("the process that writes the columns is gone", retryable=True)
        problem, returned = answer
        if problem:
            raise StorageError(f"the columns in {self._folder.path}: {problem}", retryable=True)
        return returned


def _send(pipe: IO[bytes], message: Any) -> None:
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> Any:
    """Return the next message; None at the end of the pipe."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    data = pipe.read(length)
    return pickle.loads(data) if len(data) == length else None


def _listen(requests: queue.Queue[Any]) -> None:
    """Take requests until the pipe ends: then the daemon is gone or wants nothing more, and so are we."""
    try:
        while (request := _receive(sys.stdin.buffer)) is not None:
            requests.put(request)
    finally:
        os._exit(0)


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the daemon ends it by closing the pipe
    give_way(NICENESS, own_session=True)
    requests: queue.Queue[Any] = queue.Queue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    from .work import Work  # takes a while, with the pipe already watched

    folder_path, catalog_path, lock = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    work = Work(ColumnFolder(folder_path, lock=lock), catalog_path)
    while True:
        step, arguments = requests.get()
        returned, problem = None, ""
        try:
            if step not in _STEPS:
                raise ValueError(f"there is no step {step!r}")
            returned = getattr(work, step)(*arguments)
        except Exception as error:  # of DuckDB, SQLite, the disk, memory: the daemon is told, and lets this process go
            problem = f"{type(error).__name__}: {error}"
        try:
            _send(sys.stdout.buffer, (problem, returned))
        except BrokenPipeError:
            os._exit(0)
