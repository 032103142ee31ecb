"""Starting the sender, and telling whether it lives, from the training process: standard library only.

The sender is `python -m contexta_client.sender --workspace <path>`. It leaves this process's session and group, so the
job's signals do not reach it, and its first process ends at once: that one is reaped here.
"""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from time import monotonic, monotonic_ns

from . import spool_place
from .notices import say_once

PYTHON_VARIABLE = "CONTEXTA_PYTHON"
STALE_NS = 2_000_000_000  # a heartbeat older than this is none
FIRST_BACKOFF_S = 2.0  # a Python start on a loaded machine takes a while
LAST_BACKOFF_S = 30.0


class SenderStart:
    """Keeps a sender running for one workspace. Never raises; a failure is said once."""

    def __init__(self, workspace: Path, *, autostart: bool) -> None:
        self.workspace = workspace
        self.autostart = autostart
        self._wake_path = spool_place.control_root(workspace) / spool_place.WAKE_NAME
        self._started: list[int] = []  # processes to reap
        self._next_start_s = 0.0
        self._backoff_s = FIRST_BACKOFF_S

    def wake(self) -> bool:
        """Tell the sender to look at once. Returns whether there is one: only it holds the pipe's reading end."""
        try:
            pipe = os.open(self._wake_path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return False
        try:
            os.write(pipe, b"\0")
        except BlockingIOError:  # it has not read the last ones yet
            return True
        except OSError as error:
            return error.errno != errno.EPIPE
        finally:
            os.close(pipe)
        return True

    def ensure(self, heartbeat_ns: int) -> bool:
        """Start a sender when there is none. heartbeat_ns: of the spool's header. Returns whether one can be hoped for.

        Starts follow each other with growing distance, so that a sender that cannot live does not eat the machine.
        """
        self.reap()
        if monotonic_ns() - heartbeat_ns < STALE_NS:
            self._backoff_s = FIRST_BACKOFF_S
            return True
        if self.wake():
            return True
        if not self.autostart:
            return False
        now = monotonic()
        if now < self._next_start_s:
            return True
        self._next_start_s = now + self._backoff_s
        self._backoff_s = min(self._backoff_s * 2, LAST_BACKOFF_S)
        return self.start()

    def start(self) -> bool:
        """Start a sender; a second one finds the first's lock and ends. Returns False when it cannot be started."""
        python = os.environ.get(PYTHON_VARIABLE) or sys.executable
        if not python:
            say_once("python", f"no Python is known to start the sender with; set {PYTHON_VARIABLE} to one")
            return False
        # -P: a module of the working folder must not stand in for one that the sender imports.
        arguments = [python, "-P", "-m", "contexta_client.sender", "--workspace", str(self.workspace)]
        try:
            self._started.append(_spawn(python, arguments, sender_environment()))
        except OSError as error:
            say_once("spawn", f"the sender could not be started with {python} ({error}); records wait in the spool")
            return False
        return True

    def reap(self) -> None:
        """Collect started processes that have ended."""
        for pid in self._started[:]:
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == 0:
                    continue
            except OSError:  # someone else collected it, or SIGCHLD is ignored
                pass
            if pid in self._started:
                self._started.remove(pid)

    def forget_children(self) -> None:
        """After a fork: the processes that the parent started are not ours to collect."""
        self._started = []
        self._next_start_s = 0.0


def sender_environment() -> dict[str, str]:
    """Return this process's environment, with what makes contexta_client importable wherever it was imported from, and
    with the spools where they are for this process: the sender runs in another working folder."""
    environment = dict(os.environ)
    if base := spool_place.given_base():
        environment[spool_place.BASE_VARIABLE] = base
    home = str(Path(__file__).resolve().parents[2])
    if Path(home).name not in ("site-packages", "dist-packages"):
        given = environment.get("PYTHONPATH", "")
        if home not in given.split(os.pathsep):
            environment["PYTHONPATH"] = home + os.pathsep + given if given else home
    return environment


def _spawn(python: str, arguments: list[str], environment: dict[str, str]) -> int:
    null = os.devnull
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, null, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, null, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, null, os.O_WRONLY, 0),
    ]
    search = os.sep not in python
    spawn = os.posix_spawnp if search else os.posix_spawn
    try:
        return spawn(python, arguments, environment, file_actions=actions, setsid=True)
    except NotImplementedError:  # a C library without POSIX_SPAWN_SETSID: the sender does it itself
        return spawn(python, arguments, environment, file_actions=actions)
