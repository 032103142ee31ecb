"""Reading a file or folder to its hash, and noticing when it changes meanwhile."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from contexta.errors import NotFoundError, StorageError, ValidationError

from .durable_files import blocks, opened_file

PREFIX = "sha256:"


@dataclass(frozen=True, slots=True)
class Content:
    """What a file held when it was read: `sha256:` and hex, and what tells without reading that it is another now."""

    hash_value: str
    size_bytes: int
    modified_ns: int
    inode: int


def read_content(path: Path, take: Callable[[bytes], None] = lambda data: None) -> Content:
    """Read a file to its end, handing each piece to `take`.

    Raises OSError, and StorageError (`artifact_changing`) when the file changed while it was read.
    """
    digest = sha256()
    with opened_file(path) as file:
        before = os.fstat(file)
        for data in blocks(file):
            digest.update(data)
            take(data)
        after = os.fstat(file)
    now = os.stat(path)  # noqa: PTH116 - the file behind a link, as it was opened
    if not same_file(before, after) or not same_file(after, now):
        raise StorageError(
            f"{path} changed while it was read, so it was not taken. Put it when it is written to its end.",
            code="artifact_changing",
            details={"path": str(path)},
            retryable=True,
        )
    return Content(PREFIX + digest.hexdigest(), after.st_size, after.st_mtime_ns, after.st_ino)


def same_file(left: os.stat_result, right: os.stat_result) -> bool:
    """Whether size, time of writing and inode are equal."""
    return (left.st_size, left.st_mtime_ns, left.st_ino, left.st_dev) == (
        right.st_size,
        right.st_mtime_ns,
        right.st_ino,
        right.st_dev,
    )


def hash_folder(folder: Path) -> tuple[str, int]:
    """Return (hash, bytes) of a folder, by the rule that captured folders are hashed by: docs/format/artifacts.md."""
    whole, total = sha256(), 0
    names = sorted(
        os.path.relpath(os.path.join(above, name), folder)  # noqa: PTH118 - os.walk gives texts
        for above, _, found in os.walk(folder, onerror=_refuse)
        for name in found
    )
    for name in names:
        content = read_content(folder / name)
        line = f"{content.hash_value.removeprefix(PREFIX)} {content.size_bytes} ".encode() + os.fsencode(name) + b"\n"
        whole.update(line)
        total += content.size_bytes
    return PREFIX + whole.hexdigest(), total


def source_path(path: str | os.PathLike[str], max_bytes: int | None) -> Path:
    """Return an absolute path after looking whether it can be put. Raises NotFoundError and ValidationError."""
    absolute = Path(os.path.abspath(os.fspath(path)))  # noqa: PTH100 - links stay as given
    try:
        found = absolute.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(
            f"There is no file at {absolute} to be put. Write it first, or correct the path.",
            code="artifact_missing",
            details={"path": str(absolute)},
        ) from None
    if not stat.S_ISREG(found.st_mode):
        raise ValidationError(
            f"{absolute} is not an ordinary file; the store keeps files. Pack a folder into one file, such as a .tar.",
            code="artifact_not_a_file",
            details={"path": str(absolute)},
        )
    check_size(found.st_size, max_bytes, str(absolute))
    return absolute


def check_size(size: int, max_bytes: int | None, what: str) -> None:
    """Raise ValidationError for an artifact larger than the store takes."""
    if max_bytes is not None and size > max_bytes:
        raise ValidationError(
            f"{what} has {size} bytes; this store takes at most {max_bytes} (VaultConfig.max_artifact_bytes).",
            code="artifact_too_large",
            details={"size_bytes": size, "max_artifact_bytes": max_bytes},
        )


def _refuse(error: OSError) -> None:
    raise error
