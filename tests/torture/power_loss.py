"""The power of a workspace's disk is cut at random moments: what was acknowledged as durable is there, once, unchanged.

A capturing process, one that puts and one that appends write to an ext4 in an image file. Its file system is shut down
without its journal being written, which is how a disk looks that lost its power; processes are killed, spools, which
lie in memory, are removed. Mounted again, a plain daemon must serve and have everything that was acknowledged.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import power_writers as writers
from daemon_sites import _daemon
from kills import value
from rig import Shared, Trial, folder, pause, processes, python
from shut_disk import ShutDisk
from stored import Session, by_run, read_log

from contexta import Contexta
from contexta.errors import NotFoundError
from contexta.store.artifacts import ArtifactStore, VaultConfig
from contexta_client.capture import spool_place
from contexta_client.launch import local_workers

ROUNDS_A_DISK = 6
SERVES_S = 1.0
LONGEST_S = 2.5  # of writing, once something was acknowledged


@dataclass
class Claims:
    """What was acknowledged in one round: its name, the counters of its writers, what each spool says is durable."""

    name: str
    counts: list[int]
    durable: dict[str, int]

    @property
    def acknowledged(self) -> int:
        puts = self.counts[writers.MODELS :]
        return sum(self.durable.values()) + self.counts[writers.APPENDED] + sum(puts)


def run(trial: Trial) -> None:
    rounds = 2 if trial.short else 300
    slowest, acknowledged = 0.0, 0
    for begin in range(0, rounds, ROUNDS_A_DISK):
        with folder(trial) as place:
            try:
                disk = ShutDisk(place / "image", place / "disk")
            except (OSError, subprocess.CalledProcessError) as error:
                trial.skipped = f"a file system in an image can only be mounted by root: {error}"
                return
            try:
                told: list[Claims] = []
                for number in range(begin, min(begin + ROUNDS_A_DISK, rounds)):
                    told.append(_write_and_cut(trial, place, disk, f"r{number}"))
                    slowest = max(slowest, _recover(trial, place, disk, told))
                acknowledged += sum(each.acknowledged for each in told)
            finally:
                _end_all(place)
                disk.close()
        trial.say(f"{min(begin + ROUNDS_A_DISK, rounds)} of {rounds} power losses, {acknowledged:,} acknowledged")
    trial.figure(
        f"{rounds} power losses, {acknowledged:,} items acknowledged as durable, {len(trial.failures)} wrong; "
        f"slowest to serve again {slowest:.2f} s"
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
            processes.until(lambda: any(shared[k] for k in range(1, 8)) or _ended(started), 30, what)
        for _ in range(trial.chance.choice([0, 0, 1, 2])):
            pause(trial.chance, LONGEST_S / 2)
            processes.kill_all(workspace, (trial.chance.choice(["daemon", "sender"]),))
        pause(trial.chance, LONGEST_S)
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
    began = time.monotonic()
    daemon = _daemon(workspace, [])
    serves_s = time.monotonic() - began
    name = told[-1].name
    try:
        trial.check(daemon.poll() is None, f"{name}: no daemon serves after the power loss")
        trial.check(serves_s <= SERVES_S * trial.slack, f"{name}: served again after {serves_s:.2f} s")
        _ask(trial, workspace, told[-1])
        processes.end_all(workspace)
        _compare(trial, workspace, told)
    finally:
        daemon.kill()
        daemon.wait()
    return serves_s


def _ask(trial: Trial, workspace: Path, claims: Claims) -> None:
    """Ask the daemon: its answers must have what was acknowledged too."""
    name, counts = claims.name, claims.counts
    ctx = Contexta(workspace=workspace, config={"project_name": "k", "daemon": {"autostart": False}})
    try:
        for run_name, least in ((name, counts[writers.FLUSHED]), (f"{name}-raw", counts[writers.APPENDED] - 3)):
            try:
                found = len(ctx.get_step_series(f"k.{run_name}", "loss").values)
            except NotFoundError:
                found = 0
            trial.check(found >= least, f"{run_name}: {least} points were acknowledged, the daemon knows {found}")
        for number in range(counts[writers.MODELS]):
            known = ctx.metadata_store.projects.exists(f"project:{name}-{number}")
            trial.check(known, f"{name}: project {number} was acknowledged, the daemon does not know it")
        damage = ctx.record_store.check_integrity().problems
        trial.check(not damage, f"{name}: {damage}")
    finally:
        ctx.close()


def _compare(trial: Trial, workspace: Path, told: list[Claims]) -> None:
    """Compare the log and the artifacts with what was acknowledged in this and in earlier rounds."""
    sessions, log = read_log(workspace)
    trial.check(log.damaged_frames == 0, f"{log.damaged_frames} damaged frames")
    runs = by_run(sessions)
    entries = [entry for session in sessions.values() for entry in session.entries]
    stored = [entry.record_stored.ref for entry in entries if entry.WhichOneof("kind") == "record_stored"]
    models = {entry.model_stored.ref for entry in entries if entry.WhichOneof("kind") == "model_stored"}
    for claims in told:
        name, counts = claims.name, claims.counts
        for problem in [
            *_points(runs.get(f"run:k.{name}", []), counts[writers.FLUSHED], counts[writers.RETURNED] + 1, value),
            *_points(runs.get(f"run:k.{name}-raw", []), counts[writers.APPENDED] - 3, None, lambda step: step / 7),
            *_events(runs.get(f"run:k.{name}", []), counts[writers.FLUSHED_EVENTS]),
            *_records(name, stored, counts[writers.RECORDS]),
            *(f"project {n}" for n in range(counts[writers.MODELS]) if f"project:{name}-{n}" not in models),
            *_artifacts(workspace, name, counts),
        ]:
            trial.check(False, f"{name}: {problem}; acknowledged {counts}")
        for session_id, durable in claims.durable.items():
            session = sessions.get(bytes.fromhex(session_id))
            there = session.next_sequence if session else 0
            trial.check(there >= durable, f"{name}: {durable} items were durable, {there} are there")


def _points(found: list[Session], least: int, most: int | None, value_at: object) -> list[str]:
    if not found:
        return [f"the run is gone, and {least} points were acknowledged"] if least > 0 else []
    (session,) = found
    steps, values = session.points("loss")
    problems = []
    if not least <= len(steps) <= (most or len(steps)):
        problems.append(f"{least} points were acknowledged, {len(steps)} are there")
    if not np.array_equal(steps, np.arange(len(steps))):
        problems.append("points are missing between others, or doubled")
    if not np.array_equal(values.view(np.int64), np.array([value_at(int(s)) for s in steps]).view(np.int64)):
        problems.append("values changed")
    if session.gaps or session.dropped():
        problems.append(f"{session.gaps} gaps in the sequence, dropped {session.dropped()}")
    return problems


def _events(found: list[Session], least: int) -> list[str]:
    numbers = [int(entry.event.message) for session in found for entry in session.of("event")]
    right = numbers == list(range(len(numbers))) and len(numbers) >= least
    return [] if right else [f"{least} events were acknowledged, {len(numbers)} are there"]


def _records(name: str, stored: list[str], least: int) -> list[str]:
    own = [ref for ref in stored if ref.startswith(f"record:k.{name}-put.")]
    problems = [] if len(own) == len(set(own)) else ["a record is there twice"]
    missing = [n for n in range(least) if f"record:k.{name}-put.m{n}" not in own]
    return [*problems, f"records {missing} are missing"] if missing else problems


def _artifacts(workspace: Path, name: str, counts: list[int]) -> list[str]:
    store = ArtifactStore(VaultConfig(root_path=workspace / "artifacts"))
    problems = [f"{each.artifact_ref}: {each.status}" for each in store.verify_all().problems]
    for number in range(counts[writers.ARTIFACTS]):
        try:
            right = store.read_artifact_bytes(writers.artifact_ref(name, number)) == writers.content(name, number)
        except NotFoundError:
            right = False
        if not right:
            problems.append(f"artifact {number} is not what was put")
    if replaced := counts[writers.REPLACED]:
        latest = store.read_artifact_bytes(writers.artifact_ref(name, -1))
        if latest not in (writers.content(name, replaced - 1), writers.content(name, replaced)):
            problems.append(f"the artifact that was replaced {replaced} times is an older one")
    return problems


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
