"""What was captured is in the spool, once, in order, at every moment: whoever is killed, the writer or the sender."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from capturing import Capturing
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from spool_model import Item, Reading, Sender, snapshot, what_is_left

from contexta_client.capture import groups, journal, rows
from contexta_client.sender import batches
from contexta_client.sender.cursor import Cursor

STEPS = st.none() | st.integers(-5, 1 << 40)
WHAT = ["metrics"] * 3 + ["rows"] * 2 + ["wide", "event", "read", "read", "ack", "kill sender", "kill writer"]


class SpoolMachine(RuleBasedStateMachine):
    """Blocks and batches are small, so that each is left soon."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="spool-"))
        self.patches = ExitStack()
        self.patches.enter_context(small_blocks(self.folder))
        self.capturing = Capturing(self.folder)
        self.run = self.capturing.recorder().run("r")
        (header,) = self.capturing.spools.rglob("header")
        self.path = header.parent
        self.sender = Sender(self.path, Cursor(), Reading())
        self.captured: dict[str, list[Item]] = {}
        self.count = self.copies = 0

    def teardown(self) -> None:
        try:
            self._kill_writer()
        finally:
            self.sender.close()
            self.capturing.close()
            self.patches.close()
            shutil.rmtree(self.folder)

    # One rule, since hypothesis leaves rules out at random.
    @rule(what=st.sampled_from(WHAT), count=st.integers(1, 9), step=STEPS, width=st.integers(2, 4))
    def go_on(self, what: str, count: int, step: int | None, width: int) -> None:
        if what == "metrics":
            for _ in range(count):
                assert self.run.metric("m", self._note("m", step), step=step).ok
        elif what == "rows":
            for _ in range(count):
                row = {f"k{place}of{width}": self._note(f"k{place}of{width}", step) for place in range(width)}
                assert self.run.log(row, step=step).ok
        elif what == "wide":
            number = (1 << 53) + 1 + 2 * self._number()
            self._expect("w", str(number), step)
            assert self.run.metric("w", number, step=step).ok
        elif what == "event":
            self._expect("e", f"message {self._number()}" + "x" * 10 * count, None)
            assert self.run.event("e", message=self.captured["e"][-1][1]).ok
        elif what == "read":
            self.sender.read()
        elif what == "ack":
            self.sender.acknowledge(count)
        elif what == "kill sender":
            self.sender.close()
            self.sender = Sender(self.path, self.sender.acked, self.sender.durable)
        else:
            self._kill_writer()

    def _kill_writer(self) -> None:
        """Look at what would be left of it."""
        self.copies += 1
        copied = snapshot(self.path, self.folder / f"copy{self.copies}")
        items, cursor = what_is_left(copied, self.sender.acked, self.sender.durable)
        assert (cursor.torn, cursor.unreadable) == (0, 0)
        assert len(items) == sum(map(len, self.captured.values()))
        for key, wanted in self.captured.items():
            found = [item for item in items if item[0] == key]
            # The first rows of a set of keys go as single metrics, so that two series hold the key.
            assert sorted(found, key=repr) == sorted(wanted, key=repr) if key[0] == "k" else found == wanted

    def _note(self, key: str, step: int | None) -> float:
        value = self._number() + 0.5
        self._expect(key, value, step)
        return value

    def _expect(self, key: str, value: float | str, step: int | None) -> None:
        self.captured.setdefault(key, []).append((key, value, step))

    def _number(self) -> int:
        self.count += 1
        return self.count


def small_blocks(folder: Path, *, times: int = 1) -> Any:
    stack = ExitStack()
    for module, name, value in (
        (rows, "CAPACITIES", (4 * times, 8 * times)), (groups, "FIRST_BYTES", 200),
        (groups, "LATER_BYTES", 300 * times), (journal, "FIRST_BYTES", 1024), (journal, "LATER_BYTES", 1024 * times),
        (batches, "MAX_ITEMS", 16 * times), (batches, "MAX_JOURNAL_BYTES", 512 * times),
    ):  # fmt: skip
        stack.enter_context(mock.patch.object(module, name, value))
    environment = {"CONTEXTA_SPOOL_DIR": str(folder / "spools")}
    stack.enter_context(mock.patch.dict(os.environ, environment))
    os.environ.pop("CONTEXTA_PARENT_SESSION", None)
    return stack


