"""`ctx.artifact_store`: what was put and what was captured are found by reference alike."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from test_artifact_store import REF, manifest
from test_artifact_store import source as source
from test_artifact_store import store as store

from contexta.contract import ArtifactManifest
from contexta.errors import NotFoundError, StorageError, ValidationError
from contexta.interpretation import ArtifactRecord
from contexta.store.artifacts import ArtifactStore, WorkspaceArtifacts
from contexta_client.artifact_store.content import hash_folder
from contexta_daemon.artifacts.hashing import Fingerprint, hash_artifact

CAPTURED = "artifact:demo.fit.captured"


def record(path: Path, hash_value: str | None, size: int | None, **fields: object) -> ArtifactRecord:
    values = {"hash_pending": hash_value is None, **fields}
    return ArtifactRecord(
        artifact_ref=CAPTURED,
        run_id="run:demo.fit",
        stage_id="stage:demo.fit.train",
        kind="model",
        created_at="2026-01-31T09:00:00Z",
        location=f"path:{path}",
        hash_value=hash_value,
        size_bytes=size,
        **values,  # type: ignore[arg-type]
    )


class Known:
    """What a daemon would know, and what it was told."""

    def __init__(self) -> None:
        self.records: dict[str, ArtifactRecord] = {}
        self.told: list[ArtifactManifest] = []

    def artifacts(self, store: ArtifactStore) -> WorkspaceArtifacts:
        return WorkspaceArtifacts(
            store,
            lookup=self.records.get,
            announce=self.told.append,
            captured=lambda: tuple(self.records.values()),
        )


def captured(path: Path, **fields: object) -> ArtifactRecord:
    data = path.read_bytes()
    return record(path, "sha256:" + sha256(data).hexdigest(), len(data), **fields)


def test_what_is_put_is_announced_where_it_lies(store: ArtifactStore, source: Path) -> None:
    known = Known()
    receipt = known.artifacts(store).put_artifact(manifest(), source)
    (told,) = known.told
    assert (told.location_ref, told.hash_value) == (f"path:{receipt.path}", receipt.hash_value)
    assert known.artifacts(store).read_bytes(REF) == source.read_bytes()


def test_a_captured_artifact_is_read_where_it_was_registered(store: ArtifactStore, source: Path) -> None:
    known = Known()
    known.records[CAPTURED] = captured(source)
    artifacts = known.artifacts(store)
    found = artifacts.get(CAPTURED)
    assert (found.mode, found.path, found.manifest.stage_execution_ref) == ("adopted", source, "stage:demo.fit.train")
    assert artifacts.read_bytes(CAPTURED) == source.read_bytes()
    with artifacts.open(CAPTURED) as file:
        assert file.read() == source.read_bytes()
    assert artifacts.exists(CAPTURED)
    assert artifacts.list_refs() == [CAPTURED]
    assert artifacts.verify(CAPTURED).intact
    assert store.list_refs() == []

    source.write_bytes(b"changed")
    with pytest.raises(StorageError):
        artifacts.read_bytes(CAPTURED)
    assert [each.status for each in artifacts.verify_all().problems] == ["changed"]


def test_the_daemons_copy_is_read_where_there_is_one(store: ArtifactStore, source: Path) -> None:
    known = Known()
    known.records[CAPTURED] = captured(source)
    data = source.read_bytes()
    store.put_artifact(manifest(), source)  # the same bytes: the object that the daemon would have made
    source.unlink()
    assert known.artifacts(store).read_bytes(CAPTURED) == data


def test_a_captured_artifact_goes_to_another_workspace_as_a_package(
    store: ArtifactStore, source: Path, tmp_path: Path
) -> None:
    known, there = Known(), Known()
    known.records[CAPTURED] = captured(source)
    package = known.artifacts(store).export_artifact(CAPTURED, export_root=tmp_path / "exports").export_directory
    other = there.artifacts(ArtifactStore(type(store.config)(root_path=tmp_path / "other")))
    assert other.import_package(package).outcome == "imported"
    assert other.read_bytes(CAPTURED) == source.read_bytes()
    assert [each.artifact_ref for each in there.told] == [CAPTURED]


def test_a_captured_folder_is_verified_as_the_daemon_hashed_it(store: ArtifactStore, tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    (folder / "deep").mkdir(parents=True)
    (folder / "b").write_bytes(b"2")
    (folder / "deep" / "a").write_bytes(b"11")
    hashed = hash_artifact(folder, Fingerprint(0, 0, 0))
    assert hash_folder(folder) == (hashed.hash_value, hashed.size_bytes)
    known = Known()
    known.records[CAPTURED] = record(folder, hashed.hash_value, hashed.size_bytes)
    artifacts = known.artifacts(store)
    assert artifacts.verify(CAPTURED).intact
    with pytest.raises(ValidationError, match="is a folder"):
        artifacts.read_bytes(CAPTURED)
    (folder / "b").write_bytes(b"3")
    assert artifacts.verify(CAPTURED).status == "changed"


def test_an_artifact_without_a_hash_or_a_name_says_so(store: ArtifactStore, source: Path) -> None:
    known = Known()
    known.records[CAPTURED] = record(source, None, None)
    artifacts = known.artifacts(store)
    with pytest.raises(StorageError) as caught:
        artifacts.get(CAPTURED)
    assert (caught.value.code, caught.value.retryable) == ("artifact_unhashed", True)
    assert artifacts.verify(CAPTURED).status == "unhashed"
    with pytest.raises(NotFoundError, match="captured"):
        artifacts.read_bytes("artifact:demo.fit.capture")
    assert not artifacts.exists("artifact:demo.fit.capture")
