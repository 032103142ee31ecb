"""The end of a session: closed at the daemon, then its folders deleted."""

from __future__ import annotations

import logging

import grpc

from contexta.v1 import capture_pb2
from contexta_client.capture import spool_format as fmt

from .channel import Connection, failure_of
from .session import Done, Session
from .spools import Spools

_log = logging.getLogger("contexta.sender")

CLOSE_TIMEOUT_S = 10.0


class Endings:
    """Always: DRAINED is set before a session is closed, so that whoever finds it so has only to close and delete."""

    def __init__(self, spools: Spools) -> None:
        self._spools = spools
        self._closings: dict[bytes, grpc.Future] = {}

    def forget(self) -> None:
        """The connection is gone, and the calls with it."""
        self._closings.clear()

    def see_off(
        self, now: float, session_id: bytes, session: Session, connection: Connection | None, done: Done
    ) -> bool:
        """Close a session of which all is durable; delete it once it is closed. Returns whether anything moved."""
        if (
            session.stage == "ending"
            and not session.in_flight
            and connection is not None
            and now >= session.pause_until
        ):
            session.words[fmt.DRAINED] = 1
            session.drained = True
            session.stage = "closing"
            request = capture_pb2.CloseSessionRequest(session_id=session_id, sequence=session.durable)
            self._closings[session_id] = connection.call("CloseSession", request, timeout_s=CLOSE_TIMEOUT_S, done=done)
            return True
        closing = self._closings.get(session_id)
        if closing is None or not closing.done():
            return False
        del self._closings[session_id]
        try:
            closing.result()
        except (grpc.RpcError, grpc.FutureCancelledError) as error:
            failure = failure_of(error)
            if failure.code != "sequence_gap":  # a fresh daemon, which never had it, has nothing to close
                session.restart(now, failure)
                return True
        self._spools.remove(session_id)
        _log.info("session %s is delivered: %d items", session_id.hex(), session.durable)
        return True
