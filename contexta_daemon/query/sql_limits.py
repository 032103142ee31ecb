"""What keeps a statement within bounds where DuckDB does not: it counts not all of the memory that it takes, and looks
for an interruption neither while it plans nor within one call of a function."""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEMORY_BYTES = 2 << 30  # of the process, beyond what it had
MAX_TEXT_CHARS = 100_000  # planning takes time with the square of a text's parts


@contextlib.contextmanager
def bounded_memory(limit_bytes: int = MEMORY_BYTES) -> Iterator[None]:
    """Let allocations fail beyond a limit. Where the system does not tell what a process has, nothing is limited."""
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        has = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        wanted = has + limit_bytes
        if resource.RLIM_INFINITY not in (soft, hard):
            wanted = min(wanted, soft)
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, hard))
    except (OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@contextlib.contextmanager
def ended_by_the_clock(deadline_s: float) -> Iterator[None]:
    """End the process, whatever it is in the middle of, when the time is over. Only in a process's main thread."""
    before = signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, max(0.001, deadline_s))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def weight(value: Any) -> int:
    """Roughly the bytes that a value takes as JSON."""
    if isinstance(value, str):
        return len(value) + 2
    if isinstance(value, dict):
        return sum(len(name) + weight(each) + 4 for name, each in value.items()) + 2
    if isinstance(value, list):
        return sum(weight(each) + 1 for each in value) + 2
    return 8

