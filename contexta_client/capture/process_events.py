"""What happens to a process's recorders when it forks and when it ends."""

from __future__ import annotations

import atexit
import os
import sys
from contextlib import suppress
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .session import Recorder

PARENT_VARIABLE = "CONTEXTA_PARENT_SESSION"
WORKER_EXIT_PRIORITY = -100  # after multiprocessing's own, which join what the worker started

# What capturing imports only where it is needed, and those who read what was captured. Whose import another thread has
# begun when this process forks can never be imported in the child.
IMPORTED_LATE: Final = (
    "contexta.capture.emissions", "contexta.contract.entities", "contexta.contract.records",
    "contexta_client.recovery.outbox", "logging",
)  # fmt: skip

_alive: WeakSet[Recorder] = WeakSet()
_recorders: dict[int, Recorder] = {}  # by identity, in the order they began
_parent_of_process = os.environ.get(PARENT_VARIABLE, "")
_installed = False
_worker_pid = 0  # of the worker of multiprocessing whose end is waited for


def tell_of_forks(recorder: Recorder) -> None:
    """Tell a recorder of forks as long as it is there: also before it began, when a thread may be about to."""
    global _installed
    if not _installed:
        _installed = True
        os.register_at_fork(before=_finish_imports, after_in_child=_after_fork_in_child)
        atexit.register(_at_exit)
    _alive.add(recorder)


def watch(recorder: Recorder) -> None:
    """Close a recorder that began at the end of the process, until `unwatch`."""
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
    """Let the processes that this one starts know whose children they are, and wait for its own end where it is such a
    child of multiprocessing."""
    os.environ[PARENT_VARIABLE] = session_id.hex()
    _await_worker_end()


def _await_worker_end() -> None:
    """Close what is open at the end of a worker of multiprocessing: one that was forked does not call atexit's."""
    global _worker_pid
    multiprocessing = sys.modules.get("multiprocessing.process")
    if multiprocessing is None or multiprocessing.parent_process() is None or _worker_pid == os.getpid():
        return
    from multiprocessing.util import Finalize

    _worker_pid = os.getpid()
    Finalize(None, _at_exit, exitpriority=WORKER_EXIT_PRIORITY)


def _finish_imports() -> None:
    """Wait for the imports that other threads are in the middle of."""
    for name in IMPORTED_LATE:
        if name in sys.modules:
            with suppress(Exception):
                import_module(name)


def _after_fork_in_child() -> None:
    global _parent_of_process
    _parent_of_process = os.environ.get(PARENT_VARIABLE, "")
    for recorder in list(_alive):
        recorder.after_fork_in_child()


def _at_exit() -> None:
    deadline_s: float | None = None
    for recorder in reversed(list(_recorders.values())):
        if deadline_s is None:
            deadline_s = monotonic() + recorder.config.capture.exit_timeout_s
        status, reason = _exit_status(recorder.config.security.secret_names)
        recorder.end(status, reason, wait_s=max(0.0, deadline_s - monotonic()))


def _exit_status(secret_names: Sequence[str]) -> tuple[str, str]:
    """Return what became of the program: an exception that nobody caught is where the interpreter left it, and on its
    way in a worker of multiprocessing. One that was met at a prompt ended nothing.

    The code of sys.exit() is nowhere to be found: what is still open then is completed."""
    kind, error, _ = sys.exc_info()
    if kind is None and not hasattr(sys, "ps1"):
        kind, error = getattr(sys, "last_type", None), getattr(sys, "last_value", None)
    if kind is None:
        return "completed", ""
    from .scope_life import outcome  # it imports the recorder's modules, which import this one

    return outcome(kind, error, secret_names)
