"""Recorders for tests: their spools lie in a folder of the test's, and no sender is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from spool_reader import SpoolContent, read_spools

from contexta.config import load_config
from contexta_client.capture.session import Recorder


class Capturing:
    """Makes recorders on one spool folder and reads back what they wrote."""

    def __init__(self, folder: Path) -> None:
        self.workspace = folder / "workspace"
        self.spools = folder / "spools"
        self._recorders: list[Recorder] = []

    def recorder(self, *, sinks: Any = None, **capture: Any) -> Recorder:
        patch = {
            "project_name": "Demo",
            "daemon": {"autostart": False},
            "capture": {"environment": False, "exit_timeout_s": 0.2, **capture},
        }
        recorder = Recorder(load_config(workspace=self.workspace, patch=patch, environ={}), sinks=sinks)
        self._recorders.append(recorder)
        return recorder

    def read(self) -> list[SpoolContent]:
        return read_spools(self.spools)

    def one(self) -> SpoolContent:
        (spool,) = self.read()
        return spool

    def close(self) -> None:
        for recorder in self._recorders:
            recorder.close()


@pytest.fixture
def capturing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CONTEXTA_SPOOL_DIR", str(tmp_path / "spools"))
    monkeypatch.delenv("CONTEXTA_PARENT_SESSION", raising=False)
    made = Capturing(tmp_path)
    yield made
    made.close()
