"""One session's delivery: reads its spool in batches, keeps several in flight, and answers its writer.

A state machine without clocks or sockets of its own: `Service` gives it the time, the connection and finished calls.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import time_ns

import grpc

from contexta.v1 import capture_pb2
from contexta_client.capture import spool_format as fmt
from contexta_client.capture.entry_encoding import encode_entry

from .answers import Answers
from .batches import MAX_ITEMS, MAX_JOURNAL_BYTES, Batcher, Body, encode
from .channel import Connection, Failure, failure_of
from .cursor import Cursor
from .definitions import Definitions
from .follow import Ends, SpoolReader
from .losses import dropped_by_reason, dropped_entries

_log = logging.getLogger("contexta.sender")

MAX_IN_FLIGHT = 8
TURN_BATCHES = 4  # of one session before the others have their turn
APPEND_TIMEOUT_S = 30.0
OPEN_TIMEOUT_S = 10.0
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.05, 2.0
LINGER_S = 0.2
LOSSES_EVERY_S = 1.0
FULL_ENOUGH = 8_192  # rows that are worth a batch at once
SCOPE_CLOSED = 4 << 3 | 2  # the tag of an entry's kind
AGAIN = frozenset({"admission_full", "storage_full", "storage_failed", "draining"})  # the same batch, later

Done = Callable[[object], None]


@dataclass(slots=True)
class Sent:
    """A batch on its way. `failed` is set when it came back refused."""

    body: Body
    first: int
    future: grpc.Future | None = None
    failed: Failure | None = None
    read_ns: int = field(default_factory=time_ns)


class Session:
    """Always: in flight is a line of batches without gap from `acked` on; the spool keeps what is not acknowledged.

    `stage` goes from "" (following) over "last words" (the writer is gone, all of it is read) and "ending" (all is
    sent) to "closing" and "closed"; a restart leads back, until the header says that all is durable.
    """

    def __init__(self, reader: SpoolReader, now: float) -> None:
        self.reader = reader
        self.words = reader.words
        self.batcher: Batcher | None = None  # None: the daemon was not asked yet where the session stands
        self.opening: grpc.Future | None = None
        self.in_flight: deque[Sent] = deque()
        self.next_sequence = 0  # of the next batch to send
        self.durable = 0
        self.acked = Cursor()
        self.definitions = Definitions()  # as of `acked`
        self.answers = Answers(reader)
        self.ends: Ends | None = None
        self.ends_request = self.answers.requested()  # read before `ends`
        self.pause_until = 0.0
        self.backoff_s = FIRST_BACKOFF_S
        self.linger_until = 0.0
        self.gone = False
        self.drained = int(self.words[fmt.DRAINED]) == 1  # by an earlier sender: only closing it is left
        self.stage = "ending" if self.drained else ""
        self.losses_at = 0.0
        self.progress_at = now  # of the last acknowledgement, or when there was nothing to acknowledge
        self.pushed_at = self.pushed_since = 0.0  # the last and the first refusal of a row of them; 0: none
        self.problem = ""  # what the daemon has against this session's batches, for people

    @property
    def in_flight_bytes(self) -> int:
        return sum(len(sent.body.data) for sent in self.in_flight)

    @property
    def is_sending(self) -> bool:
        """Whether a batch is on its way that has not come back."""
        return any(sent.future is not None and not sent.future.done() for sent in self.in_flight)

    def stuck_s(self, now: float) -> float:
        """Return for how long the daemon has not taken what waits, or has been pushing back."""
        pushed = now - self.pushed_since if self.pushed_since else 0.0
        return max(pushed, now - self.progress_at)

    # --- one look ---------------------------------------------------------------------------------------------------

    def step(self, now: float, connection: Connection | None, *, room_bytes: int, done: Done) -> bool:
        """Do what can be done now; return whether anything was. `done` is called when a call comes back."""
        if not self.gone and self.reader.writer_is_gone():
            self.gone = True
            self.ends = None  # look once more, now that nothing can come any more
        if self.batcher is not None and not self.in_flight and self.ends is None:
            self.progress_at = now
        if connection is None or now < self.pause_until or self.drained or self.stage in ("closing", "closed"):
            return False
        if self.batcher is None:
            self._open(connection, done)
            return False
        if self._resend(now):
            return True
        return self._send_more(now, connection, room_bytes, done)

    def _open(self, connection: Connection, done: Done) -> None:
        if self.opening is None:
            request = capture_pb2.OpenSessionRequest(session_id=self.reader.session_id)
            self.opening = connection.call("OpenSession", request, timeout_s=OPEN_TIMEOUT_S, done=done)

    def _opened(self, now: float, future: grpc.Future) -> None:
        """Continue exactly behind the last batch that the daemon has."""
        self.opening = None
        try:
            reply = future.result()
            cursor = Cursor.unpack(reply.cursor)
        except (grpc.RpcError, grpc.FutureCancelledError, ValueError) as error:
            self._back_off(now, failure_of(error))
            return
        if reply.closed:
            self._found_closed()
            return
        self.reader.refresh()
        # A daemon that knows nothing of what another one acknowledged: go on where we are, and tell it again what
        # later items refer to.
        anew = not reply.known and not self.acked.at_beginning
        if anew:
            cursor = self.acked.copy()
        else:
            self._reread_definitions(cursor)
        self.durable = self.next_sequence = reply.next_sequence
        self.acked = cursor.copy()
        self.batcher = Batcher(self.reader, cursor)
        self.stage = "ending" if cursor.ended else ""
        if anew:
            _log.warning("the daemon does not know session %s: defining it again", self.reader.session_id.hex())
            self._define_again(cursor)
        self.answers.durable(self.durable)
        self.answers.release(self.acked)

    def _found_closed(self) -> None:
        _log.error("session %s was closed, and yet its spool is there: what waits in it cannot be delivered any more",
                   self.reader.session_id.hex())  # fmt: skip
        self.words[fmt.DRAINED] = 1
        self.drained, self.stage = True, "ending"

    def _define_again(self, cursor: Cursor) -> None:
        entries: list[bytes] = []
        for entry in self.definitions.all():
            if entries and sum(map(len, entries)) + len(entry) > MAX_JOURNAL_BYTES:
                self._enqueue(Body(*encode(entries, []), cursor.copy()))
                entries = []
            entries.append(entry)
        if entries:
            self._enqueue(Body(*encode(entries, []), cursor.copy()))

    def _reread_definitions(self, cursor: Cursor) -> None:
        """Note what was defined before the cursor and not acknowledged to us: in batches of an earlier sender, as far
        as their journal is still there, or in those whose acknowledgement was lost."""
        at = self.acked.journal
        while at < cursor.journal:
            part = self.reader.take_journal(at, MAX_JOURNAL_BYTES, stop=cursor.journal)
            for entry in part.entries:
                self.definitions.note(entry)
            if part.at == at:
                break
            at = part.at

    # --- sending ----------------------------------------------------------------------------------------------------

    def _send_more(self, now: float, connection: Connection, room_bytes: int, done: Done) -> bool:
        batches = 0
        while len(self.in_flight) < MAX_IN_FLIGHT and batches < TURN_BATCHES and room_bytes > 0:
            body = self._next_body(now)
            if body is None:
                break
            self._enqueue(body)
            room_bytes -= len(body.data)
            batches += 1
        for sent in self.in_flight:
            if sent.future is None:
                sent.future = self._append(sent, connection, done)
        return batches > 0

    def _next_body(self, now: float) -> Body | None:
        assert self.batcher is not None
        if self.stage == "last words":
            return self._last_words(self.batcher.cursor)
        if self.stage:
            return None
        if self.ends is None and not self._look(now):
            return self._losses(now, self.batcher.cursor)
        assert self.ends is not None
        body = self.batcher.next(self.ends, now)
        if self.batcher.complete:
            self.answers.promise(self.ends_request, self.next_sequence + (body.count if body else 0))
            self.answers.durable(self.durable)
            if self.ends.final:
                self.stage = "last words"
            self.ends = None
        if body is None:
            return self._next_body(now) if self.stage else self._losses(now, self.batcher.cursor)
        return body

    def _look(self, now: float) -> bool:
        """Take the writer's request first and its ends after; False when there is nothing worth sending yet."""
        assert self.batcher is not None
        request = self.answers.requested()
        ends = self.reader.ends(final=self.gone)
        if not self.gone:
            rows, entries, closes = self._waiting(ends)
            asked = self.answers.is_new(request)
            if not rows and not entries and not asked:
                self.linger_until = 0.0
                return False
            self.linger_until = self.linger_until or now + LINGER_S
            if rows < FULL_ENOUGH and not asked and not closes and now < self.linger_until:
                return False
        self.linger_until = 0.0
        self.ends, self.ends_request = ends, request
        return True

    def _waiting(self, ends: Ends) -> tuple[int, bool, bool]:
        """Return about how many rows were not read, and whether there are entries, and one that closes a scope."""
        assert self.batcher is not None
        cursor = self.batcher.cursor
        rows = len(cursor.holes) and len(self.reader.take_holes(cursor.holes, limit=MAX_ITEMS)[0])
        for group, end in ends.series.items():
            block, index = cursor.series.get(group, (0, 0))
            rows += end[1] - index if end[0] == block else FULL_ENOUGH
        journal = self.reader.take_journal(cursor.journal, 1 << 14)
        closes = any(len(entry) > 9 and entry[9] == SCOPE_CLOSED for entry in journal.entries)
        return rows, bool(journal.entries or journal.damaged or journal.too_large), closes or journal.more

    def _last_words(self, cursor: Cursor) -> Body | None:
        """What the sender itself has to say when the writer is gone: what was lost, and how the session ended."""
        entries = dropped_entries(self.words, cursor)
        lost = int(self.words[fmt.WRITER_STATE]) != fmt.ENDED and cursor.open_scopes > 0
        detail = f"process {self.reader.pid} vanished without ending its session" if lost else ""
        if cursor.began:
            entries.append(encode_entry("session_ended", time_ns(), {"lost": lost, "detail": detail}))
        cursor.ended = True
        self.stage = "ending"
        return Body(*encode(entries, []), cursor.copy()) if entries else None

    def _losses(self, now: float, cursor: Cursor) -> Body | None:
        """Say what was dropped since the last time, at most once a second; None when nothing was."""
        if now < self.losses_at or not (entries := dropped_entries(self.words, cursor)):
            return None
        self.losses_at = now + LOSSES_EVERY_S
        return Body(*encode(entries, []), cursor.copy())

    def _enqueue(self, body: Body) -> None:
        self.in_flight.append(Sent(body, self.next_sequence))
        self.next_sequence += body.count

    def _append(self, sent: Sent, connection: Connection, done: Done) -> grpc.Future:
        body = sent.body
        request = capture_pb2.AppendRequest(
            session_id=self.reader.session_id, first_sequence=sent.first, count=body.count,
            checksum=body.checksum, body=body.data, cursor=body.cursor.pack(),
        )  # fmt: skip
        return connection.call("Append", request, timeout_s=APPEND_TIMEOUT_S, done=done)

    # --- what came back ---------------------------------------------------------------------------------------------

    def collect(self, now: float) -> bool:
        """Take in finished calls; return whether anything moved."""
        if self.opening is not None and self.opening.done():
            self._opened(now, self.opening)
            return True
        moved = False
        while self.in_flight and (future := self.in_flight[0].future) is not None and future.done():
            sent = self.in_flight[0]
            try:
                reply = future.result()
            except (grpc.RpcError, grpc.FutureCancelledError) as error:
                sent.failed = failure_of(error)
                break
            self.in_flight.popleft()
            self.durable = max(self.durable, reply.next_sequence)
            self.acked = sent.body.cursor
            for entry in sent.body.defined:
                self.definitions.note(entry)
            moved = True
        if moved:
            self.backoff_s, self.problem, self.progress_at = FIRST_BACKOFF_S, "", now
            if now - self.pushed_at > 1.0:
                self.pushed_since = 0.0
            self.answers.durable(self.durable)
            self.answers.release(self.acked)
        return moved

    def _resend(self, now: float) -> bool:
        """Deal with a refused batch at the head of the line. Those behind it are called back: they come too early."""
        if not self.in_flight or (failure := self.in_flight[0].failed) is None:
            return False
        self._call_back()
        if failure.code in AGAIN:
            self.pushed_at, self.pushed_since = now, self.pushed_since or now
            if failure.code.startswith("storage"):
                self.backoff_s = FIRST_BACKOFF_S  # the daemon looks by itself: once there is room, go on at once
            self._back_off(now, failure)
            for sent in self.in_flight:
                sent.future, sent.failed = None, None
        else:
            self.restart(now, failure)
        return True

    def restart(self, now: float, failure: Failure | None = None) -> None:
        """Forget what is in flight and ask the daemon where the session stands."""
        self._call_back()
        self.in_flight.clear()
        self.batcher = self.opening = self.ends = None
        self.answers.forget()
        if not self.drained:
            self.stage = ""
        elif self.stage == "closing":
            self.stage = "ending"
        if failure is not None:
            self._back_off(now, failure)

    def _call_back(self) -> None:
        for sent in self.in_flight:
            if sent.future is not None:
                sent.future.cancel()

    def _back_off(self, now: float, failure: Failure) -> None:
        self.pause_until = now + max(failure.retry_after_s, self.backoff_s * failure.jitter())
        self.backoff_s = min(2 * self.backoff_s, LAST_BACKOFF_S)
        self.problem = failure.for_people()
        _log.debug("session %s pauses: %s", self.reader.session_id.hex(), failure)

    def report(self) -> capture_pb2.WorkerReport:
        """Return what `daemon status` shows of this worker."""
        words = self.words
        spilled = [path for *_, path in self.reader.passed() if path.parent != self.reader.home]
        dropped = dropped_by_reason(words, self.acked)
        waiting = max(0, int(words[fmt.CREATED_BYTES]) - int(words[fmt.RELEASED_BYTES]))
        return capture_pb2.WorkerReport(
            session_id=self.reader.session_id, pid=self.reader.pid, alive=not self.gone, captured=self.next_sequence,
            durable=self.durable, dropped=sum(dropped.values()), dropped_by_reason=dropped, spool_bytes=waiting,
            spilled_bytes=sum(path.stat().st_size for path in spilled if path.exists()),
            oldest_ns=self.in_flight[0].read_ns if self.in_flight else 0,
        )  # fmt: skip
