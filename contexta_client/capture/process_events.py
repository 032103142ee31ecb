"""What happens to a process's recorders when it forks and when it ends."""

from __future__ import annotations

import atexit
import os
import sys
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .session import Recorder

PARENT_VARIABLE = "CONTEXTA_PARENT_SESSION"

_recorders: dict[int, Recorder] = {}  # by identity, in the order they began
_parent_of_process = os.environ.get(PARENT_VARIABLE, "")
_installed = False


def watch(recorder: Recorder) -> None:
    """Tell a recorder of forks, and close it at the end of the process, until `unwatch`."""
    global _installed
    if not _installed:
        _installed = True
        os.register_at_fork(after_in_child=_after_fork_in_child)
        atexit.register(_at_exit)
    _recorders[id(recorder)] = recorder


def unwatch(recorder: Recorder) -> None:
    """Forget a recorder that is closed."""
    _recorders.pop(id(recorder), None)


def parent_session() -> bytes:
    """Return the session of the process that started this one, empty when none did."""
    try:
        session = bytes.fromhex(_parent_of_process)
    except ValueError:
        return b""
    return session if len(session) == 16 else b""


def announce_session(session_id: bytes) -> None:
    """Let the processes that this one starts know whose children they are."""
    os.environ[PARENT_VARIABLE] = session_id.hex()


def _after_fork_in_child() -> None:
    global _parent_of_process
    _parent_of_process = os.environ.get(PARENT_VARIABLE, "")
    for recorder in list(_recorders.values()):
        recorder.after_fork_in_child()


def _at_exit() -> None:
    deadline_s: float | None = None
    for recorder in reversed(list(_recorders.values())):
        if deadline_s is None:
            deadline_s = monotonic() + recorder.config.capture.exit_timeout_s
        status, reason = _exit_status(recorder.config.security.secret_names)
        recorder.end(status, reason, wait_s=max(0.0, deadline_s - monotonic()))


def _exit_status(secret_names: Sequence[str]) -> tuple[str, str]:
    """Return what became of the program: an exception that nobody caught is where the interpreter left it."""
    kind = getattr(sys, "last_type", None)
    if kind is None:
        return "completed", ""
    from .scope_life import outcome

    return outcome(kind, getattr(sys, "last_value", None), secret_names)
