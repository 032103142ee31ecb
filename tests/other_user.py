"""Doing something as another user, in a process of its own. Only root can."""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

STRANGER, ANOTHER = 54_321, 54_322
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")


def as_user(uid: int, work: Callable[[], Any]) -> Any:
    """Return what the work returns when another user does it. Raises AssertionError where it raised."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
            told = pickle.dumps((True, work()))
        except BaseException:
            told = pickle.dumps((False, traceback.format_exc()))
        os.write(writing, told)
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:  # noqa: PTH123
        told = pipe.read()
    os.waitpid(child, 0)
    succeeded, found = pickle.loads(told)
    assert succeeded, found
    return found
