"""Backups as files: what is in them, what is refused, and that nothing is half done."""

from __future__ import annotations

import os
import shutil
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contexta.config import UnifiedConfig, make_test_config
from contexta.errors import ConflictError, ContextaError, NotFoundError, StorageError, ValidationError
from contexta.recovery import (
    BackupResult,
    create_workspace_backup,
    list_backups,
    plan_restore,
    plan_workspace_backup,
    restore_workspace,
)
from contexta_client.artifact_store.sealed_json import seal, unseal
from contexta_client.recovery import backup as backing_up
from contexta_client.recovery.backup_format import (
    FORMAT,
    BackupFile,
    BackupManifest,
    decode_manifest,
    encode_manifest,
    parts_of,
)

FILES = {
    "records/log/0000000001.seg": b"first",
    "records/log/0000000002.seg": b"second" * 500,
    "artifacts/objects/sha256/ab/cd": b"object",
    "artifacts/refs/p/r/a.json": b"{}",
    "cache/outbox/mine.jsonl": b"{}\n",
    "reports/report.md": b"# Report",
    "models/fit.bin": b"weights",
    "notes.txt": b"mine",
}
CACHED = {"cache/thumbnails/a": b"a"}
EXPORTED = {"exports/runs.csv": b"a,b"}
NEVER = {
    "daemon/token": b"secret",
    "metadata/catalog.sqlite3": b"SQLite",
    "metadata/mirror.json": b"{}",
    "records/columns/a.parquet": b"PAR1",
    "cache/capture/record.jsonl": b"{}\n",
    "cache/spill/00/block": b"block",
    "artifacts/incoming/1-2": b"half",
    "artifacts/objects/sha256/.incoming-7": b"half",
    "artifacts/lock": b"",
}


@pytest.fixture
def config(tmp_path: Path) -> UnifiedConfig:
    for name, data in {**FILES, **CACHED, **EXPORTED, **NEVER}.items():
        path = tmp_path / "ws" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (tmp_path / "ws" / "link").symlink_to("/etc/passwd")
    return make_test_config(tmp_path / "ws")


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def made(config: UnifiedConfig, **options: Any) -> BackupResult:
    return create_workspace_backup(config, plan_workspace_backup(config, **options))


def changed(result: BackupResult, **values: Any) -> None:
    """Write another manifest, sealed as if it were ours."""
    path = result.path / "manifest.json"
    path.write_bytes(seal({**unseal(path.read_bytes(), format_name=FORMAT, version=1, where="here"), **values}))


