"""The power of a workspace's disk is cut at random moments: what was acknowledged as durable is there, once, unchanged.

A capturing process, one that puts and one that appends write to an ext4 in an image file. Its file system is shut down
without its journal being written, which is how a disk looks that lost its power; processes are killed, spools, which
lie in memory, are removed. Mounted again, a plain daemon must serve and have everything that was acknowledged; so must
the next one when the power goes again while it starts, and one that makes catalog and columns anew.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from power_found import Claims, ask, compare
from rig import ROOT, Shared, Trial, folder, pause, processes, python
from shut_disk import ShutDisk

from contexta import Contexta
from contexta.recovery import rebuild_workspace
from contexta_client.capture import spool_place
from contexta_client.launch import is_serving, local_workers, read_endpoint

ROUNDS_A_DISK = 6
SERVES_S = 1.0
STARTS_S = 0.8
LONGEST_S = 3600.0
WRITES_S = 2.5  # of writing, once something was acknowledged


def run(trial: Trial) -> None:
    wanted = 2 if trial.short else 300
    serves: list[float] = []
    acknowledged = 0
    until = time.monotonic() + trial.lasts_s(LONGEST_S)
    while len(serves) < wanted and time.monotonic() < until:
        with folder(trial) as place:
            try:
                disk = ShutDisk(place / "image", place / "disk")
            except (OSError, subprocess.CalledProcessError) as error:
                trial.skipped = f"a file system in an image can only be mounted by root: {error}"
                return
            told: list[Claims] = []
            try:
                while len(told) < ROUNDS_A_DISK and len(serves) < wanted:
                    told.append(_write_and_cut(trial, place, disk, f"r{len(serves)}"))
                    serves.append(_recover(trial, place, disk, told))
                _rebuild(trial, place, told)
            finally:
                _end_all(place)
                disk.close()
            acknowledged += sum(each.acknowledged for each in told)
        trial.say(f"{len(serves)} of {wanted} power losses, {acknowledged:,} acknowledged")
    in_time = sum(each <= SERVES_S for each in serves)
    trial.figure(
        f"{len(serves)} power losses, {acknowledged:,} items acknowledged as durable, {len(trial.failures)} wrong; "
        f"served again after {statistics.median(serves):.2f} s (median; {in_time} of {len(serves)} within 1 s, all "
        f"within {max(serves):.2f} s)"
    )


def _write_and_cut(trial: Trial, place: Path, disk: ShutDisk, name: str) -> Claims:
    """Let everybody write, cut the power at some moment, and return what was acknowledged before."""
    workspace, shared = place / "disk" / "ws", Shared(place / f"shared-{name}")
    (place / "scratch").mkdir(exist_ok=True)
    segment_bytes, pace = trial.chance.choice([1 << 14, 1 << 18, 1 << 22]), trial.chance.choice([0.0002, 0.001, 0.01])
    last = {"capture": pace, "put": place / "scratch", "append": ""}
    started = [
        _start(kind, workspace, place / f"shared-{name}", name, segment_bytes, last[kind])
        for kind in trial.chance.sample(sorted(last), 3)
    ]
    try:
        if trial.chance.random() < 0.85:
            what = "something is acknowledged"
            processes.until(lambda: any(shared[k] for k in range(1, 8)) or _ended(started), 30 * trial.slack, what)
        for _ in range(trial.chance.choice([0, 0, 1, 2])):
            pause(trial.chance, WRITES_S / 2)
            processes.kill_all(workspace, (trial.chance.choice(["daemon", "sender"]),))
        pause(trial.chance, WRITES_S)
        trial.check(not _ended(started), f"{name}: a writer ended by itself")
        counts, durable = list(shared.words[:8]), {each.session_id: each.durable for each in local_workers(workspace)}
        disk.cut()
        return Claims(name, counts, durable)
    finally:
        for process in started:
            process.kill()
            process.wait()
        _end_all(place)


def _recover(trial: Trial, place: Path, disk: ShutDisk, told: list[Claims]) -> float:
    """Mount again, serve, and compare; return the seconds until a daemon served."""
    disk.restart()
    workspace = place / "disk" / "ws"
    if trial.chance.random() < 0.3:
        _cut_while_it_starts(trial, workspace, disk)
    daemon = _daemon(workspace)

    def serving() -> bool:
        endpoint = read_endpoint(workspace)
        return daemon.poll() is not None or (
            endpoint is not None and endpoint.pid == daemon.pid and is_serving(endpoint)
        )

    serves_s = processes.until(serving, 60, "a daemon serves or is dead")
    name = told[-1].name
    try:
        trial.check(daemon.poll() is None, f"{name}: no daemon serves after the power loss")
        ask(trial, workspace, told)
        processes.end_all(workspace, 20 * trial.slack)
        compare(trial, workspace, told)
    finally:
        daemon.kill()
        daemon.wait()
    return serves_s


def _cut_while_it_starts(trial: Trial, workspace: Path, disk: ShutDisk) -> None:
    daemon = _daemon(workspace)
    pause(trial.chance, STARTS_S)
    disk.cut()
    daemon.kill()
    daemon.wait()
    processes.kill_all(workspace)
    disk.restart()


def _daemon(workspace: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-P", "-m", "contexta_daemon", "--workspace", str(workspace), "--foreground"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=quiet, stderr=quiet)


def _rebuild(trial: Trial, place: Path, told: list[Claims]) -> None:
    """Make everything that follows the log anew, and ask again."""
    workspace = place / "disk" / "ws"
    ctx = Contexta(workspace=workspace, config={"project_name": "k"})
    try:
        rebuild_workspace(ctx.config)
        ask(trial, workspace, told)
    finally:
        ctx.close()
    processes.end_all(workspace, 20 * trial.slack)


def _start(kind: str, *arguments: object) -> subprocess.Popen[bytes]:
    return python("import sys, power_writers; power_writers.main(sys.argv[1:])", kind, *arguments)


def _ended(started: list[subprocess.Popen[bytes]]) -> bool:
    return any(process.poll() is not None for process in started)


def _end_all(place: Path) -> None:
    """End what serves the workspace, and forget what lay in memory, as a machine does whose power is gone."""
    workspace = place / "disk" / "ws"
    processes.kill_all(workspace)
    for root in spool_place.candidate_roots(workspace):
        shutil.rmtree(root, ignore_errors=True)
