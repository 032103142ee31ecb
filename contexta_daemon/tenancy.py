"""One daemon for a workspace: the lock, the token, the socket's place, and what `daemon.json` tells clients.

Standard library only, because the lock is taken before anything heavy is imported.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import socket
import stat
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contexta._private_folders import make_folder, refuse_strangers

LOCK_NAME, RECORD_NAME, TOKEN_NAME, LOG_NAME = "daemon.lock", "daemon.json", "token", "daemon.log"
MAX_SOCKET_BYTES = 99  # the kernel takes 107, macOS 103
_TOKEN = re.compile(r"[0-9a-f]{64}")
_SOCKET = re.compile(r"[0-9a-f]{12}-[0-9a-f]{8}\.sock")
_SWEPT_AFTER_S = 600.0
_MAX_SWEPT = 500


class AlreadyRunningError(Exception):
    """Another daemon holds the workspace; the message says which."""


@dataclass(frozen=True, slots=True)
class DaemonRecord:
    """What daemon.json holds: how clients find and judge the daemon. Written when it serves."""

    pid: int
    version: str
    protocol_min: int
    protocol_max: int
    socket: str
    token_file: str
    log_file: str
    started_at: str
    instance: str
    workspace: str


class Tenancy:
    """Holding a workspace. Whoever holds the lock on `daemon/daemon.lock` is its daemon, until that file is another:
    a workspace that was deleted or moved away is no longer ours, and nothing at its path is touched any more."""

    def __init__(self, workspace: Path) -> None:
        """Take the workspace. Raises AlreadyRunningError, or OSError when the folder cannot be used."""
        self.workspace = Path(os.path.realpath(workspace))
        self.folder = self.workspace / "daemon"
        self.instance = secrets.token_hex(4)
        self.socket: Path | None = None
        make_folder(self.folder)
        refuse_strangers(self.workspace)
        self._lock_fd = self._lock()

    @property
    def log_file(self) -> Path:
        return self.folder / LOG_NAME

    @property
    def token_file(self) -> Path:
        return self.folder / TOKEN_NAME

    def is_ours(self) -> bool:
        """Whether the lock file at the workspace's path is still the one that is held."""
        try:
            there = (self.folder / LOCK_NAME).stat(follow_symlinks=False)
        except OSError:
            return False
        held = os.fstat(self._lock_fd)
        return (there.st_dev, there.st_ino) == (held.st_dev, held.st_ino)

    def token(self) -> str:
        """The workspace's token, made when there is none; kept across daemons."""
        with contextlib.suppress(FileNotFoundError, UnicodeDecodeError):
            text = self.token_file.read_text(encoding="ascii").strip()
            if _TOKEN.fullmatch(text):
                self.token_file.chmod(0o600)
                return text
        text = secrets.token_hex(32)
        _replace(self.token_file, text + "\n")
        return text

    def place_socket(self, configured_folder: str = "") -> Path:
        """Choose this instance's socket, in a folder that is only ours; remove the one of the daemon before us."""
        self._remove_stale_socket()
        name = f"{workspace_hash(self.workspace)}-{self.instance}.sock"
        problems = []
        for folder in _socket_folders(configured_folder):
            path = folder / name
            if len(os.fsencode(path)) > MAX_SOCKET_BYTES:
                problems.append(f"{path} is longer than {MAX_SOCKET_BYTES} bytes")
                continue
            try:
                own_folder(folder)
            except OSError as error:
                problems.append(str(error))
                continue
            _sweep(folder)
            self.socket = path
            return path
        raise OSError("no folder for the socket: " + "; ".join(problems))

    def announce(self, record: DaemonRecord) -> None:
        """Write daemon.json: the daemon serves."""
        fields = {name: getattr(record, name) for name in record.__slots__}
        _replace(self.folder / RECORD_NAME, json.dumps(fields, indent=2) + "\n")

    def withdraw(self) -> None:
        """Remove what this instance put down, and give the workspace back. Touches nothing that is not ours."""
        with contextlib.suppress(OSError):
            if self.socket is not None:
                self.socket.unlink()
        if self.is_ours() and self._record().get("instance") == self.instance:
            with contextlib.suppress(OSError):
                (self.folder / RECORD_NAME).unlink()
        os.close(self._lock_fd)

    def _lock(self) -> int:
        path = self.folder / LOCK_NAME
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip()
                os.close(fd)
                raise AlreadyRunningError(
                    f"a daemon (pid {holder or 'unknown'}) already serves {self.workspace}"
                ) from None
            with contextlib.suppress(FileNotFoundError):
                held, there = os.fstat(fd), path.stat()
                if (held.st_dev, held.st_ino) == (there.st_dev, there.st_ino):
                    self._lock_fd = fd
                    self.note_pid()
                    return fd
            os.close(fd)  # deleted between open and lock: take the new one

    def note_pid(self) -> None:
        """Say in the lock file who holds it; again after a fork."""
        with contextlib.suppress(OSError):  # only for people
            os.ftruncate(self._lock_fd, 0)
            os.pwrite(self._lock_fd, f"{os.getpid()}\n".encode(), 0)

    def _record(self) -> dict[str, Any]:
        try:
            record = json.loads((self.folder / RECORD_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def _remove_stale_socket(self) -> None:
        """The lock is ours, so the daemon of daemon.json is dead, if it was one of this very workspace (not of the
        one that this is a copy of)."""
        record = self._record()
        stale = record.get("socket")
        if record.get("workspace") != str(self.workspace) or not isinstance(stale, str):
            return
        path = Path(stale)
        if not re.fullmatch(workspace_hash(self.workspace) + r"-[0-9a-f]{8}\.sock", path.name):
            return
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()


def workspace_hash(workspace: Path) -> str:
    """12 hex digits that name a workspace by its real path."""
    return hashlib.blake2b(os.fsencode(workspace), digest_size=6).hexdigest()


def own_folder(folder: Path) -> None:
    """Make a folder that only this user can enter. Raises OSError when it is a link or somebody else's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} is not a folder of this user")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)


def _socket_folders(configured: str) -> list[Path]:
    folders = [Path(configured)] if configured else []
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if sys.platform == "linux" and not runtime and os.path.isdir(f"/run/user/{os.getuid()}"):  # noqa: PTH112
        runtime = f"/run/user/{os.getuid()}"
    if runtime:
        folders.append(Path(runtime) / "contexta")
    with contextlib.suppress(OSError):  # none can be written to
        folders.append(Path(tempfile.gettempdir()) / f"contexta-{os.getuid()}")
    return [*folders, Path("/tmp") / f"contexta-{os.getuid()}"]


def _sweep(folder: Path) -> None:
    """Remove sockets that daemons left which were killed and whose workspace is gone: nobody else would."""
    looked_at, now_s = 0, time.time()
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            with contextlib.suppress(OSError):
                # One that was just bound does not listen yet; one that listens never refuses.
                if not _SOCKET.fullmatch(path.name) or now_s - path.lstat().st_mtime < _SWEPT_AFTER_S:
                    continue
                looked_at += 1
                if looked_at > _MAX_SWEPT:
                    return
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.setblocking(False)
                    if probe.connect_ex(os.fsencode(path)) == errno.ECONNREFUSED:
                        path.unlink()


def _replace(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old or the new one, whole. Only for whoever holds the lock: what one that
    was killed left is written over."""
    temporary = path.with_name(f".{path.name}.tmp")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
