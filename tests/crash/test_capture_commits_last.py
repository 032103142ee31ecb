"""A process killed between any two stores of a capture call: what says that it is there is whole."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import pytest
from capturing import Capturing

from contexta_client.capture import journal as journal_module
from contexta_client.capture import rows as rows_module
from contexta_client.capture import spool_format as fmt


class Times:
    """Times of rows, by which they are committed: notes what a reader would see of each at that moment."""

    def __init__(self, times: Any, others: tuple[Any, ...], seen: list[tuple[Any, ...]]) -> None:
        self.times, self.others, self.seen = times, others, seen

    def __getitem__(self, index: int) -> int:
        return self.times[index]

    def __setitem__(self, index: int, time_ns: int) -> None:
        self.seen.append(tuple(column[index] for column in self.others))
        self.times[index] = time_ns


def test_a_row_is_whole_before_its_time_says_that_it_is_there(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[Any, ...]] = []
    real = rows_module._columns

    def watched(block: Any) -> Any:
        claim, capacity, values, series, steps, times = real(block)
        return claim, capacity, values, series, steps, Times(times, (values, series, steps), seen)

    monkeypatch.setattr(rows_module, "_columns", watched)
    with capturing.recorder().run("rows") as run:
        for step in range(1, 9):
            assert run.metric("loss", step / 4, step=step).ok
            assert run.metric("count", step, step=step).ok  # a whole number goes another way
    content = capturing.one()
    committed = [(value, step) for value, _, step in seen]
    assert committed == [(each.value, fmt.encode_step(each.step)) for each in content.metrics]
    assert len(seen) == 16 and all(series for _, series, _ in seen)


def test_an_entry_is_whole_before_its_length_says_that_it_is_there(
    capturing: Capturing, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole: list[bool] = []
    real = journal_module._commit_cell

    def commit(memory: memoryview, offset: int, head: int) -> None:
        check, length = divmod(head, 1 << 32)
        start = offset + fmt.FRAME_HEADER_BYTES
        whole.append(crc32(memory[start : start + length]) == check)
        real(memory, offset, head)

    monkeypatch.setattr(journal_module, "_commit_cell", commit)
    with capturing.recorder().run("entries") as run:
        for number in range(9):
            assert run.event("note", message="m" * number).ok
    assert len(capturing.one().of("event")) == 9
    assert len(whole) > 9 and all(whole)
