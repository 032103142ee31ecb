"""Spools of workspaces that nobody has seen for long: kept for a week, and never while somebody writes to them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from spool_writer import LockHolder, SpoolWriter

from contexta_client.capture import spool_place
from contexta_client.sender.forsaken import KEPT_S, remove_forsaken

DAY_S = 86_400.0


@pytest.fixture
def holder() -> Iterator[LockHolder]:
    made = LockHolder()
    yield made
    made.close()


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(spool_place.BASE_VARIABLE, str(tmp_path / "spools"))
    return tmp_path / "disk" / "workspace"


@pytest.fixture
def writer(workspace: Path, holder: LockHolder) -> SpoolWriter:
    return SpoolWriter(spool_place.choose_root(workspace, 1), holder=holder)


def look(tmp_path: Path, day: float) -> None:
    """What a sender of another workspace does on that day."""
    remove_forsaken(spool_place.candidate_roots(tmp_path / "other"), day * DAY_S)


def test_what_is_left_for_a_workspace_that_stays_away_is_removed_after_a_week(
    tmp_path: Path, writer: SpoolWriter
) -> None:
    writer.vanish()
    for day in (100.0, 103.0, 106.9):
        look(tmp_path, day)
        assert writer.path.exists()
    look(tmp_path, 100 + KEPT_S / DAY_S + 0.1)
    assert not writer.path.exists()


@pytest.mark.parametrize("seen", ["by another", "by its own"])
def test_a_workspace_that_was_seen_by_a_sender_meanwhile_is_waited_for_anew(
    tmp_path: Path, writer: SpoolWriter, workspace: Path, seen: str
) -> None:
    writer.vanish()
    look(tmp_path, 100)
    if seen == "by another":
        workspace.mkdir(parents=True)
        look(tmp_path, 105)
        workspace.rmdir()
    else:
        remove_forsaken(spool_place.candidate_roots(workspace), 105 * DAY_S)
    for day in (108.0, 114.0):
        look(tmp_path, day)
        assert writer.path.exists()
    look(tmp_path, 116)
    assert not writer.path.exists()


def test_a_living_process_and_the_senders_own_workspace_are_left_alone(
    tmp_path: Path, writer: SpoolWriter, workspace: Path
) -> None:
    for day in (100, 200, 300):
        look(tmp_path, day)
    assert writer.path.exists()
    writer.vanish()
    look(tmp_path, 310)
    assert writer.path.exists()
    remove_forsaken(spool_place.candidate_roots(workspace), 400 * DAY_S)
    assert writer.path.exists()


@pytest.mark.parametrize("kind", ["nfs4", "autofs", "fuse.sshfs"])
def test_a_network_is_not_asked(
    tmp_path: Path, writer: SpoolWriter, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    writer.vanish()
    monkeypatch.setattr(spool_place, "file_system", lambda path: kind)
    monkeypatch.setattr("os.path.lexists", lambda path: pytest.fail("it was asked"))
    for day in (100, 200):
        look(tmp_path, day)
    assert writer.path.exists()
