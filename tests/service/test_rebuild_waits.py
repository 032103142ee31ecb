"""A rebuild beside the workers of a daemon that was killed: one may be dropping metrics from the log at that moment."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from contexta.config import UnifiedConfig, make_test_config
from contexta.errors import DeadlineError
from contexta.recovery import rebuild_workspace
from contexta_client.recovery import rebuild

FILES = ("records/log/0000000001.seg", "records/columns/a.parquet", "metadata/catalog.sqlite3")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UnifiedConfig:
    for name in FILES:
        path = tmp_path / "ws" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"data")
    monkeypatch.setattr(rebuild.launch, "ensure_daemon", lambda *_, **__: SimpleNamespace(pid=7))
    return make_test_config(tmp_path / "ws")


@pytest.fixture
def worker(config: UnifiedConfig) -> Iterator[int]:
    """The lock that a worker holds."""
    lock = os.open(config.workspace.records_path / "columns" / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield lock
    os.close(lock)


def left(config: UnifiedConfig) -> list[str]:
    return [name for name in FILES if (config.workspace.root_path / name).exists()]


def test_nothing_is_deleted_while_a_worker_may_change_the_columns(config: UnifiedConfig, worker: int) -> None:
    with pytest.raises(DeadlineError, match="nothing was deleted"):
        rebuild_workspace(config, timeout_s=0)
    assert left(config) == list(FILES)
    fcntl.flock(worker, fcntl.LOCK_UN)
    rebuild_workspace(config, timeout_s=0)
    assert left(config) == ["records/log/0000000001.seg"]


def test_nothing_is_deleted_while_a_worker_writes_lines(config: UnifiedConfig) -> None:
    lock = os.open(config.workspace.metadata_path / "mirror.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with pytest.raises(DeadlineError, match=r"mirror\.lock did not end"):
        rebuild_workspace(config, timeout_s=0)
    assert left(config) == list(FILES)
    os.close(lock)
    rebuild_workspace(config, timeout_s=0)
    assert left(config) == ["records/log/0000000001.seg"]


def test_columns_stay_of_which_a_worker_dropped_the_metrics_meanwhile(
    config: UnifiedConfig, worker: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drop_metrics(_: float) -> None:
        (config.workspace.root_path / FILES[0]).write_bytes(b"CTXSEGM\n" + (2).to_bytes(4, "little"))
        fcntl.flock(worker, fcntl.LOCK_UN)

    monkeypatch.setattr(rebuild, "sleep", drop_metrics)
    assert rebuild_workspace(config).removed == ("metadata/catalog.sqlite3",)
    assert left(config) == ["records/log/0000000001.seg", "records/columns/a.parquet"]


def test_a_workspace_without_columns_has_none_to_wait_for(config: UnifiedConfig) -> None:
    (config.workspace.records_path / "columns" / "a.parquet").unlink()
    (config.workspace.records_path / "columns").rmdir()
    assert rebuild_workspace(config).removed == ("metadata/catalog.sqlite3",)
    assert not (config.workspace.records_path / "columns").exists()