def test_a_backup_has_what_cannot_be_made_again_and_nothing_else(config: UnifiedConfig) -> None:
    plan = plan_workspace_backup(config)
    assert (plan.file_count, plan.size_bytes) == (len(FILES), sum(map(len, FILES.values())))
    result = create_workspace_backup(config, plan)
    assert files_below(result.path / "data") == FILES
    assert (result.file_count, result.size_bytes) == (plan.file_count, plan.size_bytes)
    assert any("link" in each for each in plan.left_out)
    for path in [result.path, *result.path.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert list_backups(config) == [result.backup_ref]


def test_cache_and_exports_are_in_when_asked_for_by_call_or_configuration(config: UnifiedConfig) -> None:
    result = made(config, include_cache=True, include_exports=True)
    assert files_below(result.path / "data") == {**FILES, **CACHED, **EXPORTED}
    asking = config.patched({"recovery": {"include_exports": True}})
    result = made(asking)
    assert files_below(result.path / "data") == {**FILES, **EXPORTED}
    assert files_below(made(asking, include_exports=False).path / "data") == FILES


@pytest.mark.parametrize("place", [".", "exports", "exports/kept", "reports", "cache/kept", "models", "kept/deep"])
def test_a_backup_anywhere_in_the_workspace_is_in_no_other_backup(
    config: UnifiedConfig, tmp_path: Path, place: str
) -> None:
    asked = {"include_cache": True, "include_exports": True, "folder": tmp_path / "ws" / place}
    backups = [made(config, label=label, **asked) for label in ("one", "two", "three")]
    everything = {**FILES, **CACHED, **EXPORTED}
    assert [files_below(each.path / "data") for each in backups] == [everything] * 3
    assert files_below(made(config, include_cache=True, include_exports=True).path / "data") == everything
    left_out = plan_workspace_backup(config, include_cache=True, include_exports=True).left_out
    assert sum(each.endswith(": a backup") for each in left_out) == 3


def test_a_manifest_of_the_users_own_makes_no_backup_of_a_folder(config: UnifiedConfig, tmp_path: Path) -> None:
    mine = {"models/manifest.json": b'{"format": "mine"}', "models/data/weights": b"1"}
    for name, data in mine.items():
        (tmp_path / "ws" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "ws" / name).write_bytes(data)
    assert files_below(made(config).path / "data") == {**FILES, **mine}


def test_a_restored_workspace_has_the_same_bytes_for_their_owner_alone(config: UnifiedConfig, tmp_path: Path) -> None:
    result = made(config)
    for number, target in enumerate([tmp_path / "new" / "deep", tmp_path / "empty"]):
        if number:
            target.mkdir()
        plan = plan_restore(config, result.backup_ref, target_workspace=target)
        assert restore_workspace(config, plan).restored
        assert files_below(target) == FILES
        assert stat.S_IMODE(target.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in target.rglob("*") if path.is_file()} == {0o600}


def test_a_workspace_that_is_gone_is_restored_to_its_place_from_a_backup_elsewhere(
    config: UnifiedConfig, tmp_path: Path
) -> None:
    result = made(config, folder=tmp_path / "safe")
    shutil.rmtree(config.workspace.root_path)
    plan = plan_restore(config, result.path)
    assert restore_workspace(config, plan).target == tmp_path / "ws"
    assert files_below(tmp_path / "ws") == FILES


def test_nothing_is_restored_over_what_is_there(config: UnifiedConfig, tmp_path: Path) -> None:
    result = made(config)
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to(tmp_path / "absent")
    for target in (None, tmp_path, tmp_path / "file", tmp_path / "link"):
        with pytest.raises(ConflictError) as caught:
            plan_restore(config, result.backup_ref, target_workspace=target)
        assert caught.value.code == "target_not_empty"
    plan = plan_restore(config, result.backup_ref, target_workspace=tmp_path / "later")
    (tmp_path / "later").mkdir()
    (tmp_path / "later" / "mine").write_bytes(b"mine")
    with pytest.raises(ConflictError):
        restore_workspace(config, plan)
    assert files_below(tmp_path / "later") == {"mine": b"mine"}


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda path: path.write_bytes(b"sEcond" * 500), "damaged"),
        (lambda path: path.write_bytes(b"second" * 499), "damaged"),
        (lambda path: path.write_bytes(b"second" * 501), "damaged"),
        (lambda path: path.unlink(), "missing"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), "unreadable"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "unreadable"),
        (lambda path: (path.parent.rename(path.parent.with_name("aside")), path.parent.symlink_to("aside")), None),
    ],
)
def test_a_damaged_file_is_reported_by_a_verification_and_stops_a_restore(
    config: UnifiedConfig, tmp_path: Path, damage: Any, problem: str | None
) -> None:
    result = made(config)
    damage(result.path / "data" / "records" / "log" / "0000000002.seg")
    verified = restore_workspace(config, plan_restore(config, result.backup_ref, verify_only=True))
    assert not verified.ok
    found = {each.path: each.problem for each in verified.problems}
    if problem is not None:
        assert found == {"records/log/0000000002.seg": problem}
    plan = plan_restore(config, result.backup_ref, target_workspace=tmp_path / "target" / "ws")
    with pytest.raises(StorageError) as caught:
        restore_workspace(config, plan)
    assert caught.value.code == "backup_damaged"
    assert list((tmp_path / "target").iterdir()) == []


def test_a_manifest_of_which_any_byte_changed_is_refused(config: UnifiedConfig) -> None:
    result = made(config)
    path = result.path / "manifest.json"
    whole = path.read_bytes()
    for place in range(0, len(whole) - 1, 7):
        for text in (whole[:place], whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]):
            path.write_bytes(text)
            try:
                plan_restore(config, result.backup_ref, verify_only=True)
                assert text.split() == whole.split()
            except ContextaError:
                continue


