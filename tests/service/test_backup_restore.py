"""A workspace is copied while it is used, made again from the copy, and answers as it did."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from served import Served
from waiting import wait_until
from workspace_processes import kill_all, remove_workspace

from contexta import Contexta
from contexta.config import UnifiedConfig, make_test_config
from contexta.recovery import (
    create_workspace_backup,
    plan_restore,
    plan_workspace_backup,
    rebuild_workspace,
    restore_workspace,
)

CAPTURING = """
    stage = ctx.run("drill").stage("train")
    step = 0
    while True:
        for _ in range(500):
            stage.metric("n", float(step), step=step)
            step += 1
        ctx.flush()
        print(step, flush=True)
"""


@pytest.fixture
def restored(tmp_path: Path):
    path = tmp_path / "elsewhere" / "restored"
    yield path
    kill_all(path)
    remove_workspace(path)


def config_of(workspace: Path) -> UnifiedConfig:
    return make_test_config(workspace, project_name="demo")


def durable_steps(process: object, at_least: int) -> int:
    for line in process.stdout:  # type: ignore[attr-defined]
        if int(line) >= at_least:
            return int(line)
    raise AssertionError("the process ended early")


def test_every_record_durable_before_a_backup_under_load_is_found_in_the_restored_workspace(
    served: Served, restored: Path
) -> None:
    process = served.start(CAPTURING, CONTEXTA_RECORDS__SEGMENT_BYTES="4096")
    durable_steps(process, 5_000)
    config = config_of(served.path)
    (served.path / "models").mkdir()
    (served.path / "models" / "fit.bin").write_bytes(b"weights")
    plan = plan_workspace_backup(config, label="Before the upgrade!")
    sure = durable_steps(process, 6_000)
    made = create_workspace_backup(config, plan)
    durable_steps(process, sure + 5_000)  # it goes on, unharmed
    process.kill()
    process.wait()

    assert made.backup_ref.endswith("-before-the-upgrade")
    assert len(list((made.path / "data" / "records" / "log").glob("*.seg"))) > 1
    assert not (made.path / "data" / "daemon").exists()
    assert not (made.path / "data" / "metadata").exists()

    verified = restore_workspace(config, plan_restore(config, made.backup_ref, verify_only=True))
    assert (verified.ok, verified.restored) == (True, False)
    result = restore_workspace(config, plan_restore(config, made.backup_ref, target_workspace=restored))
    assert result.restored
    assert (restored / "models" / "fit.bin").read_bytes() == b"weights"
    ctx = Contexta(workspace=restored, config={"project_name": "demo"})
    values = ctx.get_step_series("drill", "n").values.tolist()
    ctx.close()
    assert len(values) >= sure
    assert values == [float(step) for step in range(len(values))]


def test_what_follows_the_log_is_made_anew_and_answers_as_before(served: Served) -> None:
    served.run(
        """
        with ctx.run("kept") as run, run.stage("train") as stage:
            for step in range(300):
                stage.metric("n", float(step), step=step)
        """
    )
    served.drained()
    ctx = served.contexta()
    before = ctx.get_step_series("kept", "n").values.tolist()
    old = served.pid("daemon")
    lines = served.path / "cache" / "capture" / "record.jsonl"
    wait_until(lambda: lines.exists() and lines.read_bytes().count(b"\n") == 300)
    (served.path / "metadata" / "catalog.sqlite3").write_bytes(b"damaged")

    result = rebuild_workspace(config_of(served.path))
    assert "metadata/catalog.sqlite3" in result.removed
    assert result.daemon_pid != old
    assert served.contexta().get_step_series("kept", "n").values.tolist() == before == [float(n) for n in range(300)]
    wait_until(lambda: lines.exists() and lines.read_bytes().count(b"\n") == 300)


def test_a_rebuild_under_load_loses_nothing(served: Served) -> None:
    process = served.start(CAPTURING)
    durable_steps(process, 2_000)
    rebuild_workspace(config_of(served.path))
    sure = durable_steps(process, 6_000)
    process.kill()
    process.wait()
    served.drained()
    values = served.contexta().get_step_series("drill", "n").values.tolist()
    assert len(values) >= sure
    assert values == [float(step) for step in range(len(values))]


def test_a_restored_workspace_is_never_put_over_one_that_is_served(served: Served) -> None:
    served.run('ctx.run("kept").close()')
    config = config_of(served.path)
    made = create_workspace_backup(config, plan_workspace_backup(config))
    ctx = served.contexta()
    ctx.list_runs()
    with pytest.raises(Exception, match="daemon") as caught:
        plan_restore(config, made.backup_ref)
    assert caught.value.code == "workspace_in_use"  # type: ignore[attr-defined]
    assert json.loads((made.path / "manifest.json").read_bytes())["source_workspace"] == os.fspath(served.path)
