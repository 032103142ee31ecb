"""A process that makes lines: batches in through a pipe, one answer a step. It ends when the pipe does.

    python -m contexta_daemon.mirror <folder> <state file> <catalog>

Each message is a length (u32, little-endian) and a pickle, between two processes of one program: a request is
(batches, start, end), an answer is (whether there were lines, the text of what went wrong: empty when nothing did). The
state on disk is the only thing that outlives a step (see files.py), so this process may be killed at any time.
"""

from __future__ import annotations

import contextlib
import pickle
import signal
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from contexta._priority import give_way
from contexta.errors import ContextaError, StorageError
from contexta_daemon.catalog import connect_reader
from contexta_daemon.log import LoggedBatch, Position

from .files import LineFiles
from .step import write_step

_LENGTH = struct.Struct("<I")
_STOP_TIMEOUT_S = 5.0
NICENESS = 5  # below the daemon, which is below the training


class Worker:
    """The daemon's end of the pipe. Used by one thread at a time."""

    def __init__(self, files: LineFiles, catalog_path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "contexta_daemon.mirror", files.folder, files.state_path, catalog_path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def write(self, batches: Sequence[LoggedBatch], *, start: Position, end: Position) -> bool:
        """Have the lines of batches written; return whether there were any.

        Raises StorageError with what the worker says, or when it is gone.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            _send(self._process.stdin, (list(batches), start, end))
            answer = _receive(self._process.stdout)
        except OSError as error:
            raise StorageError(f"the process that writes the JSON Lines files is gone: {error}") from error
        if answer is None:
            raise StorageError("the process that writes the JSON Lines files is gone", retryable=True)
        moved, problem = answer
        if problem:
            raise StorageError(f"the JSON Lines files: {problem}", retryable=True)
        return bool(moved)

    def stop(self) -> None:
        """End the process; a step that is under way is not waited for longer than a few seconds."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


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


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the daemon ends it by closing the pipe
    give_way(NICENESS, own_session=True)
    folder, state_path, catalog_path = (Path(argument) for argument in sys.argv[1:4])
    files = LineFiles(folder, state_path)
    connection: sqlite3.Connection | None = None
    while (request := _receive(sys.stdin.buffer)) is not None:
        batches, start, end = request
        moved = False
        try:
            # A catalog that was made again is another file: look it up anew at each step.
            connection = connect_reader(catalog_path)
            moved = write_step(files, connection, batches, start=start, end=end)
            problem = ""
        except (OSError, ContextaError, sqlite3.Error, ValueError) as error:
            problem = f"{type(error).__name__}: {error}"
        finally:
            if connection is not None:
                connection.close()
        try:
            _send(sys.stdout.buffer, (moved, problem))
        except BrokenPipeError:
            return 0
    return 0

