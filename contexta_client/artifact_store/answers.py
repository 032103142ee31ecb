"""What the artifact store is built with and what it answers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contexta.contract.entities import ArtifactManifest
from contexta.errors import ConfigError
from contexta.interpretation.answer import Answer


@dataclass(frozen=True, slots=True)
class VaultConfig:
    """Where a store lies, and the largest artifact that it takes, in bytes (None: any)."""

    root_path: str | os.PathLike[str]
    max_artifact_bytes: int | None = None

    def __post_init__(self) -> None:
        if not os.fspath(self.root_path):
            raise ConfigError("VaultConfig.root_path is empty; name a folder.", details={"key": "root_path"})
        if self.max_artifact_bytes is not None and self.max_artifact_bytes < 0:
            raise ConfigError(
                f"VaultConfig.max_artifact_bytes is {self.max_artifact_bytes}; give 0 or more, or None for any.",
                details={"key": "max_artifact_bytes"},
            )


@dataclass(frozen=True, slots=True)
class StoredArtifact:
    """An artifact of the store. manifest: as it was put, with hash and size; its location_ref is where it lies now.

    mode: `stored` (a copy of ours) or `adopted` (the user's own file, in place). path: absolute.
    """

    artifact_ref: str
    manifest: ArtifactManifest
    mode: str
    path: Path
    hash_value: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class PutReceipt:
    """What came of a put. outcome: `stored`, `deduplicated` (the bytes were there already), `adopted`, `unchanged` (the
    ref was there with these bytes), `replaced`. manifest: as of StoredArtifact."""

    artifact_ref: str
    outcome: str
    mode: str
    path: Path
    hash_value: str
    size_bytes: int
    manifest: ArtifactManifest


@dataclass(frozen=True, slots=True)
class ExportReceipt:
    """outcome: `exported`, `unchanged` (it lay there already) or `replaced`."""

    artifact_ref: str
    export_directory: Path
    outcome: str
    hash_value: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ImportReceipt:
    """outcome: `imported`, `unchanged` (the store had it) or `replaced`. export_directory: the package."""

    artifact_ref: str
    export_directory: Path
    outcome: str
    hash_value: str
    size_bytes: int
    manifest: ArtifactManifest


@dataclass(frozen=True, slots=True)
class ArtifactVerification(Answer):
    """Whether an artifact is what was put. artifact_ref: or the hash of an object that no reference names.

    status: `ok`, `damaged` (a copy of ours has other bytes), `changed` (an adopted file has other bytes), `missing`,
    `unreadable`, `unhashed` (it is there, with no hash to compare with). problem: what is wrong, empty when nothing is.
    intact: whether nothing speaks against it.
    """

    artifact_ref: str
    status: str
    expected_hash: str | None
    found_hash: str | None
    size_bytes: int | None
    problem: str = ""

    @property
    def intact(self) -> bool:
        return self.status in ("ok", "unhashed")


@dataclass(frozen=True, slots=True)
class StoreVerification(Answer):
    """All of a store, read to the last byte: a report for each artifact, and for each object that none of them names.
    checked_bytes: what was read; bytes that several artifacts share are read once."""

    checked_bytes: int
    reports: tuple[ArtifactVerification, ...]

    @property
    def problems(self) -> tuple[ArtifactVerification, ...]:
        return tuple(each for each in self.reports if not each.intact)

    @property
    def intact(self) -> bool:
        return not self.problems

    def __iter__(self) -> Iterator[ArtifactVerification]:
        return iter(self.reports)

    def __len__(self) -> int:
        return len(self.reports)


@dataclass(frozen=True, slots=True)
class StoreSummary(Answer):
    """What a store holds, without reading the objects. unreferenced_objects: those that no artifact of this store
    names; in a workspace, the daemon's copies are among them. incoming: what crashes left unfinished."""

    root_path: str
    artifacts: int
    adopted: int
    objects: int
    object_bytes: int
    unreferenced_objects: int
    unreferenced_bytes: int
    incoming: int
    damaged_bindings: int
