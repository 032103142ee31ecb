"""The hash of a file or folder, and whether it is still what was registered. Blocking; runs in threads.

A file's hash is the SHA-256 of its bytes, which anyone can check with `sha256sum`. A folder's is the SHA-256 of one
line for each file in it, sorted by path: `<hash> <size> <path relative to the folder>\\n` (docs/format/artifacts.md).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

READ_BYTES = 8 << 20
INCOMING = ".incoming-"
ATTEMPTS = 2  # a file that changes under the second reading too has no hash
CHANGED, MISSING, UNREADABLE = "changed", "missing", "unreadable"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What tells, without reading, that a file is another one now."""

    size: int
    modified_ns: int
    inode: int

    @classmethod
    def of(cls, found: os.stat_result) -> Fingerprint:
        return cls(found.st_size, found.st_mtime_ns, found.st_ino)


@dataclass(frozen=True, slots=True)
class Hashed:
    """What came of hashing. `hash_value` is empty when there is none; `problem` is empty when all is as registered."""

    hash_value: str = ""
    size_bytes: int = 0
    problem: str = ""
    detail: str = ""
    stored_path: str = ""


class FileChangedError(Exception):
    """The file changed while it was read."""


class HashingEndedError(Exception):
    """The hashing was ended before it knew the hash."""


class StoreFailedError(Exception):
    """The copy could not be made: the disk is full, or refuses."""


def hash_artifact(
    path: Path, registered: Fingerprint, *, store: Path | None = None, ending: threading.Event | None = None
) -> Hashed:
    """Hash what lies at a path. store: the objects' folder, when a copy is to be kept; None: adopted where it lies.

    Never raises for what is wrong with the file: that is `problem` and `detail`. Raises HashingEndedError soon after
    `ending` is set.
    """
    ending = ending or threading.Event()
    try:
        for _ in range(ATTEMPTS):
            try:
                return _hash(path, registered, store, ending)
            except FileChangedError:
                continue
    except FileNotFoundError:
        return Hashed(problem=MISSING, detail=f"{path} was there when it was registered, and is not any more")
    except OSError as error:
        return Hashed(problem=UNREADABLE, detail=f"{path} cannot be read: {error.strerror or error}")
    except ValueError as error:  # no system has such a path: it holds a zero byte, or half a character
        return Hashed(problem=UNREADABLE, detail=f"{str(path)!a} cannot be the path of a file: {error}")
    return Hashed(problem=CHANGED, detail=f"{path} changed each time while it was read, so it has no hash")


def _hash(path: Path, registered: Fingerprint, store: Path | None, ending: threading.Event) -> Hashed:
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        digest, size = _hash_folder(path, ending)
        return Hashed(f"sha256:{digest}", size)
    stored = detail = ""
    with _opened(path) as source:
        state = os.fstat(source)
        before = Fingerprint.of(state)
        try:
            digest, stored = (_digest(source, ending), "") if store is None else _copy(source, store, ending)
        except StoreFailedError as error:
            os.lseek(source, 0, os.SEEK_SET)
            digest, detail = _digest(source, ending), f"{path} is not copied, only hashed: {error}"
        if _was_touched(state, os.fstat(source)) or _was_touched(state, path.stat()):
            raise FileChangedError
    if registered.inode and before != registered:
        detail = f"{path} is not the file that was registered: {_difference(registered, before)}"
        return Hashed(f"sha256:{digest}", before.size, CHANGED, detail, stored)
    return Hashed(f"sha256:{digest}", before.size, detail=detail, stored_path=stored)


def _was_touched(before: os.stat_result, after: os.stat_result) -> bool:
    """Whether a file is another one than before, or was written to. The time of its change is the system's own: a
    program can set the time of modification back, and not this one."""
    return Fingerprint.of(before) != Fingerprint.of(after) or before.st_ctime_ns != after.st_ctime_ns


def _difference(registered: Fingerprint, found: Fingerprint) -> str:
    if registered.size != found.size:
        return f"it had {registered.size} bytes and has {found.size}"
    return "it was replaced" if registered.inode != found.inode else "it was written to since"


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    # Not blocking: a named pipe would wait for a writer for ever.
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(source).st_mode):
            raise OSError(0, "it is neither a file nor a folder")
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(source, 0, 0, os.POSIX_FADV_SEQUENTIAL)
        yield source
    finally:
        os.close(source)


