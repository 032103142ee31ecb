"""What the catalog knows of sessions, for the status."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

import anyio.to_thread

from contexta_daemon.catalog import Catalog, SessionInfo

_INFO = """
SELECT s.host, s.pid, s.rank, (
  SELECT r.run_ref FROM run_sessions j JOIN runs r ON r.id = j.run WHERE j.session = s.id ORDER BY r.id DESC LIMIT 1)
FROM sessions s WHERE s.session_id = ?
"""


class SessionsOfCatalog:
    """Looks sessions up in a thread."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def __call__(self, session_ids: list[bytes]) -> Mapping[bytes, SessionInfo]:
        return await anyio.to_thread.run_sync(self._look_up, session_ids)

    def _look_up(self, session_ids: list[bytes]) -> dict[bytes, SessionInfo]:
        found: dict[bytes, SessionInfo] = {}
        with closing(self._catalog.connect()) as connection:
            for session_id in session_ids:
                row = connection.execute(_INFO, (session_id,)).fetchone()
                if row is not None:
                    found[session_id] = SessionInfo(row[0], row[1], row[2], row[3] or "")
        return found
