"""Starting the daemon when none is there, with growing distance between attempts."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_log = logging.getLogger("contexta.sender")

FIRST_BACKOFF_S, LAST_BACKOFF_S = 3.0, 60.0  # a start takes half a second, on a loaded machine a few


class DaemonStart:
    """Starts `python -m contexta_daemon` for a workspace; `failures` counts starts after which none was serving."""

    def __init__(self, workspace: Path, read_config: Callable[[], Mapping[str, Any]]) -> None:
        self.workspace = workspace
        self._read_config = read_config
        self.failures = 0
        self._child: subprocess.Popen[bytes] | None = None
        self._next_s = 0.0
        self._backoff_s = FIRST_BACKOFF_S
        self._trouble = ""

    def running(self) -> None:
        """A daemon serves."""
        self.failures = 0
        self._backoff_s = FIRST_BACKOFF_S
        self._next_s = 0.0
        self._trouble = ""
        if self._child is not None:
            self._child.poll()

    def ensure(self, now: float) -> str:
        """Start a daemon if that is due; return what keeps one from serving, for people; empty: nothing known."""
        if self._child is not None and self._child.poll() is not None:
            self._child = None
        config = self._read_config()
        if not config.get("daemon", {}).get("autostart", True):
            return "no daemon runs and daemon.autostart is off; start one with `contexta daemon start`"
        if now < self._next_s:
            return self._trouble
        if self._next_s:
            self.failures += 1
            self._trouble = f"the daemon does not start; see {self.workspace / 'daemon' / 'daemon.log'}"
            self._backoff_s = min(2 * self._backoff_s, LAST_BACKOFF_S)
        self._next_s = now + self._backoff_s
        arguments = [sys.executable, "-P", "-m", "contexta_daemon", "--workspace", str(self.workspace)]
        arguments += ["--config", json.dumps(config)]
        try:
            self._child = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True, cwd="/", env=dict(os.environ),
            )  # fmt: skip
        except OSError as error:
            self.failures += 1
            self._trouble = f"the daemon cannot be started with {sys.executable}: {error}"
            _log.error("%s", self._trouble)
        return self._trouble
