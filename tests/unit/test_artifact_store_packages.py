"""Packages carry an artifact from one store to another; what is wrong with one is found before anything is kept."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from test_artifact_store import REF, manifest
from test_artifact_store import source as source
from test_artifact_store import store as store

from contexta.errors import ConflictError, ContextaError, NotFoundError, StorageError, ValidationError
from contexta.store.artifacts import ArtifactStore, VaultConfig, export_artifact, import_export_package
from contexta_client.artifact_store.package_format import decode_package, encode_package
from contexta_client.artifact_store.sealed_json import seal


@pytest.fixture
def other(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(VaultConfig(root_path=tmp_path / "other"))


@pytest.fixture
def package(store: ArtifactStore, source: Path, tmp_path: Path) -> Path:
    store.put_artifact(manifest(attributes={"framework": "none"}), source)
    return export_artifact(store, REF, export_root=tmp_path / "exports").export_directory


def test_an_exported_artifact_is_imported_by_another_store(
    store: ArtifactStore, other: ArtifactStore, package: Path
) -> None:
    assert sorted(path.name for path in package.iterdir()) == ["manifest.json", "package.json", "payload"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in package.iterdir()} == {0o600}
    receipt = import_export_package(other, package)
    assert (receipt.outcome, receipt.export_directory, receipt.artifact_ref) == ("imported", package, REF)
    assert receipt.manifest.attributes == {"framework": "none"}
    assert other.read_artifact_bytes(REF) == store.read_artifact_bytes(REF)
    assert import_export_package(other, package).outcome == "unchanged"


def test_exporting_again_changes_nothing_and_never_writes_over_something_else(
    store: ArtifactStore, package: Path
) -> None:
    root = package.parent
    assert export_artifact(store, REF, export_root=root).outcome == "unchanged"
    (package / "payload").write_bytes(b"mine")
    with pytest.raises(ConflictError):
        export_artifact(store, REF, export_root=root)
    assert (package / "payload").read_bytes() == b"mine"
    assert export_artifact(store, REF, export_root=root, replace_existing=True).outcome == "replaced"
    assert os.listdir(root) == [package.name]


def test_a_damaged_artifact_is_not_exported(store: ArtifactStore, source: Path, tmp_path: Path) -> None:
    store.put_artifact(manifest(), source).path.write_bytes(b"damaged")
    with pytest.raises(StorageError):
        export_artifact(store, REF, export_root=tmp_path / "exports")
    assert list((tmp_path / "exports").iterdir()) == []


def test_an_import_of_other_content_is_a_conflict(other: ArtifactStore, package: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_bytes(b"mine")
    other.put_artifact(manifest(), tmp_path / "mine")
    with pytest.raises(ConflictError):
        import_export_package(other, package)
    assert import_export_package(other, package, replace_existing=True).outcome == "replaced"


@pytest.mark.parametrize("name", ["manifest.json", "package.json", "payload"])
def test_a_changed_cut_missing_or_linked_file_is_refused(
    other: ArtifactStore, package: Path, tmp_path: Path, name: str
) -> None:
    path = package / name
    whole = path.read_bytes()
    for changed in (whole[:-5], whole + b"more", whole[:20] + b"\0" + whole[21:]):
        path.write_bytes(changed)
        with pytest.raises(ContextaError):
            import_export_package(other, package)
    path.unlink()
    with pytest.raises(StorageError):
        import_export_package(other, package)
    (tmp_path / "aside").write_bytes(whole)
    path.symlink_to(tmp_path / "aside")
    with pytest.raises(StorageError) as caught:
        import_export_package(other, package)
    assert caught.value.code == "package_unreadable"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StorageError):
        import_export_package(other, package)
    assert other.list_refs() == []
    assert other.inspect_store().objects == other.inspect_store().incoming == 0


def test_a_link_to_a_package_and_a_package_that_is_not_there_are_refused(
    other: ArtifactStore, package: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(package)
    with pytest.raises(StorageError):
        import_export_package(other, tmp_path / "link")
    with pytest.raises(NotFoundError):
        import_export_package(other, tmp_path / "absent")


def test_a_payload_larger_than_the_store_takes_is_refused(package: Path, tmp_path: Path) -> None:
    small = ArtifactStore(VaultConfig(root_path=tmp_path / "small", max_artifact_bytes=100))
    with pytest.raises(ValidationError) as caught:
        import_export_package(small, package)
    assert caught.value.code == "artifact_too_large"


@pytest.mark.parametrize("name", ["../payload", "/etc/passwd", "payload/../payload", "a/b", "", ".", "payload\0"])
def test_a_package_that_names_another_file_is_refused(other: ArtifactStore, package: Path, name: str) -> None:
    values = json.loads((package / "package.json").read_bytes())
    values["files"][1]["name"] = name
    (package / "package.json").write_bytes(seal(values))
    with pytest.raises(ValidationError) as caught:
        import_export_package(other, package)
    assert caught.value.code == "package_path_unsafe"


def test_a_package_of_another_version_or_artifact_is_refused(other: ArtifactStore, package: Path) -> None:
    values = json.loads((package / "package.json").read_bytes())
    (package / "package.json").write_bytes(seal({**values, "version": 2}))
    with pytest.raises(ContextaError) as caught:
        import_export_package(other, package)
    assert caught.value.code == "format_unsupported"
    (package / "package.json").write_bytes(seal({**values, "artifact_ref": "artifact:demo.fit.another"}))
    with pytest.raises(ValidationError) as caught:
        import_export_package(other, package)
    assert caught.value.code == "package_mismatch"


def test_the_format_is_what_it_was() -> None:
    golden = (
        b'{\n "format": "contexta-artifact-package",\n "version": 1,\n "artifact_ref": "artifact:p.r.a",\n'
        b' "files": [\n  {\n   "name": "manifest.json",\n   "size_bytes": 2,\n   "hash_value": "sha256:'
        + b"a" * 64
        + b'"\n  },\n  {\n   "name": "payload",\n   "size_bytes": 3,\n   "hash_value": "sha256:'
        + b"b" * 64
        + b'"\n  }\n ],\n "check": "b151c290e9199da45bdfc23bd0b7c1cec6d41554c8f4a1735f3621a9ba1a69e3"\n}\n'
    )
    found = decode_package(golden, where="golden")
    assert encode_package(found) == golden
    assert (found.artifact_ref, found.payload.size_bytes) == ("artifact:p.r.a", 3)
