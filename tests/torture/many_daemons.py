"""Many daemons started at once for one workspace: one lives, none takes another's socket, a dead one is replaced.

Most contenders are forked from a process that has imported the daemon's main module: each runs the real `main` with the
real election from its first call on, and only Python's own start, most of what a start costs, is paid once. They wait
at a gate and go all at once, or each a little later than the others. Some races are of processes started one by one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rig import ROOT, Trial, folder, processes

from contexta_client.launch import Endpoint, is_serving, read_endpoint

HELD = 3
LATEST_S = 0.05
LONGEST_S = 1800.0

CONTENDERS = """
import json, os, random, sys, time
from contexta_daemon.__main__ import main

_, workspace, each, seed, latest_s = sys.argv[1:]  # the first makes the winner look like a daemon to whoever looks
gate, opened = os.pipe()
pids = []
for number in range(int(each)):
    late_s = random.Random(f"{seed}/{number}").uniform(0, float(latest_s))
    pids.append(os.fork())
    if not pids[-1]:
        os.close(opened)
        os.read(gate, 1)
        time.sleep(late_s)
        os._exit(main(["--workspace", workspace]))
os.close(opened)
print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]))
"""

Start = Callable[[Trial, Path, int], list[int]]


def run(trial: Trial) -> None:
    races, each, by_one, each_by_one = (5, 100, 1, 20) if trial.short else (100, 200, 2, 200)
    until, number = time.monotonic() + trial.lasts_s(LONGEST_S), 0
    while number < races and time.monotonic() < until:
        with folder(trial) as place:
            _race(trial, place / "ws", each, _fork)
        number += 1
        if number % 10 == 0:
            trial.say(f"{number} of {races} races of {each}")
    for _ in range(by_one):
        with folder(trial) as place:
            _race(trial, place / "ws", each_by_one, _spawn)
    trial.figure(
        f"{number} races of {each} forked contenders and {by_one} of {each_by_one} processes started one by one; each "
        f"on nothing, on what a killed daemon left, and against a living one; {len(trial.failures)} not as promised"
    )


def _race(trial: Trial, workspace: Path, each: int, start: Start) -> None:
    first = _won(trial, workspace, start(trial, workspace, each))
    processes.kill_all(workspace, ("daemon",))
    second = _won(trial, workspace, start(trial, workspace, each))  # over what the killed one left behind
    trial.check(first.instance != second.instance, "the second race was won by a dead daemon")
    socket = Path(second.socket)
    inode = socket.stat().st_ino
    codes = start(trial, workspace, each)
    trial.check(codes.count(HELD) == each, f"against a living daemon: exit codes {sorted(codes)}")
    trial.check(read_endpoint(workspace) == second, "the living daemon was replaced")
    trial.check(socket.stat().st_ino == inode and is_serving(second), "the living daemon's socket was taken")
    sockets = list(socket.parent.glob(socket.name.partition("-")[0] + "-*"))
    trial.check(sockets == [socket], f"sockets of one workspace: {[path.name for path in sockets]}")
    processes.send(processes.pids_of("daemon", workspace), signal.SIGTERM)


def _won(trial: Trial, workspace: Path, codes: list[int]) -> Endpoint:
    """Check that one contender won, that it alone lives, and that it serves."""
    trial.check(codes.count(0) == 1 and codes.count(HELD) == len(codes) - 1, f"exit codes {sorted(codes)}")
    processes.until(lambda: processes.pids_of("daemon", workspace), 10, "a daemon lives")

    def serving() -> bool:
        endpoint = read_endpoint(workspace)
        return endpoint is not None and endpoint.pid in processes.pids_of("daemon", workspace) and is_serving(endpoint)

    processes.until(serving, 30, "the winner serves")
    trial.check(len(processes.pids_of("daemon", workspace)) == 1, f"{processes.pids_of('daemon', workspace)} live")
    endpoint = read_endpoint(workspace)
    assert endpoint is not None
    return endpoint


def _fork(trial: Trial, workspace: Path, each: int) -> list[int]:
    workspace.mkdir(exist_ok=True)
    latest_s = trial.chance.choice((0.0, 0.0, LATEST_S))
    arguments = ["contexta_daemon", os.path.realpath(workspace), each, trial.chance.getrandbits(32), latest_s]
    command = [sys.executable, "-P", "-c", CONTENDERS, *map(str, arguments)]
    done = subprocess.run(command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=120)
    return list(json.loads(done.stdout))


def _spawn(_: Trial, workspace: Path, each: int) -> list[int]:
    command = [sys.executable, "-P", "-m", "contexta_daemon", "--workspace", str(workspace)]
    quiet = subprocess.DEVNULL
    started = [subprocess.Popen(command, env=_environment(), stdout=quiet, stderr=quiet) for _ in range(each)]
    return [process.wait(120) for process in started]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
