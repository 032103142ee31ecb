"""The log against a model: appends, syncs, seals, errors, crashes and power losses at any call, one damaged byte."""

from __future__ import annotations

import errno
import random
import shutil
import tempfile
from pathlib import Path

from breakable_files import BreakableFiles, Crash
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from log_writing import ALL, BEGINNING, body_of, make_batch, session

from contexta_daemon.log import Log, LogIOError

SESSIONS = st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True)
SIZES = st.sampled_from([0, 1, 40, 300, 2000])
NOW_NS = 2_000_000


class LogMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="log-"))
        self.sent: dict[tuple[bytes, int], set[bytes]] = {}
        self.acknowledged: dict[tuple[bytes, int], bytes] = {}
        self.unsynced: set[tuple[bytes, int]] = set()  # acknowledged, and gone with the power
        self.at_risk: set[tuple[bytes, int]] = set()
        self.last_written: set[tuple[bytes, int]] = set()  # no later frame or footer tells that they were synced
        self.ended = True  # what is in the last segment was synced, as a next frame will tell
        self.fresh = True  # nothing was appended by this process
        self.closed: set[bytes] = set()
        self.damages = 0
        self.files = BreakableFiles()
        self._open()

    def teardown(self) -> None:
        self.files.release()
        shutil.rmtree(self.folder)

    def _open(self) -> None:
        self.log = Log(self.folder / "log", files=self.files, segment_bytes=1500, clock_ns=lambda: NOW_NS)

    @rule(numbers=SESSIONS, size=SIZES, sync=st.booleans())
    def append(self, numbers: list[int], size: int, sync: bool) -> None:
        self._append(numbers, size, sync)

    @rule(
        numbers=SESSIONS, size=SIZES, after=st.integers(0, 8), how=st.sampled_from([errno.EIO, errno.ENOSPC, "short"])
    )
    def append_with_an_error(self, numbers: list[int], size: int, after: int, how: int | str) -> None:
        self.files.break_at, self.files.how = len(self.files.calls) + after, how
        try:
            self._append(numbers, size, True)
        except LogIOError:
            # If it was the sync, what was not synced before is in a file that is not synced again.
            self.at_risk |= self.unsynced
            self._append(numbers, size, True)
        self.files.break_at = -1

    @rule(numbers=SESSIONS, size=SIZES, after=st.integers(0, 12), power=st.booleans(), seed=st.integers(0, 99))
    def append_and_crash(self, numbers: list[int], size: int, after: int, power: bool, seed: int) -> None:
        self.files.break_at, self.files.how = len(self.files.calls) + after, "crash"
        try:
            self._append(numbers, size, True)
            self.log.close()
            self._open()
        except Crash:
            pass
        if power:
            self.files.lose_power(random.Random(seed))
            for key in self.unsynced | self.at_risk:
                self.acknowledged.pop(key, None)
        self.unsynced.clear()
        self._begin_anew()

    @rule()
    def sync(self) -> None:
        try:
            self.log.sync()
        except LogIOError:
            assert self.at_risk  # it is told once that these will never be synced; what came later waits for the next
            return
        self.unsynced.clear()
        self.ended = True

    @rule()
    def end_in_order_and_open(self) -> None:
        self._close()
        self.unsynced.clear()
        self._begin_anew()

    @rule(number=st.integers(1, 4))
    def close_session(self, number: int) -> None:
        self.log.append([], closing=[session(number)])
        self.unsynced.clear()
        self.closed.add(session(number))

    @rule(where=st.floats(0, 0.9999), bit=st.integers(0, 7))
    def one_bit_flips_while_it_is_closed(self, where: float, bit: int) -> None:
        if self.damages:
            return
        self._close()
        segments = sorted((self.folder / "log").glob("*.seg"))
        data = [bytearray(path.read_bytes()) for path in segments]
        at = int(where * sum(map(len, data)))
        for path, content in zip(segments, data, strict=True):
            if at < len(content):
                content[at] ^= 1 << bit
                path.write_bytes(content)
                self.damages = 1
                break
            at -= len(content)
        self.unsynced.clear()
        self._begin_anew()

    @invariant()
    def what_was_acknowledged_is_there(self) -> None:
        found = {}
        for batch in self.log.read(BEGINNING, limit_bytes=ALL):
            key = (batch.envelope.session_id, batch.envelope.first_sequence)
            assert key not in found
            assert batch.body in self.sent[key]
            found[key] = batch.body
        wrong = [key for key, body in self.acknowledged.items() if found.get(key) != body]
        # Damage in what was written last before a kill cannot be told from a torn write: all behind it goes too.
        assert len(wrong) <= self.damages or (self.damages and set(wrong) <= self.last_written)
        for key in wrong:  # the one damaged frame: from here on it is known to be lost
            del self.acknowledged[key]
            self.damages = 0
        if not self.damages:
            for session_id in self.closed:
                assert (state := self.log.sessions.get(session_id)) is not None and state.closed

    def _append(self, numbers: list[int], size: int, sync: bool) -> None:
        batches, keys = [], []
        for number in numbers:
            session_id = session(number)
            state = self.log.sessions.get(session_id)
            if state is not None and state.closed:
                continue
            first = state.next_sequence if state else 0
            batches.append(make_batch(session_id, first, size=size))
            keys.append((session_id, first))
            self.sent.setdefault((session_id, first), set()).add(body_of(session_id, first, size))
        if self.ended:
            self.last_written.clear()
        self.last_written |= set(keys)
        self.ended = self.fresh = False
        self.log.append(batches, sync=sync)
        self.ended = sync
        for session_id, first in keys:
            self.acknowledged[session_id, first] = body_of(session_id, first, size)
        self.unsynced = set() if sync else self.unsynced | set(keys)

    def _close(self) -> None:
        self.log.close()
        if not self.fresh:
            self.last_written.clear()  # there is a footer

    def _begin_anew(self) -> None:
        self.ended = self.fresh = True  # the next append goes to a segment of its own
        self.files.release()
        self.files = BreakableFiles(before=self.files)
        self._open()


TestLog = LogMachine.TestCase
TestLog.settings = settings(max_examples=120, stateful_step_count=25, deadline=None)
