"""A power loss at any time: what bears its final name is whole, and what was promised is there."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

import pytest
from column_files import Bench
from durable_names import DurableNames
from logged import FakeLog, columns, key_defined, run_opened, session_opened

from contexta.config import make_test_config
from contexta.contract import ArtifactManifest
from contexta.recovery import create_workspace_backup, plan_restore, plan_workspace_backup, restore_workspace
from contexta.store.artifacts import ArtifactStore, VaultConfig
from contexta_daemon.artifacts.hashing import Fingerprint, hash_artifact


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> DurableNames:
    return DurableNames(monkeypatch)


def manifest(ref: str) -> ArtifactManifest:
    given = {"artifact_ref": ref, "artifact_kind": "model", "created_at": "2026-01-31T09:00:00Z"}
    return ArtifactManifest.from_dict(
        {**given, "producer_ref": "tests", "run_ref": "run:demo.fit", "location_ref": "path:/somewhere"}
    )


@pytest.mark.parametrize("mode", ["copy", "move", "adopt"])
def test_an_artifact_is_durable_when_it_was_put_and_its_object_before_what_refers_to_it(
    tmp_path: Path, names: DurableNames, mode: str
) -> None:
    store = ArtifactStore(VaultConfig(root_path=tmp_path / "vault"))
    source = tmp_path / "model.bin"
    source.write_bytes(b"weights")
    store.put_artifact(manifest("artifact:demo.fit.m"), source, mode=mode)
    names.check()
    kinds = [path.relative_to(store.root_path).parts[0] for path in names.named]
    assert kinds == ["store.json", *(["objects"] if mode != "adopt" else []), "refs"]
    source.write_bytes(b"other weights")
    store.put_artifact(manifest("artifact:demo.fit.m"), source, mode=mode, replace_existing=True)
    names.check()


def test_an_imported_artifact_is_durable(tmp_path: Path, names: DurableNames) -> None:
    (tmp_path / "model.bin").write_bytes(b"weights")
    first, second = (ArtifactStore(VaultConfig(root_path=tmp_path / name)) for name in ("one", "two"))
    first.put_artifact(manifest("artifact:demo.fit.m"), tmp_path / "model.bin")
    package = first.export_artifact("artifact:demo.fit.m", export_root=tmp_path / "out").export_directory
    names.named.clear()
    second.import_export_package(package)
    names.check()
    kinds = [path.relative_to(tmp_path / "two").parts[0] for path in names.named]
    assert kinds == ["store.json", "objects", "refs"]


def test_a_copy_of_a_registered_artifact_is_durable_before_it_counts_as_stored(
    tmp_path: Path, names: DurableNames
) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights")
    assert hash_artifact(path, Fingerprint.of(path.stat()), store=tmp_path / "artifacts" / "objects").stored_path
    names.check()
    names.check_folders()


def test_a_copy_that_is_there_is_durable_before_it_counts_though_who_made_it_was_killed_before_its_sync(
    tmp_path: Path, names: DurableNames
) -> None:
    path, store = tmp_path / "model.bin", tmp_path / "objects"
    path.write_bytes(b"weights")
    digest = sha256(b"weights").hexdigest()
    (store / digest[:2]).mkdir(parents=True)
    (store / "half").write_bytes(b"weights")
    with (store / "half").open() as file:
        os.fsync(file.fileno())
    (store / "half").rename(store / digest[:2] / digest[2:])
    assert hash_artifact(path, Fingerprint.of(path.stat()), store=store).stored_path
    names.check()


def test_files_of_columns_are_durable_before_the_columns_say_how_far_they_are(
    tmp_path: Path, names: DurableNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contexta_daemon.columns.merging.FAN_IN", 3)
    log = FakeLog()
    log.add(1, session_opened(), run_opened(), key_defined(1, "x"))
    bench = Bench(tmp_path, log=log)
    for number in range(4):
        log.add(1, columns=[columns([float(number)], series=(1, 1))])
        bench.run()
        names.check()
    before = len(names.named)
    assert bench.columns.merge() and len(names.named) > before
    names.check()
    bench.close()


def test_a_backup_and_what_is_restored_of_it_are_durable_before_they_bear_their_names(
    tmp_path: Path, names: DurableNames
) -> None:
    (tmp_path / "ws" / "records" / "log").mkdir(parents=True)
    (tmp_path / "ws" / "records" / "log" / "0000000001.seg").write_bytes(b"log")
    (tmp_path / "ws" / "models" / "deep").mkdir(parents=True)
    (tmp_path / "ws" / "models" / "deep" / "fit.bin").write_bytes(b"weights")
    config = make_test_config(tmp_path / "ws")
    made = create_workspace_backup(config, plan_workspace_backup(config))
    names.check()
    assert names.named == [made.path]
    restore_workspace(config, plan_restore(config, made.path, target_workspace=tmp_path / "again"))
    names.check()
    assert names.named == [made.path, tmp_path / "again"]
