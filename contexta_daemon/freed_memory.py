"""Giving freed memory back to the system.

glibc keeps what was freed in the arena of the thread that had it, for that arena alone, and only whole pages of it can
be given back. After thousands of connections, long headers and large bodies that is tens of MiB which nobody uses. With
an arena for each thread it grew with every wave of them, to 74 MiB after ten; with one for all, with what garbage holds
collected first, and with a bound of calls at once on a connection, it is 28 MiB.
"""

from __future__ import annotations

import ctypes
import gc
import os
import time
from pathlib import Path

GROWN_BYTES = 16 << 20
EVERY_S, SELDOM_S = 10.0, 60.0  # it holds the allocator's locks for some milliseconds
WORTH_BYTES = 1 << 20
_M_ARENA_MAX = -8  # of malloc.h


def share_one_arena() -> None:
    """Let all threads that begin from now on allocate from one arena. Without glibc, it does nothing."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_ARENA_MAX, 1)


class FreedMemory:
    """Collects and trims while the process has more than it once had, less often where nothing comes of it: what is in
    use now may be free at the next look. Where there is no glibc or no /proc, it does nothing."""

    def __init__(self) -> None:
        self._trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        self._least = resident_bytes()
        self._next_s, self._every_s = 0.0, EVERY_S

    def look(self) -> bool:
        """Give back what is free, if it may be worth it; return whether that was tried. Blocks for a moment."""
        now_s, has = time.monotonic(), resident_bytes()
        self._least = min(self._least, has)
        if self._trim is None or not has or now_s < self._next_s or has < self._least + GROWN_BYTES:
            return False
        gc.collect()  # calls that ended in the middle leave circles of references, and their bodies and headers in them
        self._trim(0)
        is_worth_it = has - resident_bytes() >= WORTH_BYTES
        self._every_s = EVERY_S if is_worth_it else min(2 * self._every_s, SELDOM_S)
        self._next_s = now_s + self._every_s
        return True


def resident_bytes() -> int:
    """The memory that this process has now; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0
