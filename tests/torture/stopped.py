"""Calls while daemon and sender are stopped (SIGSTOP): the loop does not feel it, and the process ends in time."""

from __future__ import annotations

import signal
import statistics

from rig import Shared, Trial, folder, processes, python
from stored import by_run, read_log

EXIT_TIMEOUT_S = 1.0
SPARE_S = 2.0

# A call during which the kernel gave the core to others is left out, unless it waited: that is not the call's doing.
TRAINER = """
import sys
from array import array
from pathlib import Path
from resource import RUSAGE_THREAD, getrusage
from time import perf_counter_ns
from contexta import Contexta
from rig import Shared

workspace, shared, count = sys.argv[1], Shared(Path(sys.argv[2])), int(sys.argv[3])
ctx = Contexta(workspace=workspace, config={
    "project_name": "k", "capture": {"exit_timeout_s": float(sys.argv[4]), "spool_bytes": 256 << 20}})
run = ctx.run("r")
run.metric("warm", 1.0)
ctx.flush(60)
shared[0] = 1                      # ready: the other side stops daemon and sender
while not shared[1]:
    pass
taken = array("q", bytes(8 * count))
preempted = 0
metric = run.metric
before = getrusage(RUSAGE_THREAD)
for step in range(count):
    began = perf_counter_ns()
    metric("loss", step * 0.5, step=step)
    taken[step] = spent = perf_counter_ns() - began
    after = getrusage(RUSAGE_THREAD)
    if spent > 100_000 and after.ru_nivcsw > before.ru_nivcsw and after.ru_nvcsw == before.ru_nvcsw:
        taken[step] = 0
        preempted += 1
    before = after
taken = sorted(taken)[preempted:]
shared[2], shared[3], shared[4] = taken[len(taken) // 2], taken[len(taken) * 9999 // 10000], taken[-1]
shared[5] = preempted
shared[10] = perf_counter_ns()
ctx.close()
shared[11] = perf_counter_ns()
"""


def run(trial: Trial) -> None:
    count = 300_000 if trial.short else 2_000_000
    found = [_stop(trial, roles, count) for roles in (("daemon",), ("sender",), ("sender", "daemon"))]
    tails, exits = [tail_us for tail_us, _ in found], [exit_s for _, exit_s in found]
    trial.figure(
        f"p99.99 of {3 * count:,} calls at most {max(tails):.1f} us (median {statistics.median(tails):.1f}), "
        f"end at most {max(exits):.2f} s with exit_timeout_s {EXIT_TIMEOUT_S}"
    )


def _stop(trial: Trial, roles: tuple[str, ...], count: int) -> tuple[float, float]:
    """Return p99.99 in microseconds, and the seconds that the end took."""
    with folder(trial) as place:
        workspace, shared = place / "ws", Shared(place / "shared")
        trainer = python(TRAINER, workspace, place / "shared", count, EXIT_TIMEOUT_S)
        processes.until(lambda: shared[0] or trainer.poll() is not None, 60, "the trainer captures")
        pids = [pid for role in roles for pid in processes.pids_of(role, workspace)]
        trial.check(len(pids) == len(roles), f"{roles}: {len(pids)} found to stop")
        processes.send(pids, signal.SIGSTOP)
        shared[1] = 1
        trainer.wait(300)
        trial.check(trainer.returncode == 0, f"the trainer ended with {trainer.returncode}")
        tail_us, exit_s = shared[3] / 1e3, (shared[11] - shared[10]) / 1e9
        trial.say(
            f"{'+'.join(roles)} stopped: p50 {shared[2] / 1e3:.2f} us, p99.99 {tail_us:.1f} us, highest "
            f"{shared[4] / 1e3:.0f} us, {shared[5]} preempted; end after {exit_s:.2f} s"
        )
        trial.check(tail_us < 1000, f"{roles}: p99.99 is {tail_us:.0f} us")
        trial.check(exit_s < SPARE_S * trial.slack + EXIT_TIMEOUT_S, f"{roles}: the end took {exit_s:.2f} s")
        processes.send(pids, signal.SIGCONT)
        processes.until(lambda: not processes.spools_of(workspace), 120, "delivery")
        processes.end_all(workspace)
        (session,) = by_run(read_log(workspace)[0])["run:k.r"]
        kept = len(session.points("loss")[0])
        trial.check(kept == count, f"{roles}: {count} returned, {kept} kept, dropped {session.dropped()}")
        return tail_us, exit_s
