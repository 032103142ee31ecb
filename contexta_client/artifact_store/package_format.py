"""Packages: `package.json` says what lies beside it. Format: docs/format/artifact-store.md. Pure.

A package may come from anywhere: nothing in it is believed before it was checked, and its files have fixed names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from contexta.errors import StorageError, ValidationError

from .binding import checked_hash
from .sealed_json import seal, unseal

FORMAT, VERSION = "contexta-artifact-package", 1
PACKAGE, MANIFEST, PAYLOAD = "package.json", "manifest.json", "payload"
MAX_PACKAGE_BYTES = 64 << 10
MAX_MANIFEST_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """One file of a package, as package.json says."""

    name: str
    size_bytes: int
    hash_value: str


@dataclass(frozen=True, slots=True)
class Package:
    """What a package.json says."""

    artifact_ref: str
    manifest: PackagedFile
    payload: PackagedFile


def encode_package(package: Package) -> bytes:
    """Return a package.json."""
    files = [
        {"name": each.name, "size_bytes": each.size_bytes, "hash_value": each.hash_value}
        for each in (package.manifest, package.payload)
    ]
    return seal({"format": FORMAT, "version": VERSION, "artifact_ref": package.artifact_ref, "files": files})


def decode_package(data: bytes, *, where: str) -> Package:
    """Read a package.json. Raises StorageError, VersionMismatchError, and ValidationError for what it must not name."""
    values = unseal(data, format_name=FORMAT, version=VERSION, where=where)
    files: dict[str, PackagedFile] = {}
    try:
        for each in values["files"]:
            found = _file(each, where)
            if found.name in files:
                raise ValueError(f"it names {found.name!r} twice")
            files[found.name] = found
        if files[MANIFEST].size_bytes > MAX_MANIFEST_BYTES:
            raise ValueError(f"its manifest is larger than {MAX_MANIFEST_BYTES} bytes")
        return Package(str(values["artifact_ref"]), files[MANIFEST], files[PAYLOAD])
    except ValidationError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise StorageError(
            f"{where} is no package of an artifact: {error}.", code="document_damaged", details={"where": where}
        ) from error


def _file(values: Mapping[str, Any], where: str) -> PackagedFile:
    name, size = values["name"], values["size_bytes"]
    if name not in (MANIFEST, PAYLOAD):
        raise ValidationError(
            f"{where} names a file {str(name)[:200]!r}; a package has {MANIFEST} and {PAYLOAD}, nothing else. "
            "It was not taken in.",
            code="package_path_unsafe",
            details={"name": str(name)[:200]},
        )
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise ValueError(f"{size!r} is no size")
    return PackagedFile(str(name), size, checked_hash(values["hash_value"]))
