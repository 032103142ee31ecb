"""Giving way to the training: what runs in the background lowers its own priority."""

from __future__ import annotations

import contextlib
import os

AUTOGROUP = "/proc/self/autogroup"


def give_way(levels: int, *, own_session: bool) -> None:
    """Raise this process's nice value by `levels`; own_session: it leads the session it is in.

    Linux may share processors among sessions first ("autogroup", sched(7)): a nice value then counts only within its
    session, and one of ours would take as much as all workers of a training. So the session's own value is raised too.
    """
    with contextlib.suppress(OSError):
        value = os.nice(levels)
        if own_session:
            with open(AUTOGROUP, "w") as file:  # noqa: PTH123 - imported where start-up time counts
                file.write(str(value))