def _blocks(source: int, ending: threading.Event) -> Iterator[memoryview]:
    """The file's bytes, read ahead by a thread of its own so that reading and hashing overlap.

    Raises OSError, and HashingEndedError.
    """
    free: Queue[bytearray] = Queue()
    for _ in range(2):
        free.put(bytearray(min(READ_BYTES, max(1, os.fstat(source).st_size))))
    filled: Queue[tuple[bytearray, int] | OSError] = Queue()
    stop = threading.Event()

    def read() -> None:
        try:
            while not stop.is_set():
                buffer = free.get()
                count = os.readv(source, [buffer])
                filled.put((buffer, count))
                if count == 0:
                    return
        except OSError as error:
            filled.put(error)

    reader = threading.Thread(target=read, name="artifact-reader", daemon=True)
    reader.start()
    try:
        while True:
            item = filled.get()
            if ending.is_set():
                raise HashingEndedError
            if isinstance(item, OSError):
                raise item
            buffer, count = item
            if count == 0:
                return
            yield memoryview(buffer)[:count]
            free.put(buffer)
    finally:
        stop.set()
        free.put(bytearray(1))
        reader.join()


def _digest(source: int, ending: threading.Event) -> str:
    digest = hashlib.sha256()
    if os.fstat(source).st_size <= READ_BYTES:
        while data := os.read(source, READ_BYTES):
            digest.update(data)
    else:
        for block in _blocks(source, ending):
            digest.update(block)
    return digest.hexdigest()


def _copy(source: int, store: Path, ending: threading.Event) -> tuple[str, str]:
    """Copy into the store under the hash of what was written; return (digest, path). Raises StoreFailedError."""
    temporary = store / f"{INCOMING}{os.getpid()}-{threading.get_ident()}"
    digest = hashlib.sha256()
    try:
        with _storing():
            _make_folder(store)
            target = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            for block in _blocks(source, ending):
                digest.update(block)
                with _storing():
                    while block:
                        block = block[os.write(target, block) :]
            with _storing():
                os.fsync(target)
        finally:
            os.close(target)
        name = digest.hexdigest()
        place = store / name[:2] / name[2:]
        with _storing():
            place.parent.mkdir(mode=0o700, exist_ok=True)
            if place.exists():
                temporary.unlink()
            else:
                temporary.rename(place)
            for folder in (place.parent, store):  # also what is there: who made it may have been killed before its sync
                _sync_folder(folder)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    return name, str(place)


@contextlib.contextmanager
def _storing() -> Iterator[None]:
    """Tell an error of the store apart from one of the file that is read."""
    try:
        yield
    except OSError as error:
        raise StoreFailedError(error.strerror or str(error)) from error


def remove_incoming(store: Path) -> None:
    """Remove copies that a crash left unfinished."""
    with contextlib.suppress(OSError):
        for left in store.glob(f"{INCOMING}*"):
            left.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it that lack, each for its owner alone and durable."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse(error: OSError) -> None:
    raise error


def _hash_folder(folder: Path, ending: threading.Event) -> tuple[str, int]:
    """Return (digest, bytes of all files), as they all were at one moment. Links to folders are not followed."""
    whole, total = hashlib.sha256(), 0
    files = {name: _stat(folder / name) for name in _files_in(folder)}
    for name, before in files.items():
        if ending.is_set():
            raise HashingEndedError
        with _opened(folder / name) as source:
            digest = _digest(source, ending)
        whole.update(f"{digest} {before.st_size} ".encode() + os.fsencode(name) + b"\n")
        total += before.st_size
    if _files_in(folder) != list(files) or any(_was_touched(files[name], _stat(folder / name)) for name in files):
        raise FileChangedError
    return whole.hexdigest(), total


def _files_in(folder: Path) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(base, name), folder)  # noqa: PTH118 - os.walk gives texts
        for base, _, names in os.walk(folder, onerror=_refuse)
        for name in names
    )


def _stat(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError:
        if path.is_symlink():
            raise OSError(0, f"{path.name} is a link to nothing") from None
        raise FileChangedError from None
