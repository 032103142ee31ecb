"""When the sender starts a daemon: again and again, with growing patience, and soon where its workspace comes back."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from contexta_client.sender import daemon_start
from contexta_client.sender.daemon_start import FIRST_BACKOFF_S, LAST_BACKOFF_S, DaemonStart


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When daemons were started, none of which can."""
    found: list[float] = []

    def fail(workspace: Path, config: object) -> subprocess.Popen[bytes]:
        found.append(0.0)
        child = subprocess.Popen(["false"], stderr=subprocess.PIPE)
        child.wait(60)
        return child

    monkeypatch.setattr(daemon_start, "start_daemon", fail)
    return found


def starts_between(start: DaemonStart, starts: list[float], begin: int, end: int) -> list[float]:
    """Look ten times a second, by a clock that the test holds."""
    starts.clear()
    for tick in range(begin * 10, end * 10):
        before = len(starts)
        start.ensure(tick / 10)
        starts[before:] = [tick / 10] * (len(starts) - before)
    return list(starts)


def test_a_daemon_that_cannot_start_is_tried_with_growing_patience(tmp_path: Path, starts: list[float]) -> None:
    (tmp_path / "daemon").mkdir()
    found = starts_between(DaemonStart(tmp_path, dict), starts, 0, 400)
    gaps = [later - earlier for earlier, later in pairwise(found)]
    assert gaps[0] == pytest.approx(2 * FIRST_BACKOFF_S, abs=FIRST_BACKOFF_S + 0.1)
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(LAST_BACKOFF_S, abs=0.2)


def test_a_daemon_is_started_soon_where_its_workspace_comes_back_and_not_all_the_time_before(
    tmp_path: Path, starts: list[float]
) -> None:
    workspace = tmp_path / "disk" / "workspace"
    start = DaemonStart(workspace, dict)
    away = starts_between(start, starts, 0, 300)
    assert len(away) <= 300 / FIRST_BACKOFF_S + 1
    (workspace / "daemon").mkdir(parents=True)
    back = starts_between(start, starts, 300, 310)
    assert back[0] <= 300 + FIRST_BACKOFF_S + 0.1
