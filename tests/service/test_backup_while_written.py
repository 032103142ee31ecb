"""Backups while a workspace changes: what must be in them is, whatever is put, or merged, meanwhile."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest

from contexta.config import UnifiedConfig, make_test_config
from contexta.errors import StorageError
from contexta.recovery import BackupResult, create_workspace_backup, plan_workspace_backup
from contexta.store.artifacts import ArtifactStore, VaultConfig
from contexta_client.recovery import backup as backing_up
from contexta_client.recovery.backup_format import MANIFEST, decode_manifest
from contexta_client.recovery.contents import Contents, Listed


@pytest.fixture
def config(tmp_path: Path) -> UnifiedConfig:
    for name in ("records/log", "artifacts/objects/sha256/ab"):
        (tmp_path / "ws" / name).mkdir(parents=True)
    return make_test_config(tmp_path / "ws")


def made(config: UnifiedConfig) -> BackupResult:
    return create_workspace_backup(config, plan_workspace_backup(config))


def write_segment(config: UnifiedConfig, number: int, version: int) -> None:
    head = b"CTXSEGM\n" + version.to_bytes(4, "little")
    (config.workspace.records_path / "log" / f"{number:010d}.seg").write_bytes(head)


def write_columns(config: UnifiedConfig, *names: str) -> Path:
    folder = config.workspace.records_path / "columns"
    (folder / "old-1").mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(name)
    return folder


def test_columns_are_in_only_where_the_log_dropped_its_metrics(config: UnifiedConfig) -> None:
    names = ("log.json", "lock", "a.parquet", "b.parquet.new", "old-1/c.parquet", "d.parquet.damaged")
    write_columns(config, *names)
    write_segment(config, 1, 1)
    assert not any(each.startswith("records/columns") for each in paths_in(made(config)))
    write_segment(config, 1, 2)
    kept = {each for each in paths_in(made(config)) if each.startswith("records/columns")}
    assert kept == {f"records/columns/{name}" for name in names if name not in ("lock", "b.parquet.new")}


def test_columns_that_are_merged_meanwhile_come_in_their_merged_file(config: UnifiedConfig, vanishing: Any) -> None:
    write_segment(config, 1, 2)
    folder = write_columns(config, "a.parquet", "b.parquet")

    def merge(path: Path) -> None:
        (folder / "ab.parquet").write_text("both")
        path.unlink()

    vanishing("b.parquet", merge)
    assert {"records/columns/a.parquet", "records/columns/ab.parquet"} <= paths_in(made(config))


def test_columns_that_stay_away_make_no_backup(config: UnifiedConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    write_segment(config, 1, 2)
    write_columns(config, "a.parquet")
    listed = Contents.columns
    gone = config.workspace.records_path / "columns" / "b.parquet"
    monkeypatch.setattr(
        Contents, "columns", lambda self: [*listed(self), Listed("columns", gone, "records/columns/b.parquet", 1)]
    )
    with pytest.raises(StorageError) as caught:
        made(config)
    assert caught.value.code == "log_incomplete"


def paths_in(result: BackupResult) -> set[str]:
    manifest = decode_manifest((result.path / MANIFEST).read_bytes(), where="here")
    return {each.path for each in manifest.files}


def each_copy(patch: pytest.MonkeyPatch, before: Any) -> None:
    """Call `before` with a number before each file is copied."""
    copy, numbers = backing_up._copy, count(1)

    def copied(listed: Any, target: Path) -> Any:
        before(next(numbers))
        return copy(listed, target)

    patch.setattr(backing_up, "_copy", copied)


def test_objects_that_the_log_of_a_backup_speaks_of_are_in_it(
    config: UnifiedConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    (config.workspace.records_path / "log" / "0000000001.seg").write_text("first")
    (config.workspace.artifacts_path / "objects" / "sha256" / "ab" / "cd").write_bytes(b"object")

    def stored(number: int) -> None:
        (config.workspace.artifacts_path / "objects" / "sha256" / "ab" / str(number)).write_bytes(b"object")
        (config.workspace.records_path / "log" / f"9{number:09d}.seg").write_text(str(number))

    each_copy(monkeypatch, stored)
    data = made(config).path / "data"
    kept = {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}
    spoken_of = {int(said) for name, said in kept.items() if name.startswith("records/log/9")}
    assert spoken_of <= {int(name[-2:].strip("/")) for name in kept if "/ab/" in name and name[-1].isdigit()}


def test_artifacts_that_are_put_while_a_backup_is_made_are_in_it_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_test_config(tmp_path / "real")
    store = ArtifactStore(VaultConfig(root_path=config.workspace.artifacts_path))

    def put(number: int) -> None:
        source = tmp_path / "source"
        source.write_text(f"weights {number}")
        ref = f"artifact:p.r.a-{number}"
        given = {"artifact_ref": ref, "artifact_kind": "model", "created_at": "2026-01-31T09:00:00Z"}
        given |= {"producer_ref": "tests", "run_ref": "run:p.r", "location_ref": "path:/somewhere"}
        store.put_artifact(given, source)

    put(0)
    each_copy(monkeypatch, put)
    result = made(config)
    restored = ArtifactStore(VaultConfig(root_path=result.path / "data" / "artifacts"))
    assert restored.list_refs() and restored.verify_all().intact
    assert len(store.list_refs()) > len(restored.list_refs())
