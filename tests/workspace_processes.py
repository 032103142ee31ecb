"""The sender and the daemon of a workspace, from outside: found, killed, stopped, waited for. Linux only (/proc)."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from contexta_client.capture import spool_place

MODULES = {"sender": "contexta_client.sender", "daemon": "contexta_daemon"}


def pids_of(role: str, workspace: Path) -> list[int]:
    """Return the processes that are the "sender" or the "daemon" of a workspace."""
    module, path = MODULES[role].encode(), os.fsencode(os.path.realpath(workspace))
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            words = Path("/proc", entry, "cmdline").read_bytes().split(b"\0")
            is_python = b"python" in words[0].rpartition(b"/")[2]  # and no tracer that was given the same words
            if is_python and module in words and path in words:
                found.append(int(entry))
    return found


def send(pids: list[int], number: int) -> int:
    """Send a signal to each that still lives; return to how many."""
    reached = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            reached += 1
    return reached


def kill_all(workspace: Path, roles: tuple[str, ...] = ("sender", "daemon")) -> None:
    """kill -9, and return when they are gone. The sender first, since it would start the daemon again."""
    for role in roles:
        while pids := pids_of(role, workspace):
            send(pids, signal.SIGKILL)
            until(lambda pids=pids: not any(map(alive, pids)), 10)


def end_all(workspace: Path, timeout_s: float = 20.0) -> None:
    """SIGTERM, sender first; return when they are gone."""
    for role in ("sender", "daemon"):
        send(pids_of(role, workspace), signal.SIGCONT)
        send(pids_of(role, workspace), signal.SIGTERM)
        until(lambda role=role: not pids_of(role, workspace), timeout_s, f"the {role} of {workspace} ends")


def alive(pid: int) -> bool:
    """Whether a process runs: neither gone nor a zombie."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def spools_of(workspace: Path) -> list[Path]:
    """Return the spools that wait for delivery."""
    return [
        each
        for root in spool_place.candidate_roots(workspace)
        if root.is_dir()
        for each in root.iterdir()
        if len(each.name) == 32
    ]


def remove_workspace(workspace: Path) -> None:
    """Kill what serves a workspace and delete it with its spools."""
    kill_all(workspace)
    for root in spool_place.candidate_roots(workspace):
        shutil.rmtree(root, ignore_errors=True)
    shutil.rmtree(workspace, ignore_errors=True)


def until(predicate: Callable[[], object], timeout_s: float, what: str = "") -> float:
    """Look until something holds; return the seconds it took. Raises TimeoutError."""
    began = time.monotonic()
    while not predicate():
        if time.monotonic() - began > timeout_s:
            raise TimeoutError(f"still not so after {timeout_s} s: {what or predicate}")
        time.sleep(0.002)
    return time.monotonic() - began
