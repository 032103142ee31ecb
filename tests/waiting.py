"""The one way in which tests wait for another process: look until something holds, with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(predicate: Callable[[], object], timeout_s: float = 60.0, *, interval_s: float = 0.01) -> None:
    """Return as soon as the predicate holds; fail the test when it does not within timeout_s."""
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() > deadline:
            raise AssertionError(
                f"still not true after {timeout_s} s: {getattr(predicate, '__doc__', None) or predicate}"
            )
        time.sleep(interval_s)
