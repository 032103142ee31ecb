"""Many daemons started at once for one workspace: one lives, none takes another's socket, a dead one is replaced."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from rig import ROOT, Trial, folder, processes

from contexta_client.launch import is_serving, read_endpoint

HELD = 3


def run(trial: Trial) -> None:
    times, each = (1, 50) if trial.short else (100, 200)
    for number in range(times):
        with folder(trial) as place:
            _race(trial, place / "ws", each)
        trial.say(f"{number + 1} of {times} races of {each}")
    trial.figure(f"{times} races of {each} daemons, twice each; {len(trial.failures)} not won by one alone")


def _race(trial: Trial, workspace: Path, each: int) -> None:
    first = _start(trial, workspace, each)
    processes.kill_all(workspace, ("daemon",))
    second = _start(trial, workspace, each)  # over what the killed one left behind
    trial.check(first != second, "the second race was won by a dead daemon")
    endpoint = read_endpoint(workspace)
    assert endpoint is not None
    socket = Path(endpoint.socket)
    sockets = list(socket.parent.glob(socket.name.partition("-")[0] + "-*"))
    trial.check(len(sockets) == 1, f"sockets of one workspace: {[path.name for path in sockets]}")
    processes.send(processes.pids_of("daemon", workspace), signal.SIGTERM)


def _start(trial: Trial, workspace: Path, each: int) -> str:
    """Start them all, check that one serves, return its instance."""
    command = [sys.executable, "-P", "-m", "contexta_daemon", "--workspace", str(workspace)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    quiet = subprocess.DEVNULL
    started = [subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet) for _ in range(each)]
    codes = [process.wait(60) for process in started]
    trial.check(codes.count(0) == 1 and codes.count(HELD) == each - 1, f"exit codes {sorted(codes)}")
    processes.until(lambda: processes.pids_of("daemon", workspace), 10, "a daemon lives")

    def serving() -> bool:
        endpoint = read_endpoint(workspace)
        return endpoint is not None and endpoint.pid in processes.pids_of("daemon", workspace) and is_serving(endpoint)

    processes.until(serving, 30, "the winner serves")
    trial.check(len(processes.pids_of("daemon", workspace)) == 1, f"{processes.pids_of('daemon', workspace)} live")
    endpoint = read_endpoint(workspace)
    return endpoint.instance if endpoint else ""
