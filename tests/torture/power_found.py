"""What is found after a power loss, compared with what was acknowledged before it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import power_writers as writers
from kills import value
from rig import Trial
from stored import Session, by_run, read_log

from contexta import Contexta
from contexta.errors import NotFoundError
from contexta.store.artifacts import ArtifactStore, VaultConfig


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


def ask(trial: Trial, workspace: Path, told: list[Claims]) -> None:
    """Ask the daemon: its answers must have what was acknowledged too."""
    ctx = Contexta(workspace=workspace, config={"project_name": "k", "daemon": {"autostart": False}})
    try:
        for claims in told:
            name, counts = claims.name, claims.counts
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
        trial.check(not damage, f"{told[-1].name}: {damage}")
    finally:
        ctx.close()


def compare(trial: Trial, workspace: Path, told: list[Claims]) -> None:
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


def _points(found: list[Session], least: int, most: int | None, value_at: Callable[[int], float]) -> list[str]:
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
