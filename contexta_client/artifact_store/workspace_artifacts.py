"""`ctx.artifact_store`: the artifacts of a workspace, those that were put and those that were captured."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from contexta.contract.entities import ArtifactManifest
from contexta.errors import NotFoundError, StorageError, ValidationError, nearest
from contexta.interpretation.observed import ArtifactRecord

from .answers import (
    ArtifactVerification,
    ExportReceipt,
    ImportReceipt,
    PutReceipt,
    StoredArtifact,
    StoreVerification,
)
from .binding import ADOPTED, Binding
from .durable_files import READ_BYTES
from .export_import import export_package
from .reading import checked_chunks, open_checked
from .store import ArtifactStore
from .verification import verify_file

PRODUCER = "contexta.capture"
Lookup = Callable[[str], ArtifactRecord | None]
Announce = Callable[[ArtifactManifest], object]
ListCaptured = Callable[[], Sequence[ArtifactRecord]]


class WorkspaceArtifacts:
    """A store in a workspace. What was put lies in it; what was captured is found where it was registered, or where the
    daemon copied it, and is checked against the hash that the daemon computed."""

    def __init__(
        self,
        store: ArtifactStore,
        *,
        lookup: Lookup,
        announce: Announce,
        captured: ListCaptured = tuple,
    ) -> None:
        """store: on the workspace's artifacts folder. lookup: what the daemon knows of a reference, None: nothing.
        announce: tells the daemon of a manifest that was put. captured: all that the daemon knows."""
        self.store = store
        self._lookup = lookup
        self._announce = announce
        self._captured = captured

    def put_artifact(
        self,
        manifest: ArtifactManifest | Mapping[str, Any] | str,
        path: str | os.PathLike[str],
        *,
        mode: str = "copy",
        replace_existing: bool = False,
    ) -> PutReceipt:
        """Keep a file, and let the workspace know it. Modes and errors: as of ArtifactStore.put_artifact."""
        receipt = self.store.put_artifact(manifest, path, mode=mode, replace_existing=replace_existing)
        self._announce(receipt.manifest)
        return receipt

    def get(self, artifact_ref: str) -> StoredArtifact:
        """Return what is known of an artifact. Raises NotFoundError; StorageError for a captured one without hash."""
        found, path = self._find(artifact_ref)
        return StoredArtifact(
            artifact_ref=found.artifact_ref,
            manifest=replace(found.manifest, location_ref=f"path:{path}"),
            mode=found.mode,
            path=path,
            hash_value=found.hash_value,
            size_bytes=found.size_bytes,
        )

    def open(self, artifact_ref: str, *, verify: bool = True) -> BinaryIO:
        """Return an open file of the artifact's bytes, checked. Raises NotFoundError and StorageError."""
        return open_checked(*self._find_file(artifact_ref), verify=verify)

    def read_bytes(self, artifact_ref: str) -> bytes:
        """Return the artifact's bytes, checked. Raises NotFoundError and StorageError."""
        return b"".join(self.iter_chunks(artifact_ref))

    def iter_chunks(self, artifact_ref: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """Yield the artifact's bytes, as ArtifactStore.iter_artifact_chunks does."""
        return checked_chunks(*self._find_file(artifact_ref), chunk_bytes)

    def exists(self, artifact_ref: str) -> bool:
        """Whether the artifact's file is there. Nothing is read."""
        if self.store.vault.find(artifact_ref) is not None:
            return self.store.artifact_exists(artifact_ref)
        record = self._lookup(artifact_ref)
        return record is not None and self._lying(record).exists()

    def list_refs(self) -> list[str]:
        """Return the references of all artifacts, put or captured, sorted."""
        return sorted({*self.store.list_refs(), *(each.artifact_ref for each in self._captured())})

    def verify(self, artifact_ref: str) -> ArtifactVerification:
        """Read an artifact, captured folders included, and tell whether it is what was put. Raises NotFoundError."""
        if self.store.vault.find(artifact_ref) is not None:
            return self.store.verify_artifact(artifact_ref)
        return self._verify_record(self._known(artifact_ref))

    def verify_all(self) -> StoreVerification:
        """Read all artifacts, put or captured, and the objects."""
        of_store = self.store.verify_all()
        own = {each.artifact_ref for each in of_store}
        found = [self._verify_record(each) for each in self._captured() if each.artifact_ref not in own]
        return StoreVerification(
            of_store.checked_bytes + sum(each.size_bytes or 0 for each in found), (*of_store.reports, *found)
        )

    def export_artifact(
        self, artifact_ref: str, *, export_root: str | os.PathLike[str], replace_existing: bool = False
    ) -> ExportReceipt:
        """Write a package below export_root. Raises NotFoundError, StorageError and ConflictError."""
        found, path = self._find_file(artifact_ref)
        return export_package(
            found,
            checked_chunks(found, path, READ_BYTES),
            Path(os.path.abspath(os.fspath(export_root))),  # noqa: PTH100 - links stay as given
            replacing=replace_existing,
        )

    def import_package(self, directory: str | os.PathLike[str], *, replace_existing: bool = False) -> ImportReceipt:
        """Take in a package, and let the workspace know it. Errors: as of ArtifactStore.import_export_package."""
        receipt = self.store.import_export_package(directory, replace_existing=replace_existing)
        self._announce(receipt.manifest)
        return receipt

    def _find(self, artifact_ref: str) -> tuple[Binding, Path]:
        """Return what a reference stands for, and where it lies; the store's own before what was captured."""
        own = self.store.vault.find(artifact_ref)
        if own is not None:
            return own, self.store.vault.path_of(own)
        record = self._known(artifact_ref)
        if not record.hash_value or record.size_bytes is None:
            why = "is being hashed; ask again" if record.hash_pending else f"has no hash ({record.problem or 'none'})"
            raise StorageError(
                f"{artifact_ref} {why}, so its bytes cannot be checked.",
                code="artifact_unhashed",
                retryable=record.hash_pending,
            )
        path = self._lying(record)
        manifest = _manifest(record)
        return Binding(manifest, ADOPTED, record.hash_value, record.size_bytes, record.created_at, str(path)), path

    def _find_file(self, artifact_ref: str) -> tuple[Binding, Path]:
        found, path = self._find(artifact_ref)
        if path.is_dir():
            raise ValidationError(
                f"{artifact_ref} is a folder, {path}; only files can be read as one. Read its files there.",
                code="artifact_not_a_file",
            )
        return found, path

    def _known(self, artifact_ref: str) -> ArtifactRecord:
        record = self._lookup(artifact_ref)
        if record is None:
            raise NotFoundError(
                f"The workspace has no {artifact_ref}.{nearest(artifact_ref, self.list_refs())}",
                code="artifact_not_found",
                details={"artifact_ref": artifact_ref},
            )
        return record

    def _lying(self, record: ArtifactRecord) -> Path:
        """Where a captured artifact's bytes lie: the daemon's copy where there is one, else where it was registered."""
        copy = self.store.vault.object_path(record.hash_value) if record.hash_value else None
        return copy if copy is not None and copy.is_file() else Path(record.location.removeprefix("path:"))

    def _verify_record(self, record: ArtifactRecord) -> ArtifactVerification:
        return verify_file(record.artifact_ref, self._lying(record), record.hash_value or None, wrong="changed")


def _manifest(record: ArtifactRecord) -> ArtifactManifest:
    if record.run_id:
        owner = {"run_ref": record.run_id}
        if record.stage_id:
            owner["stage_execution_ref"] = record.stage_id
    else:  # then it is one of a deployment, whose name its reference begins with
        owner = {"deployment_execution_ref": f"deployment:{record.artifact_ref.partition(':')[2].rpartition('.')[0]}"}
    return ArtifactManifest.from_dict(
        {
            "artifact_ref": record.artifact_ref,
            "artifact_kind": record.kind,
            "created_at": record.created_at,
            "producer_ref": PRODUCER,
            "location_ref": record.location,
            "hash_value": record.hash_value,
            "size_bytes": record.size_bytes,
            "attributes": dict(record.attributes) or None,
            **owner,
        }
    )
