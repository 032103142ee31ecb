"""Starting the sender, and telling whether it lives, from the training process: standard library only.

The sender is `python -m contexta_client.sender --workspace <path>`. It leaves this process's session and group, so the
job's signals do not reach it, and its first process ends at once: that one is reaped here. Until the sender is at work
its standard error is a pipe that is read here: what it says when it cannot live.
"""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from threading import Lock
from time import monotonic, monotonic_ns

from . import spool_place
from .notices import say_once

PYTHON_VARIABLE = "CONTEXTA_PYTHON"
STALE_NS = 2_000_000_000  # a heartbeat older than this is none
FIRST_BACKOFF_S = 2.0  # a Python start on a loaded machine takes a while
LAST_BACKOFF_S = 30.0
SILENT_S = 30.0  # no sender is expected any more that did not show itself for so long since it was started
MAX_SAID, MAX_WHY = 8192, 400
FAILURE = "contexta-sender: "  # begins the line on which a sender says why it ends; others may warn of anything


class SenderStart:
    """Keeps a sender running for one workspace. Never raises; a failure is said once."""

    def __init__(self, workspace: Path, *, autostart: bool) -> None:
        self.workspace = workspace
        self.autostart = autostart
        self._wake_path = spool_place.control_root(workspace) / spool_place.WAKE_NAME
        self._started: list[_Started] = []  # to reap
        self._reaping = Lock()
        self._alone_since_s: float | None = None  # started since, and none showed itself
        self._trouble = ""  # why the last one did not live
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
            self._found()
            return True
        if self.wake():
            self._found()
            return True
        if not self.autostart:
            return False
        now = monotonic()
        if self._alone_since_s is None:
            self._alone_since_s = now
        if self.is_missing():
            self._say_missing()
        if now < self._next_start_s:
            return True
        self._next_start_s = now + self._backoff_s
        self._backoff_s = min(self._backoff_s * 2, LAST_BACKOFF_S)
        return self.start()

    def is_missing(self) -> bool:
        """Whether senders were started, and the last one said that it cannot live or none showed itself for long."""
        since = self._alone_since_s
        return since is not None and (bool(self._trouble) or monotonic() - since > SILENT_S)

    def _found(self) -> None:
        self._alone_since_s = None
        self._trouble = ""

    def _say_missing(self) -> None:
        why = f" ({self._trouble})" if self._trouble else ""
        from shlex import join

        command = join([_python(), *_arguments(self.workspace), "--foreground"])
        say_once("missing", f"no sender comes up{why}; records wait in the spool. This shows what it says: {command}")

    def start(self) -> bool:
        """Start a sender; a second one finds the first's lock and ends. Returns False when it cannot be started."""
        python = _python()
        if not python:
            say_once("python", f"no Python is known to start the sender with; set {PYTHON_VARIABLE} to one")
            return False
        try:
            self._started.append(_spawn(python, [python, *_arguments(self.workspace)], sender_environment()))
        except OSError as error:
            say_once("spawn", f"the sender could not be started with {python} ({error}); records wait in the spool")
            return False
        return True

    def reap(self) -> None:
        """Collect started processes that have ended, and what they said."""
        if not self._reaping.acquire(blocking=False):  # another thread is at it, or this one in a signal's handler
            return
        try:
            for each in [each for each in self._started if each.is_over()]:
                self._trouble = each.failure() or self._trouble
                self._started.remove(each)
                os.close(each.file)
        finally:
            self._reaping.release()

    def forget_children(self) -> None:
        """After a fork: the processes that the parent started are not ours to collect."""
        for each in self._started:
            with suppress(OSError):
                os.close(each.file)
        self._started = []
        self._reaping = Lock()
        self._found()
        self._next_start_s = 0.0


class _Started:
    """A sender that was started: its first process, which ends at once, and the standard error of both."""

    __slots__ = ("_said", "_status", "file", "pid")

    def __init__(self, pid: int, file: int) -> None:
        self.pid = pid
        self.file = file
        self._said = b""
        self._status: int | None = None

    def is_over(self) -> bool:
        """Whether it has ended, or is at work and lets its standard error go. Never waits."""
        if self._status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except OSError:  # someone else collected it, or SIGCHLD is ignored
                pid, status = self.pid, 0
            if pid:
                self._status = status
        try:
            said = os.read(self.file, MAX_SAID)
        except OSError:  # nothing for now
            return False
        self._said = (self._said + said)[:MAX_SAID]
        return not said and self._status is not None

    def failure(self) -> str:
        """Return why it ended, empty where it is at work or found another one."""
        lines = [line for line in self._said.decode("utf-8", "replace").splitlines() if line.strip()]
        told = [line.removeprefix(FAILURE) for line in lines if line.startswith(FAILURE)]
        if not told and self._status:
            told = lines[-1:] or [f"its exit status is {os.waitstatus_to_exitcode(self._status)}"]
        return told[-1].strip()[:MAX_WHY] if told else ""


def _python() -> str:
    return os.environ.get(PYTHON_VARIABLE) or sys.executable


def _arguments(workspace: Path) -> list[str]:
    # -P: a module of the working folder must not stand in for one that the sender imports.
    return ["-P", "-m", "contexta_client.sender", "--workspace", str(workspace)]


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


def _spawn(python: str, arguments: list[str], environment: dict[str, str]) -> _Started:
    null = os.devnull
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    actions = [
        (os.POSIX_SPAWN_DUP2, writing, 2),  # first: it may be 0 or 1 where these were closed
        (os.POSIX_SPAWN_OPEN, 0, null, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, null, os.O_WRONLY, 0),
    ]
    search = os.sep not in python
    spawn = os.posix_spawnp if search else os.posix_spawn
    try:
        try:
            pid = spawn(python, arguments, environment, file_actions=actions, setsid=True)
        except NotImplementedError:  # a C library without POSIX_SPAWN_SETSID: the sender does it itself
            pid = spawn(python, arguments, environment, file_actions=actions)
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing)
    return _Started(pid, reading)
