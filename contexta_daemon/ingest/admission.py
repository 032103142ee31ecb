"""Who may append, and in which order: a byte quota, and for each session one line of items without gap or overlap."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import anyio.to_thread
import xxhash

from contexta_daemon.log import MAX_BODY_BYTES, MAX_CURSOR_BYTES, MAX_SEQUENCE, Envelope
from contexta_daemon.log.sessions import SessionTable

from .refusals import (
    AdmissionFullError,
    BatchTooLargeError,
    ChecksumMismatchError,
    InvalidRequestError,
    SequenceGapError,
    SessionClosedError,
)
from .writer import Pending, Writer

EARLY_WAIT_S = 2.0
RETRY_AFTER_MS = 50
_OVERHEAD_BYTES = 1024  # what an append costs besides its body
_CHECK_IN_THREAD_BYTES = 2 << 20


class _Gate:
    """A session while it has appends in flight: `next_sequence` counts the admitted ones, durable or not."""

    __slots__ = ("changed", "in_flight", "next_sequence", "turned_away", "waiting")

    def __init__(self, next_sequence: int) -> None:
        self.next_sequence = next_sequence
        self.in_flight = 0
        self.waiting = 0
        self.turned_away = 0
        self.changed = anyio.Event()

    def notify(self) -> None:
        changed, self.changed = self.changed, anyio.Event()
        changed.set()


class Admission:
    """Always true: batches of a session reach the writer in order, each item once; bodies that wait are at most
    `limit_bytes`, and over it an append is refused with a delay, never queued. Lives on the event loop."""

    def __init__(
        self,
        sessions: SessionTable,
        writer: Writer,
        *,
        limit_bytes: int,
        clock_ns: Callable[[], int],
        early_wait_s: float = EARLY_WAIT_S,
    ) -> None:
        self._sessions = sessions
        self._writer = writer
        self._clock_ns = clock_ns
        self._early_wait_s = early_wait_s
        self._gates: dict[bytes, _Gate] = {}
        self._early_bytes = 0
        self.limit_bytes = limit_bytes
        self.admitted_bytes = 0
        self.rejected = 0

    @property
    def is_idle(self) -> bool:
        """Nothing waits and nothing is being written."""
        return not self._gates

    def check_room(self) -> None:
        """Raise what an append would be refused with whatever it holds; to be asked before its body is fetched."""
        if self._writer.problem:
            raise self._writer.refusal()
        if self.admitted_bytes >= self.limit_bytes:
            raise self._full()

    async def append(
        self,
        session_id: bytes,
        *,
        first_sequence: int,
        count: int,
        checksum: int,
        body: bytes,
        cursor: bytes,
        on_admitted: Callable[[], None] = lambda: None,
    ) -> int:
        """Return the session's next sequence once the batch is durable. Raises a RefusedError otherwise.

        `on_admitted` is called when the body counts in the quota, and is held only once.
        """
        check_session_id(session_id)
        await _check(count, first_sequence, cursor, body, checksum)
        end = first_sequence + count
        durable = self._durable(session_id, end)
        if end <= durable:
            return durable
        cost = len(body) + _OVERHEAD_BYTES
        gate = self._gates.setdefault(session_id, _Gate(durable))
        try:
            self._take_quota(gate, first_sequence, cost)
            on_admitted()
            try:
                admitted = await self._wait_for_turn(gate, first_sequence, end, cost)
            except BaseException:
                self.admitted_bytes -= cost
                raise
            if not admitted:  # the same batch is in flight already
                self.admitted_bytes -= cost
                return await self._wait_durable(session_id, gate, end)
            pending = self._submit(session_id, gate, first_sequence, count, body, cursor, cost)
        finally:
            del body  # the writer holds it until it is packed; the traceback of a refusal must not hold it at all
            self._leave(session_id, gate)
        await pending.wait()
        return end

    async def close_session(self, session_id: bytes, sequence: int) -> None:
        """Return once the closing is durable. Raises SequenceGapError when items before `sequence` are missing."""
        check_session_id(session_id)
        if (gate := self._gates.get(session_id)) is not None:
            gate.waiting += 1
            try:
                with anyio.move_on_after(self._early_wait_s):
                    while gate.in_flight:
                        await gate.changed.wait()
            finally:
                gate.waiting -= 1
                self._leave(session_id, gate)
        state = self._sessions.get(session_id)
        if (state.next_sequence if state else 0) < sequence:
            expected = state.next_sequence if state else 0
            raise SequenceGapError(
                f"the session is said to have {sequence} items, {expected} are here", expected_sequence=expected
            )
        if state is None or state.closed:
            return
        pending = Pending(session_id, None, b"")
        self._writer.submit(pending)
        await pending.wait()

    def _durable(self, session_id: bytes, end: int) -> int:
        state = self._sessions.get(session_id)
        if state is None:
            return 0
        if state.closed and end > state.next_sequence:
            raise SessionClosedError(f"session {session_id.hex()} was closed at item {state.next_sequence}")
        return state.next_sequence

    def _take_quota(self, gate: _Gate, first_sequence: int, cost: int) -> None:
        if self._writer.problem:
            raise self._writer.refusal()
        is_early = first_sequence > gate.next_sequence
        over = self.admitted_bytes + cost > self.limit_bytes and self.admitted_bytes > 0
        # What comes early may not take the room that the batch it waits for needs.
        if over or (is_early and self._early_bytes + cost > self.limit_bytes // 2):
            if not is_early:
                gate.turned_away += 1
                gate.notify()
            raise self._full()
        self.admitted_bytes += cost

    def _full(self) -> AdmissionFullError:
        self.rejected += 1
        return AdmissionFullError(
            f"{self.admitted_bytes} bytes wait to become durable, the limit is {self.limit_bytes}",
            retry_after_ms=RETRY_AFTER_MS,
        )

    async def _wait_for_turn(self, gate: _Gate, first_sequence: int, end: int, cost: int) -> bool:
        """True: the session stands at the batch's first item. False: it stands at its end or behind it."""
        if first_sequence > gate.next_sequence:
            turned_away = gate.turned_away
            gate.waiting += 1
            self._early_bytes += cost
            try:
                with anyio.move_on_after(self._early_wait_s):
                    while first_sequence > gate.next_sequence and gate.turned_away == turned_away:
                        await gate.changed.wait()
            finally:
                gate.waiting -= 1
                self._early_bytes -= cost
        if first_sequence == gate.next_sequence:
            return True
        if end <= gate.next_sequence:
            return False
        raise SequenceGapError(
            f"the batch begins at item {first_sequence}, the session stands at {gate.next_sequence}",
            expected_sequence=gate.next_sequence,
        )

    def _submit(
        self, session_id: bytes, gate: _Gate, first_sequence: int, count: int, body: bytes, cursor: bytes, cost: int
    ) -> Pending:
        pending = Pending(session_id, Envelope(session_id, first_sequence, count, cursor, self._clock_ns()), body)

        def done(finished: Pending) -> None:
            self.admitted_bytes -= cost
            gate.in_flight -= 1
            if finished.error is not None:  # the writer refused all that was behind it too
                gate.next_sequence = min(gate.next_sequence, first_sequence)
                gate.turned_away += 1
            gate.notify()
            self._leave(session_id, gate)

        pending.on_done = done
        try:
            self._writer.submit(pending)
        except BaseException:
            self.admitted_bytes -= cost
            raise
        gate.in_flight += 1
        gate.next_sequence = first_sequence + count
        gate.notify()
        return pending

    async def _wait_durable(self, session_id: bytes, gate: _Gate, end: int) -> int:
        gate.waiting += 1
        try:
            while (durable := self._durable(session_id, end)) < end:
                if gate.next_sequence < end:
                    raise self._writer.refusal()
                await gate.changed.wait()
            return durable
        finally:
            gate.waiting -= 1

    def _leave(self, session_id: bytes, gate: _Gate) -> None:
        if not gate.in_flight and not gate.waiting and self._gates.get(session_id) is gate:
            del self._gates[session_id]


def check_session_id(session_id: bytes) -> None:
    """Raise InvalidRequestError unless it is a session's id."""
    if len(session_id) != 16:
        raise InvalidRequestError(f"a session id has 16 bytes, not {len(session_id)}")


async def _check(count: int, first_sequence: int, cursor: bytes, body: bytes, checksum: int) -> None:
    if count < 1 or first_sequence + count > MAX_SEQUENCE:
        raise InvalidRequestError(f"{count} items from {first_sequence} on is no range of items")
    if len(cursor) > MAX_CURSOR_BYTES:
        raise InvalidRequestError(f"a cursor has at most {MAX_CURSOR_BYTES} bytes, not {len(cursor)}")
    if len(body) > MAX_BODY_BYTES:
        raise BatchTooLargeError(f"a body has at most {MAX_BODY_BYTES} bytes, not {len(body)}")
    if len(body) < _CHECK_IN_THREAD_BYTES:
        actual = xxhash.xxh3_64_intdigest(body)
    else:
        actual = await anyio.to_thread.run_sync(xxhash.xxh3_64_intdigest, body)
    if actual != checksum:
        raise ChecksumMismatchError("the body's xxh3-64 is not the one that was sent with it")
