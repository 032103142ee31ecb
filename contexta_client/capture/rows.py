"""Single metrics: rows in mapped columns, each claimed by one atomic counter and committed by its time.

`Rows.block` is one tuple, so that a switch to the next block is one store: whoever has read it works on one block.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from sys import modules
from time import time_ns

from contexta.capture.results import SUCCESS, CaptureResult

from . import spool_format as fmt
from .spool import Block, Lock, Spool

LOOK_EVERY_NS = 1_000_000_000
CAPACITIES = (4096, 16384, 65536)  # rows of the first block, the second, and all that follow

# claim, capacity, values f64, series u64, steps i64, times i64
RowBlock = tuple[Callable[[], int], int, "memoryview[float]", memoryview, memoryview, memoryview]
_NO_MEMORY = memoryview(b"")
NO_ROOM: RowBlock = (count().__next__, 0, _NO_MEMORY.cast("d"), _NO_MEMORY, _NO_MEMORY, _NO_MEMORY)


class Rows:
    """The rows of one spool. Always: a slot below a block's capacity is claimed once, and committed or void or a hole.

    A hole is a slot whose call has not come back, or never will; the sender takes what lies behind it.
    """

    def __init__(self, spool: Spool, lock: Lock, look: Callable[[int], None]) -> None:
        self._spool = spool
        self._lock = lock
        self._look = look
        self._newest: Block | None = None
        self._made: Block | None = None  # ready to be published and switched to
        self.block: RowBlock = NO_ROOM
        self.check_at = 0  # wall clock, ns: the first call after it takes a look at the outside world

    def due(self, now: int) -> bool:
        """Whether to look at the outside world: also when the clock was set back, which the hot path does not ask."""
        return not self.check_at - LOOK_EVERY_NS <= now < self.check_at

    def look(self, now: int) -> CaptureResult:
        """Take the look that is due, on the back of a call that succeeded."""
        self._look(now)
        return SUCCESS

    def append(self, series: int, value: float, step: int) -> None:
        """Commit one row; step as encoded. Raises SpoolFullError or DiskFullError, and then nothing was written."""
        while True:
            block = self.block
            claim, capacity, values, all_series, steps, times = block
            index = -1
            try:
                index = claim()
                if index < capacity:
                    values[index] = value
                    all_series[index] = series
                    steps[index] = step
                    times[index] = now = time_ns()
                    break
            except BaseException:
                self.abandon(block, index)
                raise
            self.switch(block)
        if not self.check_at - LOOK_EVERY_NS <= now < self.check_at:  # due, without the call
            self._look(now)

    def abandon(self, block: RowBlock, index: int) -> None:
        """Void the slot of a call that an exception ended, unless it was committed already.

        index: -1 when the exception may have come between the claim and its being noted. Then the slot can only be
        found when no other thread is capturing; otherwise it stays a hole.
        """
        claim, capacity, _, _, _, times = block
        if index < 0 and _only_thread():
            index = min(claimed(claim), capacity) - 1
        if 0 <= index < capacity and times[index] == 0:
            times[index] = fmt.VOID_TIME
            with self._lock:
                self._spool.words[fmt.VOIDED_METRICS] += 1

    def switch(self, seen: RowBlock) -> None:
        """Go on to the next block, unless that has happened. Raises SpoolFullError or DiskFullError.

        A signal handler may come in anywhere: it finds the made block, and goes on from there.
        """
        with self._lock:
            if self.block is not seen:
                return
            made = self._made
            if made is None:
                number = 0 if self._newest is None else self._newest.number + 1
                capacity = CAPACITIES[min(number, len(CAPACITIES) - 1)]
                while capacity > 64 and fmt.rows_block_bytes(capacity) > self._spool.block_limit:
                    capacity //= 2
                header = fmt.BlockHeader(kind=fmt.ROWS, group=0, values=0, number=number, capacity=capacity)
                made = self._spool.make_block(header)
                if self.block is not seen or self._made is not None:
                    self._spool.discard(made, header)
                    return
                self._made = made
            made.publish()
            columns = _columns(made)
            if self.block is seen:  # no bytecode between this test and the stores runs a signal handler
                self.block, self._newest, self._made = columns, made, None

    def release(self) -> None:
        """Let go of the memory; nothing is captured any more."""
        self.block, self._newest, self._made = NO_ROOM, None, None


def claimed(claim: Callable[[], int]) -> int:
    """Return how many slots a counter gave out, without taking one."""
    counter = repr(claim.__self__)  # type: ignore[attr-defined]  # count(7): since Python 3.14 the only way to see it
    return int(counter[counter.index("(") + 1 : -1])


def _columns(block: Block) -> RowBlock:
    rows, memory = block.capacity, block.memory
    values, series, steps, times = (memory[at * rows * 8 : (at + 1) * rows * 8] for at in range(4))
    return count().__next__, rows, values.cast("d"), series.cast("Q"), steps.cast("q"), times.cast("q")


def _only_thread() -> bool:
    threading = modules.get("threading")
    return threading is None or threading.active_count() == 1
