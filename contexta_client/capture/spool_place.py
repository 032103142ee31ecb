"""Where spools live: `<base>/contexta-<uid>/<hash of the workspace>/<session id>/`.

The base is memory-backed storage where it has room, else a local disk, never a network file system. Room changes over
time, so writers choose among the candidates, and readers look in all of them. The first candidate is also where the
sender's lock and its wake-up pipe lie (`control_root`), and where writers note roots that others may not think of: the
temporary folder is not the same one for all. Standard library only; the sender uses this module as well.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from time import time

from contexta._private_folders import make_folder
from contexta.errors import ConfigError

BASE_VARIABLE = "CONTEXTA_SPOOL_DIR"
MEMORY_BASE = Path("/dev/shm")
LOCK_NAME = "sender.lock"
WAKE_NAME = "wake"
WORKSPACE_NAME = "workspace"
CONFIG_NAME = "config.json"
NOTE_HEAD = "root-"  # begins the names of links in the control root, each to a root that a writer chose
NOTE_KEPT_S = 7 * 86_400.0  # where it leads nowhere: a job's temporary folder goes with the job
MOUNTS = "/proc/self/mounts"

# Mapped memory that another host may change, or whose pages may vanish, is no place for a spool.
NETWORK_TYPES = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "gpfs"})
NETWORK_TYPES |= {"beegfs", "orangefs", "pvfs2", "9p", "davfs", "ncpfs"}
LOCAL_FUSE = frozenset({"fuse.overlayfs", "fuse.fuse-overlayfs"})


def workspace_hash(workspace: str | os.PathLike[str]) -> str:
    """Return the 16 hex digits that stand for a workspace's real path."""
    return blake2b(os.fsencode(os.path.realpath(workspace)), digest_size=8).hexdigest()


