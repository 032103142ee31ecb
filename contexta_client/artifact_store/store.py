"""`ArtifactStore`: artifacts by reference on any folder, without a daemon."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from contexta.contract.entities import ArtifactManifest
from contexta.contract.serialization import deserialize_artifact_manifest
from contexta.errors import StorageError, ValidationError

from . import export_import
from .answers import (
    ArtifactVerification,
    ExportReceipt,
    ImportReceipt,
    PutReceipt,
    StoredArtifact,
    StoreSummary,
    StoreVerification,
    VaultConfig,
)
from .binding import Binding
from .content import Content, read_content, source_path
from .durable_files import create, storing, write_all
from .reading import checked_chunks, open_checked
from .vault import Vault
from .verification import summarize, verify_binding, verify_vault

MODES = ("copy", "move", "adopt")


class ArtifactStore:
    """Keeps files by their content, each found by its artifact's reference. Safe with any number of processes.

    What is put is durable when the call returns. What is read is checked: bytes that are not those that were put are
    never given without an error. Building one touches no disk.
    """

    def __init__(self, config: VaultConfig) -> None:
        self.config = config
        self.vault = Vault(config)

    @property
    def root_path(self) -> Path:
        """The store's folder, absolute."""
        return self.vault.root

    def put_artifact(
        self,
        manifest: ArtifactManifest | Mapping[str, Any] | str,
        path: str | os.PathLike[str],
        *,
        mode: str = "copy",
        replace_existing: bool = False,
    ) -> PutReceipt:
        """Keep a file under the manifest's reference.

        mode: `copy`; `move`: the file is gone from its place afterwards; `adopt`: it stays there and is only hashed.
        The same reference with the same bytes is accepted, and the first manifest kept. Raises ConflictError for other
        bytes, unless replace_existing; NotFoundError, ValidationError and StorageError.
        """
        model = manifest if isinstance(manifest, ArtifactManifest) else deserialize_artifact_manifest(manifest)
        if mode not in MODES:
            raise ValidationError(f"The mode is {mode!r}; it is one of {', '.join(MODES)}.", code="mode_unknown")
        with storing(self.root_path):
            source = source_path(path, self.vault.max_bytes)
            if mode == "adopt":
                content = read_content(source)
                outcome, binding = self.vault.bind(model, content, adopted=source, replacing=replace_existing)
            else:
                if mode == "move":
                    self._check_movable(source)
                with self.vault.incoming() as written:
                    content = _take(source, written, move=mode == "move")
                    outcome, binding = self.vault.bind(model, content, written=written, replacing=replace_existing)
                if mode == "move":
                    _remove_moved(source, content)
        found = self._stored(binding)
        return PutReceipt(
            artifact_ref=found.artifact_ref,
            outcome=outcome,
            mode=found.mode,
            path=found.path,
            hash_value=found.hash_value,
            size_bytes=found.size_bytes,
            manifest=found.manifest,
        )

    def get_artifact(self, artifact_ref: str) -> StoredArtifact:
        """Return what is known of an artifact, without reading it. Raises NotFoundError, which names the nearest."""
        return self._stored(self.vault.load(artifact_ref))

    def open_artifact(self, artifact_ref: str, *, verify: bool = True) -> BinaryIO:
        """Return an open file of the artifact's bytes, read through once before; verify=False: only its size looked at.

        Raises NotFoundError, and StorageError for bytes that are not those that were put.
        """
        binding = self.vault.load(artifact_ref)
        return open_checked(binding, self.vault.path_of(binding), verify=verify)

    def read_artifact_bytes(self, artifact_ref: str) -> bytes:
        """Return an artifact's bytes. Raises NotFoundError, and StorageError for bytes that are not those put."""
        return b"".join(self.iter_artifact_chunks(artifact_ref))

    def iter_artifact_chunks(self, artifact_ref: str, *, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """Yield an artifact's bytes in pieces of chunk_bytes, the last one shorter.

        The last piece is only given when the hash of all is right, so damaged bytes are never taken for the whole.
        Raises NotFoundError and ValidationError at once, StorageError while reading.
        """
        binding = self.vault.load(artifact_ref)
        return checked_chunks(binding, self.vault.path_of(binding), chunk_bytes)

    def artifact_exists(self, artifact_ref: str) -> bool:
        """Whether the artifact was put and its file is there, of the right size. Nothing is read."""
        binding = self.vault.find(artifact_ref)
        try:
            return binding is not None and self.vault.path_of(binding).stat().st_size == binding.size_bytes
        except OSError:
            return False

    def list_refs(self) -> list[str]:
        """Return the references of all artifacts, sorted."""
        return self.vault.list_refs()

    def verify_artifact(self, artifact_ref: str) -> ArtifactVerification:
        """Read an artifact to its end and tell whether it is what was put. Raises NotFoundError."""
        return verify_binding(self.vault, self.vault.load(artifact_ref))

    def verify_all(self) -> StoreVerification:
        """Read all artifacts and objects to their ends; each object once."""
        return verify_vault(self.vault)

    def inspect_store(self) -> StoreSummary:
        """Return counts and sizes, without reading the objects."""
        return summarize(self.vault)

    def export_artifact(
        self, artifact_ref: str, *, export_root: str | os.PathLike[str], replace_existing: bool = False
    ) -> ExportReceipt:
        """Write a package, a folder below export_root that any store can import. Raises ConflictError and others."""
        return export_import.export_package(
            self.vault.load(artifact_ref),
            self.iter_artifact_chunks(artifact_ref),
            Path(os.path.abspath(os.fspath(export_root))),  # noqa: PTH100 - links stay as given
            replacing=replace_existing,
        )

    def import_export_package(
        self, directory: str | os.PathLike[str], *, replace_existing: bool = False
    ) -> ImportReceipt:
        """Take in a package after checking all of it. Writes nothing outside the store, and on an error nothing."""
        folder = Path(os.path.abspath(os.fspath(directory)))  # noqa: PTH100 - links stay as given
        outcome, binding = export_import.import_package(self.vault, folder, replacing=replace_existing)
        found = self._stored(binding)
        return ImportReceipt(
            artifact_ref=found.artifact_ref,
            export_directory=folder,
            outcome=outcome,
            hash_value=found.hash_value,
            size_bytes=found.size_bytes,
            manifest=found.manifest,
        )

    def _stored(self, binding: Binding) -> StoredArtifact:
        path = self.vault.path_of(binding)
        return StoredArtifact(
            artifact_ref=binding.artifact_ref,
            manifest=replace(binding.manifest, location_ref=f"path:{path}"),
            mode=binding.mode,
            path=path,
            hash_value=binding.hash_value,
            size_bytes=binding.size_bytes,
        )

    def _check_movable(self, source: Path) -> None:
        if not stat.S_ISREG(source.lstat().st_mode):
            raise ValidationError(
                f"{source} is a link, which cannot be moved into the store. Name the file itself, or copy.",
                code="artifact_is_link",
            )
        if self.root_path.resolve() in source.resolve().parents:
            raise ValidationError(
                f"{source} lies in the store itself; moving it would take it from another artifact. Copy it.",
                code="artifact_in_store",
            )


def export_artifact(
    store: ArtifactStore,
    artifact_ref: str,
    *,
    export_root: str | os.PathLike[str],
    replace_existing: bool = False,
) -> ExportReceipt:
    """The same as `store.export_artifact(...)`."""
    return store.export_artifact(artifact_ref, export_root=export_root, replace_existing=replace_existing)


def import_export_package(
    store: ArtifactStore, directory: str | os.PathLike[str], *, replace_existing: bool = False
) -> ImportReceipt:
    """The same as `store.import_export_package(...)`."""
    return store.import_export_package(directory, replace_existing=replace_existing)


def _take(source: Path, written: Path, *, move: bool) -> Content:
    """Bring a file's bytes to an incoming name, synced: a second name of the same file if it may move, else a copy."""
    if move and _can_link(source):
        try:
            os.link(source, written)
        except OSError:  # another file system, or one without links
            pass
        else:
            content = read_content(written)
            _sync(written)
            return content
    file = create(written)
    try:
        content = read_content(source, lambda data: write_all(file, data))
        os.fsync(file)
    finally:
        os.close(file)
    return content


def _can_link(source: Path) -> bool:
    """Whether the file has one name and one owner: then nobody else changes it under another name."""
    found = source.lstat()
    return found.st_nlink == 1 and found.st_uid == os.getuid()


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _remove_moved(source: Path, content: Content) -> None:
    """Take away the file that was moved, unless another was put in its place meanwhile."""
    found = source.lstat()
    if (found.st_size, found.st_mtime_ns, found.st_ino) != (content.size_bytes, content.modified_ns, content.inode):
        raise StorageError(
            f"{source} was kept, but another file lies in its place now; that one was left there.",
            code="artifact_changing",
            details={"path": str(source)},
        )
    source.unlink()
