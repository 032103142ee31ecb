"""Writing a package and taking one in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from contexta.contract.serialization import deserialize_artifact_manifest
from contexta.errors import ConflictError, NotFoundError, StorageError, ValidationError

from .answers import ExportReceipt
from .binding import Binding
from .content import PREFIX, Content, check_size
from .durable_files import (
    blocks,
    create,
    make_folder,
    opened_folder,
    opened_inside,
    storing,
    sync_folder,
    write_all,
    write_new,
)
from .package_format import (
    MANIFEST,
    MAX_PACKAGE_BYTES,
    PACKAGE,
    PAYLOAD,
    Package,
    PackagedFile,
    decode_package,
    encode_package,
)
from .vault import Vault


def export_package(binding: Binding, chunks: Iterable[bytes], export_root: Path, *, replacing: bool) -> ExportReceipt:
    """Write a binding and its bytes to `<export_root>/<the reference's value>/`.

    The folder appears whole or not at all. Raises ConflictError when another package lies there, unless replacing.
    """
    target = export_root / binding.artifact_ref.partition(":")[2]
    manifest = binding.manifest.to_json().encode() + b"\n"
    package = Package(
        binding.artifact_ref,
        PackagedFile(MANIFEST, len(manifest), PREFIX + sha256(manifest).hexdigest()),
        PackagedFile(PAYLOAD, binding.size_bytes, binding.hash_value),
    )
    with storing(export_root):
        make_folder(export_root)
        incoming = export_root / f".incoming-{os.getpid()}-{os.urandom(8).hex()}"
        incoming.mkdir(mode=0o700)
        try:
            outcome = "exported"
            if os.path.lexists(target):
                if _holds(target, package):
                    return _receipt(binding, target, "unchanged")
                if not replacing:
                    raise _occupied(target, binding)
                outcome = "replaced"
            _write_package(incoming, package, manifest, chunks)
            if outcome == "replaced":
                target.rename(incoming.with_suffix(".old"))
            incoming.rename(target)
            sync_folder(export_root)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
            shutil.rmtree(incoming.with_suffix(".old"), ignore_errors=True)
    return _receipt(binding, target, outcome)


def import_package(vault: Vault, folder: Path, *, replacing: bool) -> tuple[str, Binding]:
    """Take in a package. Everything is checked before anything is kept; links are not followed.

    Raises NotFoundError, ValidationError, StorageError, VersionMismatchError and ConflictError.
    """
    if not os.path.lexists(folder):
        raise NotFoundError(f"There is no package at {folder}.", code="package_not_found")
    try:
        with opened_folder(folder) as opened:
            package = decode_package(_read_small(opened, PACKAGE, MAX_PACKAGE_BYTES), where=str(folder / PACKAGE))
            text = _read_small(opened, MANIFEST, package.manifest.size_bytes)
            _check(text, package.manifest, folder)
            manifest = deserialize_artifact_manifest(text)
            if manifest.artifact_ref != package.artifact_ref:
                raise ValidationError(
                    f"The package at {folder} is of {package.artifact_ref}, its manifest of {manifest.artifact_ref}. "
                    "It was not taken in.",
                    code="package_mismatch",
                )
            check_size(package.payload.size_bytes, vault.max_bytes, f"The payload of {folder}")
            with vault.incoming() as written:
                content = _take_payload(opened, package.payload, written, folder)
                outcome, binding = vault.bind(manifest, content, written=written, replacing=replacing)
    except OSError as error:
        raise StorageError(
            f"The package at {folder} cannot be taken in: {error.filename or folder}: {error.strerror or error}. "
            "Links are not followed; nothing was kept.",
            code="package_unreadable",
            details={"path": str(folder), "errno": error.errno},
            cause=error,
        ) from error
    return outcome if outcome in ("unchanged", "replaced") else "imported", binding


def _take_payload(opened: int, said: PackagedFile, written: Path, folder: Path) -> Content:
    """Copy the payload to an incoming name, never more bytes than package.json says."""
    digest, size = sha256(), 0
    file = create(written)
    try:
        with opened_inside(opened, [PAYLOAD]) as source:
            for data in blocks(source):
                size += len(data)
                if size > said.size_bytes:
                    break
                digest.update(data)
                write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)
    if size != said.size_bytes or PREFIX + digest.hexdigest() != said.hash_value:
        raise _mismatch(folder, PAYLOAD)
    return Content(said.hash_value, size, 0, 0)


def _read_small(opened: int, name: str, limit: int) -> bytes:
    """Read a file of a package, at most one byte beyond the limit, which then fails its check."""
    parts, left = [], limit + 1
    with opened_inside(opened, [name]) as file:
        while left > 0 and (data := os.read(file, left)):
            parts.append(data)
            left -= len(data)
    return b"".join(parts)


def _check(data: bytes, said: PackagedFile, folder: Path) -> None:
    if len(data) != said.size_bytes or PREFIX + sha256(data).hexdigest() != said.hash_value:
        raise _mismatch(folder, said.name)


def _mismatch(folder: Path, name: str) -> StorageError:
    return StorageError(
        f"{folder / name} is not what {PACKAGE} says: another size or hash. Take another copy; nothing was kept.",
        code="package_damaged",
        details={"path": str(folder), "name": name},
    )


def _write_package(folder: Path, package: Package, manifest: bytes, chunks: Iterable[bytes]) -> None:
    write_new(folder / MANIFEST, manifest)
    file = create(folder / PAYLOAD)
    try:
        for data in chunks:
            write_all(file, data)
        os.fsync(file)
    finally:
        os.close(file)
    write_new(folder / PACKAGE, encode_package(package))
    sync_folder(folder)


def _holds(target: Path, package: Package) -> bool:
    """Whether a folder is this very package, read to the last byte."""
    try:
        with opened_folder(target) as opened:
            if _read_small(opened, PACKAGE, MAX_PACKAGE_BYTES) != encode_package(package):
                return False
            _check(_read_small(opened, MANIFEST, package.manifest.size_bytes), package.manifest, target)
            digest = sha256()
            with opened_inside(opened, [PAYLOAD]) as file:
                for data in blocks(file):
                    digest.update(data)
            return PREFIX + digest.hexdigest() == package.payload.hash_value
    except (OSError, StorageError):
        return False


def _occupied(target: Path, binding: Binding) -> ConflictError:
    return ConflictError(
        f"{target} is there and is not this package of {binding.artifact_ref}. Export to another folder, or ask for it "
        "to be replaced.",
        code="export_conflict",
        details={"path": str(target)},
    )


def _receipt(binding: Binding, target: Path, outcome: str) -> ExportReceipt:
    return ExportReceipt(binding.artifact_ref, target, outcome, binding.hash_value, binding.size_bytes)