def candidate_bases(workspace: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the folders that spool roots may lie under, the preferred one first."""
    given = given_base()
    if given:
        yield Path(os.path.realpath(given))
        return
    if sys.platform == "linux" and os.access(MEMORY_BASE, os.W_OK | os.X_OK):
        yield MEMORY_BASE
    yield Path(os.path.realpath(workspace), "cache", "spool")
    from tempfile import gettempdir  # needed rarely, and some milliseconds to import

    try:
        temporary = gettempdir()
    except OSError:  # there is none that can be written, as in a container without: the others have to do
        return
    yield Path(os.path.realpath(temporary))


def given_base() -> str:
    """Return the absolute path of CONTEXTA_SPOOL_DIR, empty where it is not set."""
    given = os.environ.get(BASE_VARIABLE)
    return _absolute(given) if given else ""


@lru_cache(maxsize=8)
def _absolute(given: str) -> str:
    """A relative path means the working folder in which it was met first: a program may change it later, and the sender
    does at once. Raises ConfigError."""
    try:
        return os.path.abspath(given)  # noqa: PTH100 - resolve() would follow links
    except FileNotFoundError as error:
        raise ConfigError(
            f"{BASE_VARIABLE} is {given!r}, which is relative to a working folder that was removed. Write an absolute "
            "path.",
            code="working_folder_removed",
            details={"key": BASE_VARIABLE},
            cause=error,
        ) from error


def candidate_roots(workspace: str | os.PathLike[str]) -> list[Path]:
    """Return the spool roots that a workspace may have, whether they exist or not. A reader looks in all of them."""
    roots = [root for _, root in _places(workspace)]
    with suppress(OSError):
        roots += noted_roots(workspace)
    return list(dict.fromkeys(roots))


def noted_roots(workspace: str | os.PathLike[str]) -> list[Path]:
    """Return the roots that writers noted; none where somebody else may have done so. Raises OSError when the notes
    cannot be listed for now."""
    control = control_root(workspace)
    try:
        check_private(control)
        notes = [control / name for name in os.listdir(control) if name.startswith(NOTE_HEAD)]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
    noted = [note.readlink() for note in notes if note.is_symlink()]
    ours = control.parts[-2:]
    return [root for root in noted if root.is_absolute() and root.parts[-2:] == ours]


def control_root(workspace: str | os.PathLike[str]) -> Path:
    """Return the root where the sender's lock and its wake-up pipe lie."""
    return next(_places(workspace))[1]


def make_control_root(workspace: str | os.PathLike[str]) -> Path:
    """Make the control root if need be, and return it. Raises OSError when it cannot be trusted."""
    base, root = next(_places(workspace))
    make_root(base, root, workspace)
    return root


def _places(workspace: str | os.PathLike[str]) -> Iterator[tuple[Path, Path]]:
    end = Path(f"contexta-{os.getuid()}", workspace_hash(workspace))
    for base in candidate_bases(workspace):
        yield base, base / end


def choose_root(workspace: str | os.PathLike[str], spool_bytes: int) -> Path:
    """Return the root for a new spool, made if need be. Raises OSError when no candidate can be used.

    A base must be local and have twice `spool_bytes` free; when none has, the one with the most room is taken.
    """
    problems: list[str] = []
    tight: list[tuple[int, Path]] = []
    for base, root in _places(workspace):
        if is_network(base):
            problems.append(f"{base} is on a network file system")
            continue
        try:
            make_root(base, root, workspace)
            free = free_bytes(root)
        except OSError as error:
            problems.append(str(error))
            continue
        tight.append((free, root))
        if free >= 2 * spool_bytes:
            break
    if not tight:
        raise OSError("; ".join(problems))
    root = max(tight, key=lambda each: each[0])[1]
    _note(root, workspace)
    return root


def _note(root: Path, workspace: str | os.PathLike[str]) -> None:
    """Note a root for readers whose candidates are others. A short link needs no room of a full file system."""
    control = control_root(workspace)
    if root == control:
        return
    with suppress(OSError):
        make_control_root(workspace)
        for note in control.glob(f"{NOTE_HEAD}*"):
            if not note.exists() and time() - note.lstat().st_mtime > NOTE_KEPT_S:
                note.unlink()
        name = NOTE_HEAD + blake2b(os.fsencode(root), digest_size=8).hexdigest()
        (control / name).symlink_to(root)  # FileExistsError: it was noted before


def make_root(base: Path, root: Path, workspace: str | os.PathLike[str]) -> None:
    """Make a spool root below a base and say in it whose it is. Raises OSError when it cannot be trusted."""
    make_folder(base)
    make_private(root.parent)
    make_private(root)
    note = root / WORKSPACE_NAME
    if not note.exists():
        with suppress(OSError):  # it is only for people
            replace_file(note, os.fsencode(os.path.realpath(workspace)))


def write_settings(workspace: str | os.PathLike[str], data: bytes) -> None:
    """Leave the settings of sender and daemon in the first root that takes them: memory may be full.

    Raises OSError when none does.
    """
    passed_over: list[Path] = []
    problems: list[str] = []
    for base, root in _places(workspace):
        path = root / CONFIG_NAME
        try:
            make_root(base, root, workspace)
            if not (path.is_file() and path.read_bytes() == data):
                replace_file(path, data)
        except OSError as error:
            problems.append(str(error))
            passed_over.append(path)
            continue
        for older in passed_over:  # it would be found first
            with suppress(OSError):
                older.unlink()
        _note(root, workspace)
        return
    raise OSError("; ".join(problems))


def read_settings(workspace: str | os.PathLike[str]) -> bytes:
    """Return the settings that a writer left, empty when there are none."""
    for root in candidate_roots(workspace):
        try:
            check_private(root.parent)
            check_private(root)
            return (root / CONFIG_NAME).read_bytes()
        except OSError:
            continue
    return b""


def replace_file(path: Path, data: bytes) -> None:
    """Write a small file so that a reader sees the old or the new one, whole. Raises OSError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            write_all(file, data)
        finally:
            os.close(file)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def write_all(file: int, data: bytes) -> None:
    """Write every byte, going on behind short writes. Raises OSError."""
    while data:
        data = data[os.write(file, data) :]


def make_private(folder: Path) -> None:
    """Make a folder for its owner alone. Raises PermissionError when what is there is a link or another user's."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        check_private(folder)


def check_private(folder: Path) -> None:
    """Raise PermissionError unless the folder is a real one of this user; close it to others where it is open."""
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        raise PermissionError(f"{folder} is not a folder (a link is not followed); remove it")
    if found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to user {found.st_uid}, not to {os.getuid()}; remove it")
    if found.st_mode & 0o077:
        folder.chmod(0o700)


def free_bytes(folder: Path) -> int:
    """Return the bytes that this user may still write below a folder."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def is_network(folder: Path, mounts: str = MOUNTS) -> bool:
    """Whether a folder (or where it will be made) is on a network file system; False where that cannot be told."""
    return is_network_type(file_system(os.path.realpath(folder), mounts))


def is_network_type(kind: str) -> bool:
    """Whether a type of file systems is of those that another host may change."""
    return kind in NETWORK_TYPES or (kind.startswith("fuse.") and kind not in LOCAL_FUSE)


def file_system(path: str, mounts: str = MOUNTS) -> str:
    """Return the type of the file system that a real path is on, which is not asked; empty where it cannot be told."""
    try:
        lines = Path(mounts).read_bytes().splitlines()
    except OSError:  # not Linux
        return ""
    best, found = -1, ""
    for line in lines:
        fields = line.split()
        if len(fields) < 3:
            continue
        point = os.fsdecode(fields[1].replace(b"\\040", b" ").replace(b"\\011", b"\t").replace(b"\\134", b"\\"))
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:
            best, found = len(point), fields[2].decode("ascii", "replace")
    return found
