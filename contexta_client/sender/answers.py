"""What the sender tells a spool's writer through the words of its header: what became durable, settled, and free."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass

from contexta_client.capture import spool_format as fmt

from .blocks import Words
from .cursor import Cursor
from .follow import SpoolReader


@dataclass(frozen=True, slots=True)
class Request:
    """The writer's counters of flush() calls and of waits for settling."""

    flush: int
    settle: int


class Answers:
    """Always: a request is answered only when all that was committed before it was made is durable."""

    def __init__(self, reader: SpoolReader) -> None:
        self._reader = reader
        self._words: Words = reader.words
        self._marks: deque[tuple[int, Request]] = deque()  # sequence to be durable before the request is answered
        self.settling: int | None = None  # what was asked is durable, and shall be settled

    def requested(self) -> Request:
        """Return what the writer asks for now. To be read before looking for what it has committed."""
        return Request(int(self._words[fmt.FLUSH_REQUESTED]), int(self._words[fmt.SETTLE_REQUESTED]))

    def is_new(self, request: Request) -> bool:
        """Whether the writer asks for more than what was asked before."""
        flush, settle = int(self._words[fmt.FLUSH_DONE]), int(self._words[fmt.SETTLE_DONE])
        if self._marks:
            last = self._marks[-1][1]
            flush, settle = max(flush, last.flush), max(settle, last.settle)
        return request.flush > flush or request.settle > max(settle, self.settling or 0)

    def promise(self, request: Request, sequence: int) -> None:
        """Answer a request as soon as everything before `sequence` is durable."""
        if self.is_new(request):
            self._marks.append((sequence, request))

    def durable(self, sequence: int) -> None:
        """Everything before `sequence` is durable."""
        self._words[fmt.DURABLE_ITEMS] = sequence
        while self._marks and self._marks[0][0] <= sequence:
            _, request = self._marks.popleft()
            self._words[fmt.FLUSH_DONE] = max(int(self._words[fmt.FLUSH_DONE]), request.flush)
            if request.settle > int(self._words[fmt.SETTLE_DONE]):
                self.settling = max(self.settling or 0, request.settle)

    def settled(self, request: int) -> None:
        """What was asked for up to this SETTLE_REQUESTED is settled."""
        self._words[fmt.SETTLE_DONE] = max(int(self._words[fmt.SETTLE_DONE]), request)
        if self.settling is not None and self.settling <= request:
            self.settling = None

    def forget(self) -> None:
        """The reading begins anew, and so do its promises."""
        self._marks.clear()
        self.settling = None

    def release(self, acked: Cursor) -> None:
        """Delete blocks that are passed and durable, and say how much room that made."""
        held = {(group, number) for group, number, _ in acked.holes}
        places = [(fmt.JOURNAL, 0, acked.journal[0])]
        places += [(fmt.GROUP if group else fmt.ROWS, group, at[0]) for group, at in acked.series.items()]
        for kind, group, current in places:
            for number in sorted(self._reader.numbers(kind, group)):
                if number < current and (kind == fmt.JOURNAL or (group, number) not in held):
                    self._words[fmt.RELEASED_BYTES] += self._reader.delete(kind, group, number)

    def recount(self) -> None:
        """Set right how much room is free, in case a sender was killed between deleting a block and saying so.

        Only while the writer is not making a block: whichever it counts first, it would be counted wrongly.
        """
        created = int(self._words[fmt.CREATED_BYTES])
        try:
            with os.scandir(self._reader.home) as entries:
                found = [(entry.name, entry.stat().st_size) for entry in entries]
        except OSError:
            return
        if any(name.startswith(".") for name, _ in found) or int(self._words[fmt.CREATED_BYTES]) != created:
            return
        there = sum(size for name, size in found if fmt.parse_block_name(name) is not None)
        self._words[fmt.RELEASED_BYTES] = max(0, created - there)
