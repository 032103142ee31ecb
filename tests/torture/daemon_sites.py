"""The daemon killed at every write, sync, rename, truncate and unlink of a scripted session, its recovery included.

strace delivers the signal when the Nth such call is made, before it is carried out. Each site: a daemon under strace
takes a scripted session until it dies; a plain one comes up and the rest is sent. Everything acknowledged must be
there once, and everything at last.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from daemon_script import SESSION, STEPS, CutOffError, play
from rig import ROOT, Trial, folder, processes
from stored import read_log

from contexta_client.launch import is_serving, read_endpoint

CALLS = ("write", "writev", "pwrite64", "fdatasync", "fsync", "rename", "unlink", "ftruncate", "truncate")
CONFIG = {"records": {"segment_bytes": 4096}, "daemon": {"autostart": False}}


def run(trial: Trial) -> None:
    if shutil.which("strace") is None:
        trial.skipped = "strace is not installed"
        return
    found = _count(trial)
    trial.say("calls of one session: " + ", ".join(f"{name} {number}" for name, number in found.items()))
    sites = [(call, number) for call, total in found.items() for number in range(1, total + 1)]
    if trial.short:
        sites = sorted(trial.chance.sample(sites, min(14, len(sites))))
    slowest = 0.0
    died = 0
    for place, (call, number) in enumerate(sites):
        reopened_s, dead = _site(trial, call, number)
        slowest, died = max(slowest, reopened_s), died + dead
        if place % 50 == 49:
            trial.say(f"{place + 1} of {len(sites)} sites")
    trial.figure(
        f"killed at {died} of {len(sites)} sites (of {sum(found.values())}); slowest to serve again {slowest:.2f} s"
    )


def _count(trial: Trial) -> dict[str, int]:
    """Return how many of each call its busiest thread makes during the whole script: strace counts in each thread."""
    with folder(trial) as place:
        path = place / "calls"
        traced = f"trace={','.join(CALLS)}"
        daemon = _daemon(place / "ws", ["strace", "-f", "-o", str(path), "-e", traced, "-e", "signal=none"])
        _, problem = _play(place / "ws", daemon)
        trial.check(not problem, f"undisturbed, the script fails: {problem}")
        processes.end_all(place / "ws")
        daemon.wait(30)
        found = {}
        lines = [line.split(None, 1) for line in path.read_text(errors="replace").splitlines()]
        for call in CALLS:
            made = Counter(thread for thread, what in lines if what.startswith(f"{call}("))
            found[call] = max(made.values(), default=0)
        return found


def _site(trial: Trial, call: str, number: int) -> tuple[float, bool]:
    """Kill at the Nth call; return the seconds until a plain daemon served, and whether the kill happened."""
    with folder(trial) as place:
        workspace = place / "ws"
        inject = f"inject={call}:signal=SIGKILL:when={number}"
        daemon = _daemon(workspace, ["strace", "-f", "-o", os.devnull, "-e", f"trace={call}", "-e", inject])
        acknowledged, _ = _play(workspace, daemon)
        if daemon.poll() is None and processes.pids_of("daemon", workspace):
            processes.end_all(workspace)  # so that the sites of its ending are met as well
        daemon.wait(30)
        dead = daemon.returncode != 0
        began = time.monotonic()
        plain = _daemon(workspace, [])
        reopened_s = time.monotonic() - began
        rest, problem = _play(workspace, plain)
        trial.check(not problem, f"{call} {number}: a plain daemon does not take the rest: {problem}")
        processes.end_all(workspace)
        plain.wait(30)
        _check(trial, workspace, acknowledged, rest, f"{call} {number}")
        return reopened_s, dead


def _daemon(workspace: Path, before: list[str]) -> subprocess.Popen[bytes]:
    """Start a daemon in the foreground; return when it serves or is dead."""
    command = [*before, sys.executable, "-P", "-m", "contexta_daemon", "--workspace", str(workspace), "--foreground"]
    quiet = subprocess.DEVNULL
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    daemon = subprocess.Popen([*command, "--config", json.dumps(CONFIG)], env=environment, stdout=quiet, stderr=quiet)

    def serving() -> bool:
        endpoint = read_endpoint(workspace)
        lives = endpoint is not None and endpoint.pid in processes.pids_of("daemon", workspace)
        return daemon.poll() is not None or (lives and endpoint is not None and is_serving(endpoint))

    processes.until(serving, 60, "the daemon serves or is dead")
    return daemon


def _play(workspace: Path, daemon: subprocess.Popen[bytes]) -> tuple[list[int], str]:
    """Send the script from where the daemon stands; return what it acknowledged, and what went wrong."""
    if daemon.poll() is not None:
        return [], "the daemon is dead"
    try:
        return play(workspace), ""
    except CutOffError as error:
        return error.acknowledged, str(error)


def _check(trial: Trial, workspace: Path, acknowledged: list[int], rest: list[int], site: str) -> None:
    sessions, log = read_log(workspace)
    trial.check(log.damaged_frames == 0, f"{site}: {log.damaged_frames} damaged frames")
    session = sessions.get(SESSION)
    trial.check(session is not None, f"{site}: the session is not in the log")
    if session is None:
        return
    steps, values = session.points("loss")
    trial.check(list(steps) == list(range(STEPS)), f"{site}: {len(steps)} steps")
    trial.check(list(values) == [step / 7 for step in range(STEPS)], f"{site}: values changed")
    trial.check(session.gaps == 0, f"{site}: {session.gaps} gaps or repeats")
    kept, known = max(acknowledged, default=0), rest[0] if rest else 0
    trial.check(kept <= known, f"{site}: {kept} items were acknowledged, the next daemon knows {known}")
