"""A backup that somebody prepared, and a place for it that somebody changes meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contexta.config import UnifiedConfig, make_test_config
from contexta.errors import ConflictError, ContextaError, StorageError
from contexta.recovery import create_workspace_backup, plan_restore, plan_workspace_backup, restore_workspace
from contexta_client.artifact_store.sealed_json import seal, unseal
from contexta_client.recovery import restore as restoring
from contexta_client.recovery.backup_format import FORMAT

FILE = "models/fit.bin"


@pytest.fixture
def config(tmp_path: Path) -> UnifiedConfig:
    path = tmp_path / "ws" / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    return make_test_config(tmp_path / "ws")


@pytest.fixture
def backup(config: UnifiedConfig) -> Path:
    return create_workspace_backup(config, plan_workspace_backup(config)).path


def restored(config: UnifiedConfig, backup: Path, target: Path) -> bool:
    """Restore; whether it was done. Where it was not, the target is not there and nothing is left beside it."""
    before = set(os.listdir(target.parent))
    try:
        restore_workspace(config, plan_restore(config, backup, target_workspace=target))
    except (ContextaError, OSError):
        assert set(os.listdir(target.parent)) == before
        return False
    return True


@pytest.mark.parametrize("kind", ["a link", "a folder's link", "the data's link", "a pipe", "a device"])
def test_what_is_no_ordinary_file_is_not_followed_and_waited_for(
    config: UnifiedConfig, backup: Path, tmp_path: Path, kind: str
) -> None:
    place = backup / "data" / FILE
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "fit.bin").write_bytes(b"weights")  # the very bytes that the manifest names
    if kind == "a folder's link":
        place.parent.rename(tmp_path / "moved")
        place.parent.symlink_to(tmp_path / "elsewhere")
    elif kind == "the data's link":
        (backup / "data").rename(tmp_path / "moved")
        (backup / "data").symlink_to(tmp_path / "moved")
    else:
        place.unlink()
        if kind == "a link":
            place.symlink_to(tmp_path / "elsewhere" / "fit.bin")
        elif kind == "a pipe":
            os.mkfifo(place)
        elif os.geteuid() != 0:
            pytest.skip("only root makes devices")
        else:
            try:
                os.mknod(place, 0o20666, os.makedev(1, 5))  # endless zeros
            except PermissionError:
                pytest.skip("no devices can be made here")
    assert not restored(config, backup, tmp_path / "new")


def test_a_file_of_holes_that_is_larger_than_the_disk_is_refused_before_a_byte_is_written(
    config: UnifiedConfig, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = backup / "manifest.json"
    values = unseal(path.read_bytes(), format_name=FORMAT, version=1, where="here")
    values["files"][0]["size_bytes"] = 1 << 60
    path.write_bytes(seal(values))
    monkeypatch.setattr(restoring, "_copy_all", lambda *_: pytest.fail("it is copied"))
    with pytest.raises(StorageError) as caught:
        restore_workspace(config, plan_restore(config, backup, target_workspace=tmp_path / "new"))
    assert caught.value.code == "storage_full" and not (tmp_path / "new").exists()


@pytest.mark.parametrize("what", ["a link to a folder", "a folder that is in use", "a file"])
def test_a_target_that_is_put_there_while_the_backup_is_read_is_left_alone(
    config: UnifiedConfig, backup: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    target, elsewhere, real = tmp_path / "new", tmp_path / "elsewhere", restoring._put_in_place
    elsewhere.mkdir()

    def put(incoming: Path, place: Path) -> None:  # after the last look at the target
        if what == "a link to a folder":
            target.symlink_to(elsewhere)
        elif what == "a file":
            target.write_text("mine")
        else:
            target.mkdir()
            (target / "mine").touch()
        real(incoming, place)

    monkeypatch.setattr(restoring, "_put_in_place", put)
    with pytest.raises(ConflictError):
        restore_workspace(config, plan_restore(config, backup, target_workspace=target))
    assert list(elsewhere.iterdir()) == []
    assert not list(tmp_path.glob(".restoring-*"))
    assert target.is_symlink() or target.is_file() or os.listdir(target) == ["mine"]


def test_a_backup_that_is_as_it_should_be_is_restored(config: UnifiedConfig, backup: Path, tmp_path: Path) -> None:
    assert restored(config, backup, tmp_path / "new")
    assert (tmp_path / "new" / FILE).read_bytes() == b"weights"
