"""`contexta backup`, `restore` and `recover`."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from contexta.capture import MemorySink, PayloadFamily
from contexta.config import make_test_config
from contexta_client.cli.output import Terminal, handled
from contexta_client.cli.recovery import backup, recover, restore
from contexta_client.recovery import outbox

TAKEN = MemorySink("warehouse")


class Shaky(MemorySink):
    """What a user's own module would have."""

    def __init__(self) -> None:
        super().__init__("warehouse")

    def capture(self, family: PayloadFamily, payload: object) -> None:
        raise ConnectionError("away")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    for name in ("records/log/0000000001.seg", "models/fit.bin"):
        path = tmp_path / "ws" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"data")
    return tmp_path / "ws"


def ask(workspace: Path, group: click.Group, *words: str, as_json: bool = False) -> Result:
    """Run a command as the root would."""

    class Handled(click.Group):
        def invoke(self, ctx: click.Context) -> object:
            with handled(lambda: as_json):
                return super().invoke(ctx)

    root = Handled("contexta", commands={str(group.name): group})
    terminal = Terminal(workspace, as_json, make_test_config(workspace))
    return CliRunner().invoke(root, [str(group.name), *words], obj=terminal)


def test_a_backup_is_made_listed_verified_and_restored(workspace: Path, tmp_path: Path) -> None:
    assert "no backups" in ask(workspace, backup, "list").stdout
    made = ask(workspace, backup, "create", "--label", "first")
    assert made.exit_code == 0
    assert "2 files, 8 B" in made.stdout
    assert "without daemon" in made.stdout
    (name,) = json.loads(ask(workspace, backup, "list", as_json=True).stdout)
    assert name.endswith("-first")
    assert "is whole" in ask(workspace, restore, "apply", name, "--verify-only").stdout
    applied = ask(workspace, restore, "apply", name, "--target", str(tmp_path / "new"), as_json=True)
    assert applied.exit_code == 0
    said = json.loads(applied.stdout)
    assert (said["restored"], said["file_count"], said["problems"]) == (True, 2, [])
    assert (tmp_path / "new" / "models" / "fit.bin").read_bytes() == b"data"


def test_a_damaged_backup_ends_in_status_1_and_says_what_is_wrong(workspace: Path, tmp_path: Path) -> None:
    made = json.loads(ask(workspace, backup, "create", "--to", str(tmp_path / "safe"), as_json=True).stdout)
    (Path(made["path"]) / "data" / "models" / "fit.bin").write_bytes(b"dato")
    verified = ask(workspace, restore, "apply", made["path"], "--verify-only")
    assert verified.exit_code == 1
    assert "DAMAGED: 1 of 2 files" in verified.stdout
    assert "models/fit.bin: damaged" in verified.stdout
    as_json = ask(workspace, restore, "apply", made["path"], "--verify-only", as_json=True)
    assert as_json.exit_code == 1
    assert json.loads(as_json.stdout)["problems"][0]["path"] == "models/fit.bin"
    applied = ask(workspace, restore, "apply", made["path"], "--target", str(tmp_path / "new"), as_json=True)
    assert applied.exit_code == 1
    assert json.loads(applied.stderr)["code"] == "backup_damaged"
    assert not (tmp_path / "new").exists()


def test_wrong_use_ends_in_status_2(workspace: Path) -> None:
    assert ask(workspace, restore, "apply").exit_code == 2
    assert ask(workspace, recover, "replay", "--limit", "-1").exit_code == 2
    assert ask(workspace, recover, "replay", "--sink", "nothing").exit_code == 2


def test_a_replay_tells_what_waits_and_sends_it_to_the_sinks_that_are_named(workspace: Path) -> None:
    folder = str(workspace / "cache" / "outbox")
    for number in range(2):
        outbox.keep(folder, "warehouse", PayloadFamily.RECORD, {"number": number}, OSError("away"))
    waiting = ask(workspace, recover, "replay")
    assert waiting.exit_code == 0
    assert "2 wait for the sink warehouse" in waiting.stdout
    shaky = f"{__name__}:Shaky"
    failed = json.loads(ask(workspace, recover, "replay", "--sink", shaky, as_json=True).stdout)
    assert (failed["replayed"], failed["failed"], failed["remaining"]) == (0, 2, 2)
    done = ask(workspace, recover, "replay", "--sink", f"{__name__}:TAKEN", as_json=True)
    assert json.loads(done.stdout)["replayed"] == 2
    assert len(TAKEN.payloads()) == 2
    for wrong in ("no_such_module:x", f"{__name__}:nothing", "builtins:dict"):
        refused = ask(workspace, recover, "replay", "--sink", wrong, as_json=True)
        assert (refused.exit_code, json.loads(refused.stderr)["code"]) == (1, "sink_invalid")


def test_nothing_is_rebuilt_without_a_log(tmp_path: Path) -> None:
    (tmp_path / "ws" / "records").mkdir(parents=True)
    (tmp_path / "ws" / "metadata").mkdir()
    (tmp_path / "ws" / "metadata" / "catalog.sqlite3").write_bytes(b"SQLite")
    refused = ask(tmp_path / "ws", recover, "rebuild", as_json=True)
    assert (refused.exit_code, json.loads(refused.stderr)["code"]) == (1, "log_not_found")
    assert (tmp_path / "ws" / "metadata" / "catalog.sqlite3").exists()