@pytest.mark.parametrize(
    "path",
    [
        *("../out", "a/../../out", "/etc/out", "", ".", "a//b", "a/.", "a\0b", "daemon/token", "metadata/mirror.json"),
        *("records/columns/lock", "cache/spool/x/header", "cache/spill/x/rows-0", "cache/capture/record.jsonl"),
    ],
)
def test_a_manifest_that_names_a_hostile_path_is_refused(config: UnifiedConfig, path: str) -> None:
    result = made(config)
    files = [{"part": "log", "path": path, "size_bytes": 1, "hash_value": "sha256:" + "0" * 64}]
    changed(result, files=files)
    with pytest.raises(ValidationError) as caught:
        plan_restore(config, result.backup_ref, verify_only=True)
    assert caught.value.code == "backup_path_unsafe"


def test_a_path_that_is_there_twice_or_as_a_folder_is_refused(config: UnifiedConfig) -> None:
    result = made(config)
    of = {"part": "log", "size_bytes": 1, "hash_value": "sha256:" + "0" * 64}
    for paths in (["a", "a"], ["a/b", "a"], ["a", "a/b/c"]):
        changed(result, files=[{**of, "path": path} for path in paths])
        with pytest.raises(ValidationError):
            plan_restore(config, result.backup_ref, verify_only=True)


def test_a_backup_of_a_newer_version_and_one_that_is_not_there_say_so(config: UnifiedConfig) -> None:
    result = made(config, label="kept")
    with pytest.raises(NotFoundError, match=result.backup_ref):
        plan_restore(config, result.backup_ref[:-1])
    for ref in ("..", "", ".", "/"):
        with pytest.raises(NotFoundError):
            plan_restore(config, ref)
    changed(result, version=2)
    with pytest.raises(ContextaError) as caught:
        plan_restore(config, result.backup_ref)
    assert caught.value.code == "format_unsupported"


def test_a_backup_that_fails_leaves_nothing_behind(config: UnifiedConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    plan = plan_workspace_backup(config)
    monkeypatch.setattr(backing_up, "write_new", fail)
    with pytest.raises(StorageError) as caught:
        create_workspace_backup(config, plan)
    assert (caught.value.code, caught.value.retryable) == ("storage_full", True)
    assert list((config.workspace.root_path / "backups").iterdir()) == []
    monkeypatch.undo()
    create_workspace_backup(config, plan)
    with pytest.raises(ConflictError):
        create_workspace_backup(config, plan)


@pytest.mark.parametrize("name", ["0000000001.seg", "0000000002.seg"])
def test_a_segment_that_vanishes_meanwhile_is_an_error(config: UnifiedConfig, vanishing: Any, name: str) -> None:
    vanishing(name, Path.unlink)
    with pytest.raises(StorageError) as caught:
        made(config)
    assert caught.value.code == "log_incomplete"
    assert list_backups(config) == []


def test_a_workspace_that_is_not_there_has_no_backup(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        plan_workspace_backup(make_test_config(tmp_path / "absent"))


def test_the_format_is_what_it_was() -> None:
    manifest = BackupManifest(
        "2026-01-31T09:00:00Z",
        "l",
        "/ws",
        "1.0",
        (BackupFile("log", "records/log/1.seg", 3, "sha256:" + "a" * 64),),
        (),
    )
    assert decode_manifest(encode_manifest(manifest), where="here") == manifest
    golden = "fad796c004e49933fc773ec077466488"
    assert sha256(encode_manifest(manifest)).hexdigest()[:32] == golden


PIECES = st.sampled_from(["..", ".", "", "/", "a", "records", "daemon", "\0", "~", "metadata", "C:\\x"])


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=6).map("/".join) | st.text(st.characters(), max_size=20))
def test_a_path_that_is_taken_stays_within_the_workspace(path: str) -> None:
    try:
        names = parts_of(path)
    except ValidationError:
        return
    inside = os.path.normpath(os.path.join("/workspace", *names))  # noqa: PTH118
    assert inside == "/workspace/" + "/".join(names) == "/workspace/" + path
    assert names[0] not in ("daemon", "metadata")
