"""The way to the daemon: finds the one that serves, starts it when none does, and says what is wrong with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from contexta._version import PROTOCOL_MAX, PROTOCOL_MIN
from contexta_client.launch import Endpoint, process_lives, read_endpoint, speaks_our_protocol

from .channel import Connection
from .daemon_start import DaemonStart

_log = logging.getLogger("contexta.sender")

LOOK_EVERY_S = 0.1
SILENT_S = 2.0  # a daemon that says nothing for so long, though it is asked, is taken for unreachable


class DaemonLink:
    """Always: `connection` leads to the daemon that daemon.json names, or is None. `trouble` says what keeps records
    from getting there, for people; empty: nothing."""

    def __init__(self, workspace: Path, read_config: Callable[[], Mapping[str, Any]]) -> None:
        self.workspace = workspace
        self.connection: Connection | None = None
        self.trouble = ""
        self._start = DaemonStart(workspace, read_config)
        self._next_look = 0.0

    def keep(self, now: float, *, wanted: bool) -> bool:
        """Look after the connection; return whether it is another one, or gone. wanted: start a daemon if need be."""
        if self.connection is not None and now < self._next_look:
            return False
        self._next_look = now + LOOK_EVERY_S
        endpoint = read_endpoint(self.workspace)
        if endpoint is not None and not process_lives(endpoint.pid):
            endpoint = None
        if endpoint is not None and not speaks_our_protocol(endpoint):
            self.trouble = _other_version(endpoint)
            return self._connect(None)
        changed = self._connect(endpoint)
        if self.connection is None:
            if wanted:
                self._start.ensure(now)
            self.trouble = self._start.trouble
        elif (silence_s := self.connection.silence_s(now)) > SILENT_S:
            # The number in daemon.json may belong to another process by now. Where a daemon lives, its lock makes
            # a second one end at once.
            if wanted:
                self._start.ensure(now)
            pid = self.connection.endpoint.pid
            self.trouble = f"the daemon (process {pid}) has not answered for {silence_s:.0f} s"
        else:
            self._start.running()
            self.trouble = ""
        return changed

    def close(self) -> None:
        self._connect(None)

    def _connect(self, endpoint: Endpoint | None) -> bool:
        current = self.connection.endpoint if self.connection is not None else None
        if endpoint == current:
            return False
        if self.connection is not None:
            self.connection.close()
        self.connection = Connection(endpoint) if endpoint is not None else None
        if endpoint is not None:
            _log.info("delivering to daemon %d at %s", endpoint.pid, endpoint.socket)
        return True


def _other_version(endpoint: Endpoint) -> str:
    return (
        f"the daemon is of version {endpoint.version} and speaks protocol {endpoint.protocol_min} to "
        f"{endpoint.protocol_max}, this sender {PROTOCOL_MIN} to {PROTOCOL_MAX}; end it with `contexta daemon stop`"
    )
