"""Backups of a workspace whose parts are configured to lie at other places than theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from contexta.config import UnifiedConfig, make_test_config
from contexta.recovery import create_workspace_backup, plan_restore, plan_workspace_backup, restore_workspace
from contexta_client.recovery import backup_format
from contexta_client.recovery.backup_format import NEVER


def write(root: Path, **files: bytes) -> None:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def config_of(root: Path, **paths: Path) -> UnifiedConfig:
    return make_test_config(root).patched({"workspace": {f"{name}_path": str(path) for name, path in paths.items()}})


def restored(config: UnifiedConfig, target: Path, **options: Any) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """What a backup of a workspace brings back, and its notes on what is not in it."""
    result = create_workspace_backup(config, plan_workspace_backup(config, **options))
    plan = plan_restore(config, result.backup_ref, target_workspace=target)
    assert restore_workspace(config, plan).restored
    files = {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}
    return files, plan.manifest.notes


def test_a_backup_of_a_workspace_whose_cache_lies_elsewhere_can_be_restored(tmp_path: Path) -> None:
    root, cache = tmp_path / "ws", tmp_path / "fast"
    write(root, **{"records/log/0000000001.seg": b"log", "cache/spill/ab/rows-0": b"spilled", "cache/mine": b"mine"})
    write(cache, **{"outbox/sink.jsonl": b"{}\n", "capture/record.jsonl": b"{}\n", "kept": b"kept"})
    files, notes = restored(config_of(root, cache=cache), tmp_path / "new", include_cache=True)
    log, outbox = {"records/log/0000000001.seg": b"log"}, {"cache/outbox/sink.jsonl": b"{}\n"}
    assert files == {**log, **outbox, "cache/kept": b"kept"}
    assert [note for note in notes if note.startswith("cache:")] == [f"cache: {cache} is configured in its place"]


@pytest.mark.parametrize("part", ["records", "artifacts", "cache", "reports", "exports"])
def test_a_part_that_was_moved_is_not_mixed_with_what_lies_where_it_was(tmp_path: Path, part: str) -> None:
    root, moved = tmp_path / "ws", tmp_path / "ws" / "moved"
    inner = {"records": "log/", "cache": "outbox/"}.get(part, "")
    write(root, **{f"{part}/{inner}{each}": b"old" for each in ("1", "2", "3")}, **{"notes.txt": b"mine"})
    write(moved, **{f"{inner}1": b"new"})
    files, notes = restored(config_of(root, **{part: moved}), tmp_path / "new", include_exports=True)
    assert files == {f"{part}/{inner}1": b"new", "notes.txt": b"mine"}
    assert f"{part}: {moved} is configured in its place" in notes


def test_what_no_restore_would_take_is_left_out_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "ws"
    write(root, **{"notes.txt": b"mine", **dict.fromkeys(NEVER, b"no"), f"models/{'m' * 40}/fit.bin": b"far down"})
    monkeypatch.setattr(backup_format, "MAX_PATH_CHARS", 40)
    files, notes = restored(config_of(root, metadata=tmp_path / "meta"), tmp_path / "new", include_cache=True)
    assert files == {"notes.txt": b"mine"}
    assert f"models/{'m' * 40}: no backup holds a file of this name" in notes
