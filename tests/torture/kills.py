"""Random kill -9 of trainer, sender and daemon: what returned is there, once, bit for bit."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rig import Shared, Trial, deliver, folder, pause, processes, python
from stored import Session, by_run, read_log

ROUNDS_A_WORKSPACE = 8
WIDTH = 7

# Everything captured is a function of its step; how far it came is counted in mapped memory right after each call.
TRAINER = """
import sys, struct
from pathlib import Path
from time import perf_counter
from contexta import Contexta
from rig import Shared
from kills import value, WIDTH

workspace, name, pace = sys.argv[1], sys.argv[3], float(sys.argv[4])
done = Shared(Path(sys.argv[2]))
run = Contexta(workspace=workspace, config={"project_name": "k"}).run(name)
stage = run.stage("train")
step = 0
while True:
    stage.metric("loss", value(step), step=step)
    done[1] = step + 1
    if step % 11 == 0:
        stage.log({f"g{k}": value(step * WIDTH + k) for k in range(WIDTH)}, step=step // 11)
        done[2] = step // 11 + 1
    if step % 50 == 0:
        stage.event("note", message=str(step // 50))
        done[3] = step // 50 + 1
    if step % 500 == 0:
        with stage.batch(f"b{step // 500}") as batch:
            batch.metric("inner", 1.0)
        done[4] = step // 500 + 1
    step += 1
    done[0] = 1
    end = perf_counter() + pace
    while pace and perf_counter() < end:
        pass
"""


def value(step: int) -> float:
    """Return a double that no other step has, over many exponents."""
    return float(np.ldexp(1.0 + step / (1 << 40), step % 600 - 300))


def run(trial: Trial) -> None:
    most = 40 if trial.short else 1000
    rounds = kills = records = 0
    for begin in trial.rounds(most, ROUNDS_A_WORKSPACE):
        with folder(trial) as place:
            counts: dict[str, Shared] = {}
            for number in range(begin, min(begin + ROUNDS_A_WORKSPACE, most)):
                counts[f"r{number}"] = Shared(place / f"done{number}")
                kills += _round(trial, place, number, counts[f"r{number}"])
                rounds += 1
            records += _check(trial, place / "ws", counts)
        trial.say(f"{rounds} of {most} rounds, {kills} kills, {records:,} records")
    trial.figure(f"{kills} kill -9 in {rounds} rounds, {records:,} records returned, {len(trial.failures)} wrong")


def _round(trial: Trial, place: Path, number: int, done: Shared) -> int:
    pace = trial.chance.choice([0, 0, 0.0001, 0.001])
    trainer = python(TRAINER, place / "ws", place / f"done{number}", f"r{number}", pace)
    try:
        processes.until(lambda: done[0] or trainer.poll() is not None, 30, "the trainer captures")
        trial.check(trainer.poll() is None, f"round {number}: the trainer ended by itself")
        kills = 0
        for _ in range(trial.chance.randrange(4)):
            pause(trial.chance, 0.3)
            kills += _blow(trial, place / "ws", trial.chance.choice(["d", "s", "sd"]), trainer)
        pause(trial.chance, 0.3)
        kills += _blow(trial, place / "ws", trial.chance.choice(["t", "ts", "td", "tsd"]), trainer)
    finally:
        trainer.kill()
        trainer.wait()
    return kills


def _blow(trial: Trial, workspace: Path, whom: str, trainer: subprocess.Popen[bytes]) -> int:
    targets = [trainer.pid] if "t" in whom else []
    targets += processes.pids_of("sender", workspace) if "s" in whom else []
    targets += processes.pids_of("daemon", workspace) if "d" in whom else []
    trial.chance.shuffle(targets)
    return processes.send(targets, signal.SIGKILL)


def _check(trial: Trial, workspace: Path, counts: dict[str, Shared]) -> int:
    deliver(workspace)
    sessions, log = read_log(workspace)
    runs = by_run(sessions)
    trial.check(log.damaged_frames == 0, f"{log.damaged_frames} damaged frames")
    for name, done in counts.items():
        found = runs.get(f"run:k.{name}", [])
        trial.check(len(found) == 1, f"{name}: {len(found)} sessions in the log; {list(done.words[:5])} returned")
        for session in found:
            for problem in problems(session, done):
                trial.check(False, f"{name}: {problem}")
    return sum(done[1] + done[2] * WIDTH + done[3] + done[4] for done in counts.values())


def problems(session: Session, done: Shared) -> list[str]:
    """Return what differs from what returned; one more of a kind than returned may have been in flight."""
    found = []

    def count(what: str, numbers: object, returned: int) -> None:
        each = np.asarray(numbers)
        if not np.array_equal(each, np.arange(len(each))):
            found.append(f"{what}: {len(each)} kept, {len(set(each.tolist()))} different, highest {max(each.tolist())}")
        if not returned <= len(each) <= returned + 1:
            found.append(f"{what}: {returned} returned, {len(each)} kept")

    def points(key: str, returned: int, value_at: Callable[[int], float]) -> None:
        steps, values = session.points(key)
        count(key, steps, returned)
        if not np.array_equal(values.view(np.int64), np.array([value_at(int(s)) for s in steps]).view(np.int64)):
            found.append(f"{key}: values changed")

    points("loss", done[1], value)
    for k in range(WIDTH):
        points(f"g{k}", done[2], lambda row, k=k: value(row * 11 * WIDTH + k))
    if done[2] and len({len(session.points(f"g{k}")[0]) for k in range(WIDTH)}) > 1:  # the first goes one by one
        found.append("a part of a log() call")
    count("events", [int(e.event.message) for e in session.of("event")], done[3])
    opened = [e.scope_opened for e in session.of("scope_opened")]
    count("scopes", [int(each.name[1:]) for each in opened if each.name.startswith("b")], done[4])
    if session.gaps:
        found.append(f"{session.gaps} gaps in the sequence")
    if session.dropped():
        found.append(f"dropped {session.dropped()}")
    return found
