"""Bindings: which bytes an artifact's reference stands for. Format: docs/format/artifact-store.md. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from contexta.contract.entities import ArtifactManifest
from contexta.contract.references import parse_ref
from contexta.contract.serialization import deserialize_artifact_manifest, to_payload
from contexta.errors import StorageError, ValidationError

from .sealed_json import seal, unseal

FORMAT, VERSION = "contexta-artifact-binding", 1
STORED, ADOPTED = "stored", "adopted"
_HASH = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Binding:
    """A reference and its bytes. location, modified_ns and inode are of an adopted file; else empty and 0."""

    manifest: ArtifactManifest
    mode: str
    hash_value: str
    size_bytes: int
    bound_at: str
    location: str = ""
    modified_ns: int = 0
    inode: int = 0

    @property
    def artifact_ref(self) -> str:
        return self.manifest.artifact_ref


def binding_parts(artifact_ref: str) -> tuple[str, str, str]:
    """Return the names below `refs` that lead to a reference's binding. Raises ValidationError."""
    project, run, own = parse_ref(artifact_ref, kind="artifact", field="artifact_ref").components
    return project, run, f"{own}.json"


def encode_binding(binding: Binding) -> bytes:
    """Return a binding's file."""
    return seal(
        {
            "format": FORMAT,
            "version": VERSION,
            "artifact_ref": binding.artifact_ref,
            "mode": binding.mode,
            "hash_value": binding.hash_value,
            "size_bytes": binding.size_bytes,
            "bound_at": binding.bound_at,
            "location": binding.location,
            "modified_ns": binding.modified_ns,
            "inode": binding.inode,
            "manifest": to_payload(binding.manifest),
        }
    )


def decode_binding(data: bytes, *, where: str) -> Binding:
    """Read a binding's file. Raises StorageError and VersionMismatchError."""
    values = unseal(data, format_name=FORMAT, version=VERSION, where=where)
    try:
        binding = Binding(
            manifest=deserialize_artifact_manifest(values["manifest"]),
            mode=_one_of(values["mode"], STORED, ADOPTED),
            hash_value=checked_hash(values["hash_value"]),
            size_bytes=_count(values["size_bytes"]),
            bound_at=str(values["bound_at"]),
            location=str(values["location"]),
            modified_ns=int(values["modified_ns"]),
            inode=_count(values["inode"]),
        )
        if values["artifact_ref"] != binding.artifact_ref:
            raise ValueError("its manifest is of another artifact")
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise StorageError(
            f"{where} is no binding of an artifact: {error}.", code="document_damaged", details={"where": where}
        ) from error
    return binding


def checked_hash(value: Any) -> str:
    """Return a `sha256:` hash as it is. Raises ValueError for anything else: it becomes a path."""
    if not isinstance(value, str) or not _HASH.fullmatch(value):
        raise ValueError(f"{value!r} is not 'sha256:' and 64 hexadecimal digits")
    return value


def _one_of(value: Any, *allowed: str) -> str:
    if value not in allowed:
        raise ValueError(f"{value!r} is none of {', '.join(allowed)}")
    return str(value)


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value