TestSpool = SpoolMachine.TestCase
TestSpool.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)

LOOKS, MOST = 20, 3_000
# A thread for each way into the spool, which does nothing else, so that most looks come while it is on its way.
WAYS: dict[str, Callable[[Any, int], Any]] = {
    "metric": lambda run, number: run.metric("metric", float(number)),
    "row": lambda run, number: run.log({"row": float(number), "other": 0.5}, step=number),
    "event": lambda run, number: run.event("event", message=str(number)),
}


@pytest.fixture
def quickly_switching():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def test_killed_while_threads_capture_all_that_came_back_is_there(tmp_path: Path, quickly_switching: None) -> None:
    with small_blocks(tmp_path, times=256):
        capturing = Capturing(tmp_path)
        run = capturing.recorder().run("r")
        for _ in range(2):  # the first of a set of keys goes as single metrics
            run.log({"row": 0.0, "other": 0.5}, step=0)
        (header,) = capturing.spools.rglob("header")
        done, enough = dict.fromkeys(WAYS, 0), threading.Event()

        def capture(way: str) -> None:
            into = WAYS[way]
            for number in range(1, MOST + 1):
                assert into(run, number).ok
                done[way] = number
                if enough.is_set():
                    return

        threads = [threading.Thread(target=capture, args=(way,)) for way in WAYS]
        for each in threads:
            each.start()
        copies = []
        for look in range(LOOKS):
            before = dict(done)
            copied = snapshot(header.parent, tmp_path / f"copy{look}")
            copies.append((copied, before, {way: number + 1 for way, number in done.items()}))
        enough.set()
        for each in threads:
            each.join()
        for copied, before, after in copies:
            check_copy(copied, before, after)
        check_copy(snapshot(header.parent, tmp_path / "last"), done, done)
        capturing.close()


def check_copy(copied: Path, before: dict[str, int], after: dict[str, int]) -> None:
    """Of each thread, the first so many: at least what came back before the copy, at most what was begun by its end."""
    items, cursor = what_is_left(copied, Cursor(), Reading())
    assert cursor.unreadable == 0 and cursor.torn <= 3  # a metric and a row were on their way
    for way in WAYS:
        found = [int(value) for key, value, step in items if key == way and step != 0]
        assert found == list(range(1, len(found) + 1))
        assert before[way] <= len(found) <= after[way]
    rows_found = [(value, step) for key, value, step in items if key == "row" and step]
    assert rows_found == [(float(number), number) for number in range(1, len(rows_found) + 1)]
    assert [value for key, value, _ in items if key == "other"] == [0.5] * (len(rows_found) + 2)


def test_killed_at_any_bytecode_of_a_call_a_record_is_there_or_not_at_all(tmp_path: Path) -> None:
    """Every state of the spool's memory that any bytecode of the capture leaves behind, with blocks being left too."""
    with small_blocks(tmp_path):
        capturing = Capturing(tmp_path)
        run = capturing.recorder().run("r")
        for _ in range(2):
            run.log({"row": 0.0, "other": 0.5}, step=0)
        (header,) = capturing.spools.rglob("header")
        done, states = dict.fromkeys(WAYS, 0), []

        def look() -> None:
            contents = {path.name: path.read_bytes() for path in blocks_of(header.parent)}
            if not states or states[-1][0] != contents:
                states.append((contents, dict(done)))

        for number in range(1, 10):
            for way, into in WAYS.items():
                with each_bytecode(look):
                    assert into(run, number).ok
                done[way] = number
                look()
        capturing.close()
    # A metric is three stores, a row one, an event two; and blocks come and are left.
    assert len(states) > 9 * (3 + 1 + 2)
    for place, (contents, before) in enumerate(states):
        copied = tmp_path / str(place) / header.parent.name
        copied.mkdir(parents=True)
        for name, content in contents.items():
            (copied / name).write_bytes(content)
        check_copy(copied, before, {way: number + 1 for way, number in before.items()})


def blocks_of(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.name[0] != "." and path.name != "lock"]


@contextmanager
def each_bytecode(look: Callable[[], None]) -> Iterator[None]:
    """Call `look` before every bytecode of the capture's own code."""

    def trace(frame: Any, event: str, _: object) -> Any:
        if "contexta_client" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            look()
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(None)
