"""One session's delivery: reads its spool in batches, keeps several in flight, answers the writer by the header.

A state machine without clocks or sockets of its own: `Service` gives it the time, the connection and finished calls.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from time import time_ns
from typing import Any

import grpc

from contexta.v1 import capture_pb2
from contexta_client.capture import spool_format as fmt
from contexta_client.capture.entry_encoding import encode_entry

from .batches import Batcher, Body, Definitions, encode
from .channel import Connection, error_detail
from .cursor import REASONS, Cursor
from .follow import Ends, SpoolReader

_log = logging.getLogger("contexta.sender")

MAX_IN_FLIGHT = 8
APPEND_TIMEOUT_S = 30.0
SETTLE_TIMEOUT_S = 20.0
FIRST_BACKOFF_S, LAST_BACKOFF_S = 0.05, 2.0
LINGER_S = 0.2
LOSSES_EVERY_S = 1.0
FULL_ENOUGH = 8_192  # rows that are worth a batch at once


@dataclass(slots=True)
class Sent:
    """A batch on its way. `failed` is set when it came back refused."""

    body: Body
    first: int
    future: grpc.Future | None = None
    acknowledged: bool = False
    failed: Exception | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """When everything before `sequence` is durable, these requests of the writer are answered."""

    sequence: int
    flush: int
    settle: int


class Session:
    """Always: in flight is a line of batches without gap from `acked` on; the spool keeps what is not acknowledged."""

    def __init__(self, reader: SpoolReader) -> None:
        self.reader = reader
        self.words = reader.words
        self.batcher: Batcher | None = None  # None: the daemon was not asked yet where the session stands
        self.opening: grpc.Future | None = None
        self.in_flight: deque[Sent] = deque()
        self.next_sequence = 0  # of the next batch to send
        self.durable = 0
        self.acked = Cursor()
        self.marks: deque[Mark] = deque()
        self.settling: int | None = None
        self.ends: Ends | None = None
        self.ends_mark = (0, 0)
        self.pause_until = 0.0
        self.backoff_s = FIRST_BACKOFF_S
        self.linger_until = 0.0
        self.gone = False
        self.drained = int(self.words[fmt.DRAINED]) == 1  # by an earlier sender: only closing it is left
        self.final = "ending" if self.drained else ""  # "", ending, closing, closed
        self.definitions = Definitions()
        self.pushed_back = False
        self.trouble = ""  # what the daemon says it cannot do
        self.losses_at = 0.0

    @property
    def in_flight_bytes(self) -> int:
        return sum(len(sent.body.data) for sent in self.in_flight)

    # --- one look ---------------------------------------------------------------------------------------------------

    def step(self, now: float, connection: Connection | None, *, room_bytes: int, done: Any) -> bool:
        """Do what can be done now; return whether anything was. `done` is called when a call comes back."""
        if self.final == "closed":
            return False
        if not self.gone and self.reader.writer_is_gone():
            self.gone = True
            self.ends = None  # look once more, now that nothing can come any more
        if connection is None or now < self.pause_until or self.drained:
            return False
        if self.batcher is None:
            self._open(connection, done)
            return False
        if self._resend(now, connection, done):
            return True
        return self._send_more(now, connection, room_bytes, done)

    def _open(self, connection: Connection, done: Any) -> None:
        if self.opening is None:
            request = capture_pb2.OpenSessionRequest(session_id=self.reader.session_id)
            self.opening = connection.call("OpenSession", request, timeout_s=10, done=done)

    def opened(self, now: float) -> None:
        """Continue exactly behind the last batch that the daemon has."""
        future, self.opening = self.opening, None
        assert future is not None
        try:
            reply = future.result()
            cursor = Cursor.unpack(reply.cursor)
        except (grpc.RpcError, grpc.FutureCancelledError, ValueError) as error:
            self._back_off(now, error)
            return
        self.reader.refresh()
        self.in_flight.clear()
        lost = not reply.known and self.acked.journal != (0, 0)
        if lost:  # a fresh daemon: go on where we are, and tell it again what later items refer to
            cursor = self.acked.copy()
        elif self.batcher is None and not self.definitions.session:
            self._reread_definitions(cursor)
        self.durable = self.next_sequence = reply.next_sequence
        self.acked = cursor.copy()
        self.batcher = Batcher(self.reader, cursor, self.definitions)
        self.marks.clear()
        self.ends = None
        self.backoff_s = FIRST_BACKOFF_S
        if cursor.ended:
            self.final = "ending"
        if lost and (entries := self.definitions.all()):
            data, count = encode(entries, [])
            self._enqueue(Body(data, count, cursor.copy()))
        self._release()

    def _reread_definitions(self, cursor: Cursor) -> None:
        """After a restart: what was defined before the cursor, as far as its journal is still there."""
        numbers = self.reader.numbers(fmt.JOURNAL)
        at = (min(numbers), 0) if numbers else (0, 0)
        while at < cursor.journal:
            entries, following, _ = self.reader.take_journal(at, 1 << 20)
            for entry in entries:
                self.definitions.note(entry)
            if following == at or not entries:
                break
            at = following

    # --- sending ----------------------------------------------------------------------------------------------------

    def _send_more(self, now: float, connection: Connection, room_bytes: int, done: Any) -> bool:
        sent = False
        assert self.batcher is not None
        while len(self.in_flight) < MAX_IN_FLIGHT and room_bytes > 0 and not self.final:
            if self.ends is None and not self._look(now):
                break
            assert self.ends is not None
            body = self.batcher.next(self.ends)
            if body is None:
                self._finish_look()
                body = self._last_words() if self.gone else self._losses(now)
                if body is None:
                    break
            self._enqueue(body)
            room_bytes -= len(body.data)
            sent = True
        for each in self.in_flight:
            if each.future is None and not each.acknowledged:
                self._append(each, connection, done)
        return sent

    def _look(self, now: float) -> bool:
        """Take the writer's marks first and its ends after; False when there is nothing worth sending yet."""
        mark = int(self.words[fmt.FLUSH_REQUESTED]), int(self.words[fmt.SETTLE_REQUESTED])
        answered = int(self.words[fmt.FLUSH_DONE]), int(self.words[fmt.SETTLE_DONE])
        ends = self.reader.ends()
        waiting = self._waiting(ends)
        asked = mark[0] > answered[0] or mark[1] > answered[1]
        if not (asked or self.gone):
            if not waiting:
                self.linger_until = 0.0
                return False
            if not self.linger_until:
                self.linger_until = now + LINGER_S
            if waiting < FULL_ENOUGH and now < self.linger_until:
                return False
        elif asked and self.marks and (self.marks[-1].flush, self.marks[-1].settle) == mark and not waiting:
            return False
        self.linger_until = 0.0
        self.ends, self.ends_mark = ends, mark
        return True

    def _waiting(self, ends: Ends) -> int:
        """About how many rows and entries are there that were not read; what matters is none, few or many."""
        assert self.batcher is not None
        cursor = self.batcher.cursor
        waiting = 0
        for group, end in ends.series.items():
            block, index = cursor.series.get(group, (0, 0))
            waiting += end[1] - index if end[0] == block else FULL_ENOUGH
        if waiting == 0 and self.batcher.journal_waits():
            waiting = 1
        return waiting

    def _finish_look(self) -> None:
        self.ends = None
        self.marks.append(Mark(self.next_sequence, *self.ends_mark))
        self.answer_marks()

    def _last_words(self) -> Body | None:
        """What the sender itself has to say when the writer is gone: what was lost, and how the session ended."""
        assert self.batcher is not None
        cursor = self.batcher.cursor
        torn = sum(self._hole_width(group) for group, _, _ in cursor.holes)
        cursor.holes = ()
        entries = self.dropped_entries(torn)
        lost = int(self.words[fmt.WRITER_STATE]) != fmt.ENDED and self.definitions.own_open_scopes > 0
        detail = "the process vanished without ending its session" if lost else ""
        if self.definitions.session:
            entries.append(encode_entry("session_ended", time_ns(), {"lost": lost, "detail": detail}))
        cursor.ended = True
        self.final = "ending"
        if not entries:
            return None
        data, count = encode(entries, [])
        return Body(data, count, cursor.copy())

    def _losses(self, now: float) -> Body | None:
        """Say what was dropped since the last time, at most once a second; None when nothing was."""
        if now < self.losses_at or self.batcher is None or not (entries := self.dropped_entries()):
            return None
        self.losses_at = now + LOSSES_EVERY_S
        data, count = encode(entries, [])
        return Body(data, count, self.batcher.cursor.copy())

    def _hole_width(self, group: int) -> int:
        assert self.batcher is not None
        return self.batcher.width(group)

    def dropped_entries(self, torn: int = 0) -> list[bytes]:
        """Return Dropped entries for totals that grew since they were last said; the cursor remembers them."""
        assert self.batcher is not None
        words, cursor = self.words, self.batcher.cursor
        now = (
            int(words[fmt.DROPPED_METRICS]), int(words[fmt.DROPPED_ENTRIES]),
            int(words[fmt.DROPPED_DISK_METRICS]), int(words[fmt.DROPPED_DISK_ENTRIES]),
            0, int(words[fmt.DROPPED_LARGE_ENTRIES]),
            cursor.totals[6] + torn, 0,
            0, cursor.totals[9] + self.batcher.take_damaged(),
        )  # fmt: skip
        entries = []
        for place, reason in enumerate(REASONS):
            metrics, count = now[2 * place : 2 * place + 2]
            if (metrics, count) != cursor.totals[2 * place : 2 * place + 2]:
                fields = {"reason": reason, "metrics_total": metrics, "entries_total": count}
                entries.append(encode_entry("dropped", time_ns(), fields))
        cursor.totals = now
        return entries

    def _enqueue(self, body: Body) -> None:
        self.in_flight.append(Sent(body, self.next_sequence))
        self.next_sequence += body.count

    def _append(self, sent: Sent, connection: Connection, done: Any) -> None:
        body = sent.body
        request = capture_pb2.AppendRequest(
            session_id=self.reader.session_id, first_sequence=sent.first, count=body.count,
            checksum=body.checksum, body=body.data, cursor=body.cursor.pack(),
        )  # fmt: skip
        sent.future = connection.call("Append", request, timeout_s=APPEND_TIMEOUT_S, done=done)

    # --- what came back ---------------------------------------------------------------------------------------------

    def collect(self, now: float) -> bool:
        """Take in finished calls; return whether anything moved."""
        if self.opening is not None and self.opening.done():
            self.opened(now)
            return True
        moved = False
        while self.in_flight and (future := self.in_flight[0].future) is not None and future.done():
            sent = self.in_flight[0]
            try:
                reply = future.result()
            except (grpc.RpcError, grpc.FutureCancelledError) as error:
                sent.failed = error
                break
            self.in_flight.popleft()
            self.durable = max(self.durable, reply.next_sequence)
            self.acked = sent.body.cursor
            self.backoff_s = FIRST_BACKOFF_S
            self.pushed_back = False
            self.trouble = ""
            moved = True
        if moved:
            self.words[fmt.DURABLE_ITEMS] = self.durable
            self.answer_marks()
            self._release()
        return moved

    def _resend(self, now: float, connection: Connection, done: Any) -> bool:
        """Deal with a refused batch at the head of the line, once all behind it came back too."""
        if not self.in_flight or self.in_flight[0].failed is None:
            return False
        if any(sent.future is not None and not sent.future.done() for sent in self.in_flight):
            return True
        error = self.in_flight[0].failed
        detail = error_detail(error) if isinstance(error, grpc.RpcError) else None
        code = detail.code if detail else ""
        if detail is not None and code in ("admission_full", "storage_full", "storage_failed"):
            self.pushed_back = True
            if code != "admission_full":
                self.trouble = detail.message
                self.backoff_s = FIRST_BACKOFF_S  # the daemon looks by itself: once there is room, go on at once
            self._back_off(now, error, at_least_s=detail.retry_after_ms / 1000)
            for sent in self.in_flight:  # the same bodies again
                sent.future, sent.failed = None, None
        else:
            self.restart(now, error)
        return True

    def restart(self, now: float, error: Exception | None = None) -> None:
        """Forget what is in flight and ask the daemon where the session stands."""
        for sent in self.in_flight:
            if sent.future is not None:
                sent.future.cancel()
        self.in_flight.clear()
        self.batcher = None
        self.ends = None
        self.settling = None
        if not self.drained:
            self.final = ""
        if error is not None:
            self._back_off(now, error)

    def _back_off(self, now: float, error: Exception, at_least_s: float = 0.0) -> None:
        self.pause_until = now + max(at_least_s, self.backoff_s)
        self.backoff_s = min(2 * self.backoff_s, LAST_BACKOFF_S)
        _log.debug("session %s pauses: %s", self.reader.session_id.hex(), error)

    def answer_marks(self) -> None:
        """Tell the writer what became durable."""
        while self.marks and self.marks[0].sequence <= self.durable:
            mark = self.marks.popleft()
            self.words[fmt.FLUSH_DONE] = max(int(self.words[fmt.FLUSH_DONE]), mark.flush)
            if mark.settle > int(self.words[fmt.SETTLE_DONE]):
                self.settling = max(self.settling or 0, mark.settle)

    def _release(self) -> None:
        """Delete blocks that are passed and durable, and say how much room that made."""
        held = {(group, number) for group, number, _ in self.acked.holes}
        released = 0
        positions = [(fmt.JOURNAL, 0, self.acked.journal[0])]
        positions += [(fmt.GROUP if g else fmt.ROWS, g, at[0]) for g, at in self.acked.series.items()]
        for kind, group, current in positions:
            for number, path in list(self.reader.numbers(kind, group).items()):
                if number < current and (kind == fmt.JOURNAL or (group, number) not in held):
                    released += self.reader.delete(kind, group, number, path)
        if released:
            self.words[fmt.RELEASED_BYTES] += released

    def report(self, session_id: bytes) -> capture_pb2.WorkerReport:
        """Return what `daemon status` shows of this worker."""
        words = self.words
        dropped = sum(int(words[word]) for word in range(fmt.DROPPED_METRICS, fmt.DROPPED_LARGE_ENTRIES + 1))
        waiting = max(0, int(words[fmt.CREATED_BYTES]) - int(words[fmt.RELEASED_BYTES]))
        spilled = sum(path.stat().st_size for *_, path in self.reader.passed() if path.parent != self.reader.home)
        return capture_pb2.WorkerReport(
            session_id=session_id, pid=self.reader.pid, alive=not self.gone, captured=self.next_sequence,
            durable=self.durable, dropped=dropped, spool_bytes=waiting, spilled_bytes=spilled,
        )  # fmt: skip
