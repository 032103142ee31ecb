"""Reading the bytes that a binding stands for, never without noticing that they are others."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from contexta.errors import StorageError, ValidationError

from .binding import STORED, Binding
from .content import PREFIX
from .durable_files import blocks, opened_file


def open_checked(binding: Binding, path: Path, *, verify: bool) -> BinaryIO:
    """Return an open file of a binding's bytes, read through once before; without `verify` only its size is looked at.

    Raises StorageError for bytes that are not those that were put.
    """
    with _reading(binding, path), opened_file(path) as file:
        if os.fstat(file).st_size != binding.size_bytes:
            raise _wrong(binding, path, f"it has {os.fstat(file).st_size} bytes, not {binding.size_bytes}")
        if verify:
            digest = sha256()
            for data in blocks(file):
                digest.update(data)
            _check(binding, path, digest.hexdigest())
            os.lseek(file, 0, os.SEEK_SET)
        return os.fdopen(os.dup(file), "rb")


def checked_chunks(binding: Binding, path: Path, chunk_bytes: int) -> Iterator[bytes]:
    """Yield a binding's bytes in pieces of chunk_bytes, the last one shorter.

    The last piece is only given when the hash of all is right, so damaged bytes are never taken for the whole.
    Raises ValidationError at once, StorageError while reading.
    """
    if chunk_bytes < 1:
        raise ValidationError(f"chunk_bytes is {chunk_bytes}; give 1 or more.", code="value_out_of_range")
    return _chunks(binding, path, chunk_bytes)


def _chunks(binding: Binding, path: Path, chunk_bytes: int) -> Iterator[bytes]:
    digest, held = sha256(), b""
    with _reading(binding, path), opened_file(path) as file, os.fdopen(os.dup(file), "rb") as reader:
        while data := reader.read(chunk_bytes):
            if held:
                yield held
            digest.update(data)
            held = data
    _check(binding, path, digest.hexdigest())
    if held:
        yield held


def _check(binding: Binding, path: Path, digest: str) -> None:
    if PREFIX + digest != binding.hash_value:
        raise _wrong(binding, path, f"its hash is {PREFIX}{digest}")


@contextlib.contextmanager
def _reading(binding: Binding, path: Path) -> Iterator[None]:
    """Say what it means for an artifact that its file cannot be read."""
    try:
        yield
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise StorageError(
            f"{binding.artifact_ref} cannot be read: {path}: {error.strerror or error}. Put it again.",
            code="artifact_gone" if missing else "artifact_unreadable",
            details={"artifact_ref": binding.artifact_ref, "path": str(path)},
            cause=error,
        ) from error


def _wrong(binding: Binding, path: Path, why: str) -> StorageError:
    stored = binding.mode == STORED
    return StorageError(
        f"{binding.artifact_ref} is not what was put: {path}: {why}. "
        f"{'Put it again' if stored else 'Restore the file, or put it anew with replace_existing=True'}.",
        code="artifact_damaged" if stored else "artifact_changed",
        details={"artifact_ref": binding.artifact_ref, "path": str(path), "expected_hash": binding.hash_value},
    )
