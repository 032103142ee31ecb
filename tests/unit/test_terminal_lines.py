"""Log lines for a terminal: in order, and never in the way of who logs them. And which lines are logged."""

from __future__ import annotations

import logging
import os

import pytest

from contexta._log_lines import log_level
from contexta_daemon.terminal_lines import WAITING_LINES, TerminalLines


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("contexta", logging.INFO, __file__, 1, message, arguments, None)


def test_lines_come_in_their_order_and_all_before_it_is_closed() -> None:
    reading, writing = os.pipe()
    lines = TerminalLines(writing)
    for number in range(100):
        lines.handle(record("line %d, %s", number, "é\udcff"))
    lines.close()
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        assert told.read().decode() == "".join(f"line {number}, é?\n" for number in range(100))


def test_who_logs_does_not_wait_for_a_reader_that_never_comes() -> None:
    reading, writing = os.pipe()
    lines = TerminalLines(writing)
    for number in range(4 * WAITING_LINES):
        lines.handle(record("%d %s", number, "x" * 1_000))  # 4 MB, of which the pipe takes 64 KiB
    lines.close()
    os.close(reading)  # its thread gets EPIPE, and is gone
    lines._thread.join(60)
    assert not lines._thread.is_alive()
    os.close(writing)
    lines.handle(record("nobody is there"))


@pytest.mark.parametrize(
    ("named", "level"),
    [("debug", logging.DEBUG), ("WARNING", logging.WARNING), (" Error ", logging.ERROR), ("verbose", logging.INFO),
     ("", logging.INFO), (None, logging.INFO)],
)  # fmt: skip
def test_a_log_level_is_named_in_any_case_and_an_unknown_one_keeps_no_service_from_starting(
    named: str | None, level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONTEXTA_LOG_LEVEL", raising=False)
    if named is not None:
        monkeypatch.setenv("CONTEXTA_LOG_LEVEL", named)
    assert log_level() == level
