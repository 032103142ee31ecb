"""Where every session stands, as the log knows it. Each segment begins with all of it, so that recovery reads little.

Bounded: closed sessions are kept for 7 days and at most 10,000, open ones for 90 days and at most 4,096 (a session that
never closes is one whose machine lost its spool); the oldest go first. A session that went is unknown again. An open
one that was written to since the log was opened does not age: the clock may be set forward by years meanwhile.
"""

from __future__ import annotations

from .envelope import Envelope, SessionState

CLOSED_KEPT_NS = 7 * 86_400 * 10**9
OPEN_KEPT_NS = 90 * 86_400 * 10**9
MAX_CLOSED = 10_000
MAX_OPEN = 4_096


class SessionTable:
    """Session id -> state. One writer; `get` may be called from any thread (states are immutable)."""

    def __init__(self, sessions: dict[bytes, SessionState] | None = None) -> None:
        self._sessions = dict(sessions or {})
        self._lively: set[bytes] = set()  # open, and written to since this table was made

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, session_id: bytes) -> SessionState | None:
        return self._sessions.get(session_id)

    def items(self) -> list[tuple[bytes, SessionState]]:
        return list(self._sessions.items())

    def applied(self, envelope: Envelope) -> None:
        """Note that a batch is in the log."""
        if len(self._sessions) > 2 * (MAX_OPEN + MAX_CLOSED):
            self.checkpoint(envelope.appended_ns)
        self._sessions[envelope.session_id] = SessionState(
            envelope.next_sequence, envelope.cursor, False, envelope.appended_ns
        )
        self._lively.add(envelope.session_id)

    def closed(self, session_id: bytes, closed_ns: int) -> None:
        state = self._sessions.get(session_id)
        self._sessions[session_id] = SessionState(state.next_sequence if state else 0, b"", True, closed_ns)
        self._lively.discard(session_id)

    def checkpoint(self, now_ns: int) -> list[tuple[bytes, SessionState]]:
        """Forget what is too old or too much; return the rest, for a checkpoint."""
        lively = self._lively
        newest_first = sorted(self._sessions.items(), key=lambda item: (item[0] not in lively, -item[1].last_ns))
        closed = [
            (key, state) for key, state in newest_first if state.closed and now_ns - state.last_ns <= CLOSED_KEPT_NS
        ]
        opened = [
            (key, state)
            for key, state in newest_first
            if not state.closed and (key in lively or now_ns - state.last_ns <= OPEN_KEPT_NS)
        ]
        kept = opened[:MAX_OPEN] + closed[:MAX_CLOSED]
        self._sessions = dict(kept)
        self._lively = lively & self._sessions.keys()
        return kept
