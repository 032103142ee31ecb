"""Starting the daemon when none is there, with growing distance between attempts."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from contexta_client.launch import ALREADY_RUNNING, start_daemon

_log = logging.getLogger("contexta.sender")

FIRST_BACKOFF_S, LAST_BACKOFF_S = 3.0, 60.0  # a start takes half a second, on a loaded machine a few
ANEW_AFTER_S = 0.1  # a start in a workspace that is deleted meanwhile
LOOK_AGAIN_S = 1.0  # at settings that forbid a start


class DaemonStart:
    """Starts a workspace's daemon. `trouble` says why none serves, for people; empty: nothing is known."""

    def __init__(self, workspace: Path, read_config: Callable[[], Mapping[str, Any]]) -> None:
        self.workspace = workspace
        self.trouble = ""
        self._read_config = read_config
        self._child: subprocess.Popen[bytes] | None = None
        self._started = False
        self._started_at = 0.0
        self._next_s = 0.0
        self._backoff_s = FIRST_BACKOFF_S

    def running(self) -> None:
        """A daemon serves."""
        self._reap()
        self._backoff_s = FIRST_BACKOFF_S
        self._started = False
        self._next_s = 0.0
        self.trouble = ""

    def ensure(self, now: float) -> None:
        """Start a daemon if that is due."""
        self._reap()
        is_away = self._started and not (self.workspace / "daemon").is_dir()
        if is_away:  # deleted, and the daemon ends; or it cannot be made, and is not long waited for when it is back
            self._next_s = min(self._next_s, self._started_at + (FIRST_BACKOFF_S if self.trouble else ANEW_AFTER_S))
        if now < self._next_s or self._child is not None:
            return
        config = self._read_config()
        if not config.get("daemon", {}).get("autostart", True):
            self._next_s = now + LOOK_AGAIN_S
            self.trouble = "no daemon runs and daemon.autostart is off; start one with `contexta daemon start`"
            return
        if self._started:  # the last start led to nothing
            self.trouble = self.trouble or f"the daemon does not serve; see {self.workspace / 'daemon' / 'daemon.log'}"
            self._backoff_s = FIRST_BACKOFF_S if is_away else min(2 * self._backoff_s, LAST_BACKOFF_S)
        self._next_s = now + self._backoff_s
        try:
            self._child = start_daemon(self.workspace, _with_our_priority(config))
            self._started, self._started_at = True, now
        except OSError as error:
            self._fail(f"the daemon cannot be started: {error}")

    def _reap(self) -> None:
        """Take in what became of the process that was started: it detaches the daemon and ends, or says why not."""
        child = self._child
        if child is None or child.poll() is None:
            return
        self._child = None
        assert child.stderr is not None
        with child.stderr:
            if child.returncode in (0, ALREADY_RUNNING):
                return
            said = child.stderr.read(1000).decode(errors="replace").strip()
        self._fail(f"the daemon cannot start: {said or f'exit status {child.returncode}'}")

    def _fail(self, trouble: str) -> None:
        if trouble != self.trouble:
            _log.error("%s", trouble)
        self.trouble = trouble


def _with_our_priority(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same settings for a child: niceness adds up, and this process has lowered its own already."""
    daemon = dict(config.get("daemon", {}))
    if "nice" in daemon:
        daemon["nice"] = max(0, int(daemon["nice"]) - os.getpriority(os.PRIO_PROCESS, 0))
    return {**config, "daemon": daemon} if daemon else dict(config)
