"""How many files a process of the background may have open."""

from __future__ import annotations

import contextlib
import resource

ENOUGH = 1 << 16


def raise_file_limit() -> None:
    """Raise this process's soft limit of open files as far as the hard one lets it, and to ENOUGH at most.

    The soft one is often 256 or 1024, for programs that cannot handle more; a sender has some open for every series.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    with contextlib.suppress(OSError, ValueError):  # what the system says is the limit may be more than it gives
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
