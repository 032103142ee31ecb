"""Forks beside capturing threads: no hang, no crash, every record of parent and children right."""

from __future__ import annotations

import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
from rig import Trial, deliver, folder, python
from stored import by_run, read_log

THREADS = 3

# Each child captures once or twice and ends in one of the ways that processes end.
PARENT = """
import os, sys, threading
from contexta import Contexta

workspace, forks = sys.argv[1], int(sys.argv[2])
ctx = Contexta(workspace=workspace, config={
    "project_name": "k", "capture": {"spool_bytes": 64 << 20, "exit_timeout_s": 60, "git": False, "packages": False}})
run = ctx.run("parent")
stop = threading.Event()
counts = [0] * 3

def capture(thread):
    step = 0
    while not stop.is_set() and step < 400_000:
        run.metric(f"t{thread}", step * 0.5, step=step)
        if step % 7 == 0:
            run.log({f"t{thread}a": 1.0 * step, f"t{thread}b": 2.0 * step}, step=step // 7)
        step += 1
        if step % 100 == 0:
            stop.wait(0.001)
    counts[thread] = step

threads = [threading.Thread(target=capture, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
failed = 0
for number in range(forks):
    pid = os.fork()
    if pid == 0:
        run.metric("child", float(number), step=number)
        if number % 2:
            run.event("child", message=str(number))
        os._exit(0)
    if os.waitpid(pid, 0)[1]:
        failed += 1
stop.set()
for thread in threads:
    thread.join()
print(failed, *counts, flush=True)
ctx.close()
"""


def run(trial: Trial) -> None:
    forks, each = (200, 100) if trial.short else (10_000, 500)  # in a workspace each
    records = 0
    for begin in range(0, forks, each):
        with folder(trial) as place:
            records += _family(trial, place / "ws", each)
        trial.say(f"{begin + each} of {forks} forks")
    wrong = len(trial.failures)
    trial.figure(f"{forks:,} forks beside {THREADS} capturing threads, {records:,} records, {wrong} wrong")


def _family(trial: Trial, workspace: Path, forks: int) -> int:
    parent = python(PARENT, workspace, forks, stdout=subprocess.PIPE)
    said, _ = parent.communicate(timeout=120)
    trial.check(parent.returncode == 0, f"the parent ended with {parent.returncode}")
    failed, *counts = map(int, said.split())
    trial.check(failed == 0, f"{failed} children failed")
    deliver(workspace)
    sessions = by_run(read_log(workspace)[0])["run:k.parent"]
    children: Counter[int] = Counter()
    events: Counter[int] = Counter()
    for session in sessions:
        children.update(session.points("child")[0].tolist())
        events.update(int(entry.event.message) for entry in session.of("event"))
        trial.check(not session.gaps and not session.dropped(), f"gaps {session.gaps}, dropped {session.dropped()}")
    trial.check(children == Counter(range(forks)), f"children: {len(children)} of {forks}")
    trial.check(events == Counter(range(1, forks, 2)), f"events of children: {len(events)} of {forks // 2}")
    for thread, count in enumerate(counts):
        for key, factor, number in (("", 0.5, count), ("a", 7.0, -(-count // 7)), ("b", 14.0, -(-count // 7))):
            parts = [session.points(f"t{thread}{key}") for session in sessions]
            steps, values = (np.concatenate([part[index] for part in parts]) for index in (0, 1))
            right = np.array_equal(steps, np.arange(number)) and np.array_equal(values, steps * factor)
            trial.check(right, f"thread {thread}{key}: {len(steps)} of {number}")
    return sum(counts) + 2 * sum(-(-count // 7) for count in counts) + forks + forks // 2
