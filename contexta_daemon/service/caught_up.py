"""Waiting until the catalog has what was durable when a question came, so that an answer never misses it."""

from __future__ import annotations

from contexta.errors import DeadlineError
from contexta_daemon.followers import Runner
from contexta_daemon.log import Log, Position

CATALOG_TIMEOUT_S = 30.0


class CatalogWait:
    """Called ahead of a question; returns how far the log may be read for its answer."""

    def __init__(self, log: Log, runner: Runner) -> None:
        self._log = log
        self._runner = runner

    async def __call__(self) -> Position:
        """Raises DeadlineError when the catalog does not catch up in time."""
        committed = self._log.committed
        if not await self._runner.wait_applied("catalog", committed, CATALOG_TIMEOUT_S):
            problem = self._runner.problem("catalog") or f"it is {self._runner.lag_bytes('catalog')} bytes behind"
            raise DeadlineError(f"The catalog has not caught up within {CATALOG_TIMEOUT_S:.0f} s: {problem}.")
        return committed
