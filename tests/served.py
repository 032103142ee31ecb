"""A workspace with the real sender and daemon, ended with the test. What it makes lies in the test's folder."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_until
from workspace_processes import kill_all, pids_of, remove_workspace

from contexta import Contexta
from contexta_client.launch import local_workers


class Served:
    """A workspace of a test. Scripts run in processes of their own, so that they may be killed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ws"
        self._open: list[Contexta] = []
        self._processes: list[subprocess.Popen[str]] = []

    def contexta(self, **config: Any) -> Contexta:
        """Open the workspace, in project `demo`."""
        made = Contexta(workspace=self.path, config={"project_name": "demo", **config})
        self._open.append(made)
        return made

    def start(self, script: str, **environment: str) -> subprocess.Popen[str]:
        """Start a script in which `ctx` is the opened workspace. Its standard output is a pipe."""
        code = "from contexta import Contexta\nimport os, sys, signal\n" + (
            f"ctx = Contexta(workspace={str(self.path)!r}, config={{'project_name': 'demo'}})\n"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", code + textwrap.dedent(script)],
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def run(self, script: str, **environment: str) -> str:
        """Run a script to its end; return what it printed."""
        process = self.start(script, **environment)
        printed, _ = process.communicate(timeout=60)
        assert process.returncode == 0, process.returncode
        return printed

    def pids(self, role: str) -> list[int]:
        """The processes that are the workspace's "sender" or "daemon"."""
        return pids_of(role, self.path)

    def pid(self, role: str) -> int:
        """The one process of a role, once there is one."""
        wait_until(lambda: len(self.pids(role)) == 1)
        return self.pids(role)[0]

    def drained(self) -> None:
        """Wait until every spool of ended processes is delivered and gone."""
        wait_until(lambda: all(worker.alive for worker in local_workers(self.path)))

    def close(self) -> None:
        for each in self._open:
            each.close()
        for process in self._processes:
            process.kill()
            process.communicate()
        kill_all(self.path)
        remove_workspace(self.path)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CONTEXTA_SPOOL_DIR", str(tmp_path / "spools"))
    # What is asked right after a run was left is then there however slow the machine is.
    monkeypatch.setenv("CONTEXTA_CAPTURE__EXIT_TIMEOUT_S", "60")
    for name in ("CONTEXTA_PARENT_SESSION", "CONTEXTA_JOB_ID", "CONTEXTA_RANK"):
        monkeypatch.delenv(name, raising=False)
    made = Served(tmp_path)
    yield made
    made.close()
