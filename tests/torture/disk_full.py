"""The workspace's disk filled and freed: capture goes on, says so, resumes, and counts what it had to drop."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rig import Shared, Trial, deliver, folder, pause, processes, python
from stored import by_run, read_log

from contexta_client.launch import LocalWorker, local_workers

SIZE = 384 << 20
RESUMES_S = 2.0
SAYS_S = 1.0
ROUNDS_A_WORKSPACE = 10
LONGEST_S = 3600.0
CALLS, DROPPED, STOP, BURST = range(4)

# What each call said is kept outside the full disk: the log must have exactly the ones that succeeded.
TRAINER = """
import sys
from array import array
from pathlib import Path
from time import perf_counter
from contexta import Contexta
from rig import Shared

workspace, shared, kept, mirrored = sys.argv[1], Shared(Path(sys.argv[2])), array("q"), sys.argv[4] == "True"
ctx = Contexta(workspace=workspace, config={"project_name": "k", "capture": {
    "spool_bytes": 1 << 20, "exit_timeout_s": 60, "local_jsonl": mirrored}})
run = ctx.run("r")
step = 0
while not shared[2]:
    if run.metric("loss", step * 0.5, step=step):
        kept.append(step)
    else:
        shared[1] += 1
    step += 1
    shared[0] = step
    if shared[3]:
        shared[3] -= 1
        continue
    end = perf_counter() + 0.0005
    while perf_counter() < end:
        pass
with open(sys.argv[3], "wb") as file:
    kept.tofile(file)
ctx.close()
"""


def run(trial: Trial) -> None:
    wanted, each = (6, 3) if trial.short else (200, ROUNDS_A_WORKSPACE)
    slowest: dict[str, float] = {"says": 0.0, "resumes": 0.0}
    rounds = calls = lost = 0
    until = time.monotonic() + trial.lasts_s(LONGEST_S)
    while rounds < wanted and time.monotonic() < until:
        with folder(trial) as place:
            if not _can_mount(place):
                trial.skipped = "a file system of a given size can only be mounted by root"
                return
            mirrored = rounds % (2 * ROUNDS_A_WORKSPACE) == 0
            with _mounted(place / "ws"):
                made = _workspace(trial, place, each, mirrored, slowest)
            rounds, calls, lost = rounds + each, calls + made[0], lost + made[1]
        trial.say(f"{rounds} of {wanted} rounds")
    trial.figure(
        f"{rounds} times full, {calls:,} calls, {lost:,} dropped and counted; said so after at most "
        f"{slowest['says']:.2f} s, resumed after at most {slowest['resumes']:.2f} s"
    )


def _workspace(trial: Trial, place: Path, rounds: int, mirrored: bool, slowest: dict[str, float]) -> tuple[int, int]:
    workspace, shared = place / "ws", Shared(place / "shared")
    trainer = python(TRAINER, workspace, place / "shared", place / "kept", mirrored)
    try:
        processes.until(lambda: _durable(workspace) > 100, 30, "the trainer is served")
        for number in range(rounds):
            _fill(workspace / "filler")
            before = shared[CALLS]
            if trial.chance.random() < 0.6:
                shared[BURST] = trial.chance.randrange(10_000, 80_000)
            processes.until(lambda before=before: shared[CALLS] > before, 10, "capture goes on")
            says_s = _seconds_until_said(workspace)
            trouble = _worker(workspace).trouble
            trial.check("no room" in trouble or "full" in trouble, f"round {number}: it says {trouble!r}")
            # The last pages of files take some more: go on only when something was refused.
            processes.until(lambda: _refused(workspace), 30, "something is refused")
            processes.until(lambda before=before: shared[CALLS] > before + 100, 10, "capture goes on")
            pause(trial.chance, 1.0)
            (workspace / "filler").unlink()
            held = _durable(workspace)
            resumes_s = processes.until(lambda held=held: _durable(workspace) > held, 60, "it resumes")
            trial.check(says_s <= SAYS_S * trial.slack, f"round {number}: said so after {says_s:.2f} s")
            trial.check(resumes_s <= RESUMES_S * trial.slack, f"round {number}: resumed after {resumes_s:.2f} s")
            slowest["says"] = max(slowest["says"], says_s)
            slowest["resumes"] = max(slowest["resumes"], resumes_s)
            # What was moved to the disk gives its room back when it is delivered: full is full only after that.
            processes.until(lambda: not _spilled(workspace), 60, "what was moved to the disk is delivered")
        shared[STOP] = 1
        trainer.wait(120)
        trial.check(trainer.returncode == 0, f"the trainer ended with {trainer.returncode}")
    finally:
        trainer.kill()
        trainer.wait()
        (workspace / "filler").unlink(missing_ok=True)
    _check(trial, place, shared)
    return shared[CALLS], shared[DROPPED]


def _check(trial: Trial, place: Path, shared: Shared) -> None:
    deliver(place / "ws")
    (session,) = by_run(read_log(place / "ws")[0])["run:k.r"]
    steps, values = session.points("loss")
    kept = np.fromfile(place / "kept", np.int64)
    trial.check(np.array_equal(steps, kept), f"{len(kept)} calls succeeded, {len(steps)} steps are kept")
    trial.check(np.array_equal(values, steps * 0.5), "values changed")
    counted = sum(metrics for metrics, _ in session.dropped().values())
    trial.check(counted == shared[DROPPED], f"{shared[DROPPED]} dropped, the log says {session.dropped()}")
    trial.check(len(kept) + shared[DROPPED] == shared[CALLS], "calls are neither kept nor dropped")


def _seconds_until_said(workspace: Path) -> float:
    """Wait until the worker is told that the disk is full, which it is kept: a file that was merged or put away gives
    room back. Return the seconds since room was last found."""
    full_since = time.monotonic()

    def said() -> bool:
        nonlocal full_since
        if _fill(workspace / "filler"):
            full_since = time.monotonic()
        return bool(_worker(workspace).trouble)

    processes.until(said, 30, "it says that the disk is full")
    return time.monotonic() - full_since


def _refused(workspace: Path) -> bool:
    _fill(workspace / "filler")
    return any(text in _worker(workspace).trouble for text in ("does not take", "cannot be moved"))


def _worker(workspace: Path) -> LocalWorker:
    return local_workers(workspace)[0]


def _durable(workspace: Path) -> int:
    workers = local_workers(workspace)
    return workers[0].durable if workers else 0


def _spilled(workspace: Path) -> bool:
    return any(path.is_file() for path in (workspace / "cache" / "spill").rglob("*"))


def _fill(path: Path) -> int:
    """Take all the room there is; return how many bytes that was."""
    with path.open("ab", buffering=0) as file:
        before = os.fstat(file.fileno()).st_size
        free = os.statvfs(path).f_bavail * os.statvfs(path).f_frsize
        with contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), before, max(1, free - 4096))
        file.seek(0, os.SEEK_END)
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        return os.fstat(file.fileno()).st_size - before


def _can_mount(place: Path) -> bool:
    try:
        with _mounted(place / "trial"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False


@contextlib.contextmanager
def _mounted(path: Path) -> Iterator[None]:
    path.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(path)], check=True, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        processes.kill_all(path)
        subprocess.run(["umount", "-l", str(path)], check=True)
