"""A workspace whose log drops the metrics that its columns hold answers, recovers, and is backed up like any other."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from served import Served
from test_rebuild_equal import all_tables, lines_of
from waiting import wait_until
from workspace_processes import kill_all, remove_workspace

from contexta import Contexta
from contexta.contract.json_text import dumps
from contexta.recovery import (
    create_workspace_backup,
    plan_restore,
    plan_workspace_backup,
    rebuild_workspace,
    restore_workspace,
)
from contexta_client.recovery.contents import lean_segments

CAPTURING = """
    stage = ctx.run("long").stage("train")
    step = 0
    while step < 6_000:
        stage.log({"loss": 1.0 / (step + 1), "rate": step * 0.1}, step=step)
        stage.metric("single", float("nan") if step % 7 == 0 else float(step), step=step)
        if step % 1000 == 0:
            stage.event("mark", message=f"at {step}")
            ctx.flush()
        step += 1
    (path := ctx.config.workspace.root_path / "note.txt").write_text("an artifact")
    stage.register_artifact("note", path)
    ctx.close()
"""
STEPS = 6_000
DROPPING = {"CONTEXTA_RETENTION__LOG": "drop", "CONTEXTA_RECORDS__SEGMENT_BYTES": "4096"}


@pytest.fixture
def dropped(served: Served, monkeypatch: pytest.MonkeyPatch) -> Served:
    """A workspace in which a run has ended, and all segments but the last ones are lean."""
    for name, value in DROPPING.items():
        monkeypatch.setenv(name, value)
    served.run(CAPTURING)
    served.drained()
    log = served.path / "records" / "log"
    wait_until(lambda: len(lean_segments(log)) > len(list(log.glob("*.seg"))) - 3, 60)
    assert len(lean_segments(log)) > 1
    return served


def everything(ctx: Contexta) -> list[str]:
    return [dumps(each.to_dict()) for each in ctx.record_store.scan(all_attempts=True)]


def check_series(ctx: Contexta) -> None:
    points = ctx.get_step_series("long", "loss").points
    assert [(each.step, each.value) for each in points] == [(step, 1.0 / (step + 1)) for step in range(STEPS)]


def test_everything_is_answered_as_before_and_after_a_kill(dropped: Served) -> None:
    ctx = dropped.contexta()
    check_series(ctx)
    records = everything(ctx)
    assert len(records) >= 3 * STEPS + STEPS // 1000
    assert ctx.record_store.check_integrity().intact
    pid = dropped.pid("daemon")
    os.kill(pid, signal.SIGKILL)
    again = dropped.contexta()
    check_series(again)
    assert everything(again) == records


def test_a_rebuild_keeps_the_columns_and_makes_the_rest_as_it_was(dropped: Served) -> None:
    ctx = dropped.contexta()
    tables, lines = rounded(all_tables(ctx)), lines_of(dropped)
    ctx.close()
    result = rebuild_workspace(ctx.config)
    assert "metadata/catalog.sqlite3" in result.removed and not any("columns" in each for each in result.removed)
    ctx = dropped.contexta()
    assert rounded(all_tables(ctx)) == tables
    check_series(ctx)
    wait_until(lambda: all(len(mine) >= len(lines[name]) for name, mine in lines_of(dropped).items()))
    assert lines_of(dropped) == lines


def rounded(tables: dict[str, list[str]]) -> dict[str, list[str]]:
    """Means are summed in the parts in which the log is read, which round differently in their last digit."""

    def cell(value: Any) -> Any:
        return f"{value:.12g}" if isinstance(value, float) else value

    return {name: sorted(json.dumps(list(map(cell, json.loads(row)))) for row in rows) for name, rows in tables.items()}


@pytest.fixture
def restored(tmp_path: Path) -> Any:
    path = tmp_path / "elsewhere" / "restored"
    yield path
    kill_all(path)
    remove_workspace(path)


def test_a_backup_under_load_has_the_columns_and_restores_to_the_same_answers(
    dropped: Served, restored: Path
) -> None:
    process = dropped.start(CAPTURING.replace("long", "meanwhile").replace("6_000", "1_000_000"))
    ctx = dropped.contexta()
    wait_until(lambda: any(run.name == "meanwhile" for run in ctx.list_runs()))
    config = ctx.config
    made = create_workspace_backup(config, plan_workspace_backup(config))
    process.kill()
    manifest = json.loads((made.path / "manifest.json").read_text())
    assert any(each["part"] == "columns" and each["path"].endswith(".parquet") for each in manifest["files"])
    result = restore_workspace(config, plan_restore(config, made.backup_ref, target_workspace=restored))
    assert result.restored
    with Contexta(workspace=restored, config={"project_name": "demo"}) as again:
        check_series(again)
        assert again.record_store.check_integrity().intact
        assert len(list(again.record_store.scan(run_id="long", record_type="event"))) == STEPS // 1000
