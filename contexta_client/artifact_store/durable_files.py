"""Writing so that after any crash a file is there whole or not at all, and reading that never follows a link."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from contexta.errors import ContextaError, StorageError

READ_BYTES = 1 << 20
_READ_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a pipe never waits for a writer
_FOLDER_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY


def make_folder(folder: Path) -> None:
    """Make a folder and those above it that lack, each for its owner alone and durable."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, data: bytes) -> None:
    """Write a file that was not there, for its owner alone, and sync it. Raises FileExistsError."""
    file = create(path)
    try:
        write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)


def create(path: Path) -> int:
    """Open a new file for writing; return its descriptor. Raises FileExistsError."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def write_all(file: int, data: bytes | memoryview) -> None:
    """Write every byte."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def replace_file(path: Path, data: bytes, *, incoming: Path) -> None:
    """Put a file's bytes in the place of what is there, whole and durable.

    incoming: a name on the same file system that nothing else uses.
    """
    try:
        write_new(incoming, data)
        make_folder(path.parent)
        incoming.replace(path)
    except BaseException:
        incoming.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold a lock file: one thread of one process at a time. The kernel frees it when the process dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened_file(path: Path) -> Iterator[int]:
    """Open an ordinary file to read it. Raises OSError, also for what is no file; a link is followed."""
    try:
        opened = os.open(path, _READ_FLAGS & ~os.O_NOFOLLOW)
    except ValueError as error:  # no system has such a path: it holds a zero byte, or half a character
        raise OSError(errno.EINVAL, str(error), ascii(str(path))) from error
    with _checked(opened, str(path)) as file:
        yield file


@contextlib.contextmanager
def opened_folder(folder: Path) -> Iterator[int]:
    """Open a folder that is no link. Raises OSError."""
    descriptor = os.open(folder, _FOLDER_FLAGS)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened_inside(folder: int, parts: Sequence[str]) -> Iterator[int]:
    """Open an ordinary file below an open folder, by the names that lead to it; none of them may be a link.

    Raises OSError. The names must be plain: this never leaves the folder because it looks at one at a time.
    """
    here = os.dup(folder)
    try:
        for name in parts[:-1]:
            below = os.open(_plain_name(name), _FOLDER_FLAGS, dir_fd=here)
            os.close(here)
            here = below
        file = os.open(_plain_name(parts[-1]), _READ_FLAGS, dir_fd=here)
    finally:
        os.close(here)
    with _checked(file, "/".join(parts)):
        yield file


@contextlib.contextmanager
def _checked(file: int, name: str) -> Iterator[int]:
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "it is not an ordinary file", name)
        yield file
    finally:
        os.close(file)


def _plain_name(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, "it is not the name of a file", name)
    return name


def blocks(file: int) -> Iterator[bytes]:
    """Yield what is left of a file, in pieces of at most READ_BYTES."""
    while data := os.read(file, READ_BYTES):
        yield data


@contextlib.contextmanager
def storing(folder: Path) -> Iterator[None]:
    """Turn what the disk refuses into a StorageError that says where and why. Errors of ours pass."""
    try:
        yield
    except ContextaError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StorageError(
            f"{folder} cannot be used: {error.strerror or error}"
            f"{f' ({error.filename})' if error.filename and str(error.filename) != str(folder) else ''}. "
            f"{'Make room and try again' if full else 'Check the path and who may write there'}; nothing was changed.",
            code="storage_full" if full else "storage_failed",
            details={"path": str(folder), "errno": error.errno},
            retryable=full,
            cause=error,
        ) from error
