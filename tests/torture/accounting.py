"""64 workers against a daemon that is stopped, killed and started again: captured = stored + dropped, to the record.

Half of the workers drop at once when their spool is full, half wait a little. Each remembers which of its calls were
kept and why the others were not; the log and the answers of the daemon must say exactly the same, worker by worker.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import numpy.typing as npt
from rig import Shared, Trial, deliver, folder, pause, processes, python
from stored import Session, by_run, read_log

from contexta import Contexta
from contexta.capture import CaptureResult
from contexta_client.capture.stream import FULL, NO_STORAGE
from contexta_client.sender.daemon_start import LAST_BACKOFF_S

STOP, READY = 0, 8  # words: all end; worker n is ready (8 + n)
KINDS = ("metric", "row", "event")
ROW_KEYS = ("a", "b", "c")
ROW_EVERY, EVENT_EVERY = 2, 10
POLICIES = ("drop_newest", "block")
REASONS = {FULL: "spool_full", NO_STORAGE: "disk_full"}

# One process that forks the workers, since importing takes longer than what they do.
WORKERS = """
import json, os, sys
from pathlib import Path
from accounting import work

os.dup2(os.open(os.path.join(sys.argv[1], "said"), os.O_WRONLY | os.O_CREAT), 2)  # 64 workers warn, each of its own
place, workers, settings = Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])
children = []
for number in range(workers):
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work(place, number, **settings)
            status = 0
        finally:
            os._exit(status)
    children.append(pid)
sys.exit(sum(os.waitpid(pid, 0)[1] != 0 for pid in children))
"""


def value(kind: int, step: int) -> float:
    """Return a double that says which call it is from."""
    return float(np.ldexp(1.0 + step / (1 << 40), kind - 2))


def work(place: Path, number: int, *, calls: int, spool_bytes: int, spill_bytes: int, naps_s: list[float]) -> None:
    """Be one worker: capture until told to stop, and keep outside of the workspace what each call said."""
    shared = Shared(place / "shared")
    policy, nap_s = POLICIES[number % 2], naps_s[number % len(naps_s)]
    capture = {
        "spool_bytes": spool_bytes, "spill_bytes": spill_bytes, "on_full": policy, "block_timeout_s": 0.02,
        "exit_timeout_s": 1.0, "local_jsonl": False, "packages": False, "git": False, "environment": False,
    }  # fmt: skip
    ctx = Contexta(workspace=place / "ws", config={"project_name": "k", "capture": capture})
    run = ctx.run(f"w{number}")
    kept: dict[str, list[int]] = {kind: [] for kind in KINDS}
    lost: Counter[str] = Counter()

    def note(kind: str, step: int, weight: int, outcome: CaptureResult) -> None:
        if outcome:
            kept[kind].append(step)
        else:
            assert outcome.dropped == weight, f"{outcome} of {weight}"
            lost[f"{outcome.reason}|{'event' if kind == 'event' else 'metric'}"] += weight

    step = 0
    while not shared[STOP] and step < calls:
        note("metric", step, 1, run.metric("m", value(0, step), step=step))
        if step % ROW_EVERY == 0:
            row = {key: value(place, step) for place, key in enumerate(ROW_KEYS, 1)}
            note("row", step, len(ROW_KEYS), run.log(row, step=step))
        if step % EVENT_EVERY == 0:
            note("event", step, 1, run.event("note", message=str(step)))
        step += 1
        shared[READY + number] = step
        if nap_s and step % 64 == 0:
            time.sleep(nap_s)
    texts = np.array([f"{each}|{count}" for each, count in lost.items()])
    np.savez(
        place / f"w{number}", called=np.array([step]), lost=texts, **{kind: np.array(kept[kind]) for kind in KINDS}
    )
    ctx.close()


@dataclass
class Told:
    """What one worker was told by its calls."""

    calls: int
    kept: dict[str, npt.NDArray[np.int64]]
    lost: dict[str, tuple[int, int]]  # (metrics, entries) by reason, as the log has them

    @classmethod
    def read(cls, path: Path) -> Told:
        with np.load(path) as file:
            lost: dict[str, tuple[int, int]] = {}
            for line in file["lost"].tolist():
                reason, kind, count = line.split("|")
                metrics, entries = lost.get(REASONS.get(reason, reason), (0, 0))
                each = (metrics, entries + int(count)) if kind == "event" else (metrics + int(count), entries)
                lost[REASONS.get(reason, reason)] = each
            return cls(int(file["called"][0]), {kind: file[kind].astype(np.int64) for kind in KINDS}, lost)

    @property
    def captured(self) -> int:
        """Records of all calls: a row is as many as its values."""
        return self.calls + len(ROW_KEYS) * -(-self.calls // ROW_EVERY) + -(-self.calls // EVENT_EVERY)

    @property
    def metrics(self) -> int:
        return len(self.kept["metric"]) + len(ROW_KEYS) * len(self.kept["row"])

    @property
    def dropped(self) -> int:
        return sum(metrics + entries for metrics, entries in self.lost.values())


def run(trial: Trial) -> None:
    most, workers = (1, 32) if trial.short else (30, 64)
    lost: Counter[str] = Counter()  # calls that were refused, by kind
    totals: dict[str, list[int]] = {policy: [0, 0, 0] for policy in POLICIES}  # captured, stored, dropped
    blows: Counter[str] = Counter()
    rounds = 0
    for rounds in (number + 1 for number in trial.rounds(most)):
        # Without the JSON Lines: they would take 300 bytes a record, and most of the time.
        with folder(trial) as place, mock.patch.dict(os.environ, CONTEXTA_CAPTURE__LOCAL_JSONL="false"):
            _round(trial, place, workers, blows)
            _check(trial, place, workers, totals, lost)
        told = ", ".join(f"{policy} {sum(each[1:]):,} of {each[0]:,}" for policy, each in totals.items())
        trial.say(f"{rounds} of {most} rounds: {told}")
    for policy, (captured, stored, dropped) in totals.items():
        trial.figure(f"{policy}: {captured:,} captured = {stored:,} stored + {dropped:,} dropped")
        trial.check(dropped > 0, f"{policy}: nothing was dropped, so nothing was tried")
    trial.check(lost["metric"] and lost["row"], f"not every kind was refused, so not every kind was tried: {lost}")
    told = ", ".join(f"{count} times {what}" for what, count in sorted(blows.items()))
    trial.figure(f"{workers} workers, {rounds} rounds; the daemon {told}")


def _round(trial: Trial, place: Path, workers: int, blows: Counter[str]) -> None:
    shared = Shared(place / "shared")
    chance = trial.chance
    spill_bytes = 0 if trial.short else chance.choice([0, 4 << 20, 64 << 20])
    settings = {
        "calls": 20_000 if trial.short else 300_000,
        "spool_bytes": 1 << 20,
        "spill_bytes": spill_bytes,
        "naps_s": [chance.choice([0.0, 0.001, 0.005, 0.02]) for _ in range(8)],
    }
    started = python(WORKERS, place, workers, json.dumps(settings))
    try:
        processes.until(
            lambda: all(shared[READY + number] for number in range(workers)) or started.poll() is not None,
            120, "every worker captures",
        )  # fmt: skip
        for _ in range(3 if trial.short else chance.randrange(4, 12)):
            _blow(trial, place / "ws", blows)
        if chance.random() < 0.5:  # the workers end while nobody takes what they have
            processes.send(processes.pids_of("daemon", place / "ws"), signal.SIGSTOP)
        shared[STOP] = 1
        trial.check(started.wait(180) == 0, f"workers failed: {started.returncode}")
    finally:
        shared[STOP] = 1
        processes.send(processes.pids_of("daemon", place / "ws"), signal.SIGCONT)
        started.kill()
        started.wait()


def _blow(trial: Trial, workspace: Path, blows: Counter[str]) -> None:
    """Stop the daemon for a while, kill it, or kill it while it is stopped. Its sender starts the next one."""
    what = trial.chance.choice(["stopped", "killed", "stopped and killed"])
    longest_s = 1.0 if trial.short else 3.0
    # After starts that came to nothing, as those that we kill, the sender waits before the next one.
    processes.until(lambda: processes.pids_of("daemon", workspace), 2 * LAST_BACKOFF_S, "a daemon is started")
    pids = processes.pids_of("daemon", workspace)
    if "stopped" in what:
        processes.send(pids, signal.SIGSTOP)
        time.sleep(trial.chance.uniform(longest_s / 2, longest_s))  # how long it is stopped; nothing is waited for
    processes.send(pids, signal.SIGKILL if "killed" in what else signal.SIGCONT)
    blows[what] += 1
    pause(trial.chance, longest_s)


def _check(trial: Trial, place: Path, workers: int, totals: dict[str, list[int]], lost: Counter[str]) -> None:
    deliver(place / "ws", 180)
    answers = _answers(place / "ws")
    sessions, log = read_log(place / "ws")
    trial.check(log.damaged_frames == 0, f"{log.damaged_frames} damaged frames")
    runs = by_run(sessions)
    for number in range(workers):
        told = Told.read(place / f"w{number}.npz")
        name, policy = f"w{number}", POLICIES[number % 2]
        found = runs.get(f"run:k.{name}", [])
        trial.check(len(found) == 1, f"{name}: {len(found)} sessions in the log")
        for problem in [each for session in found for each in _problems(session, told)]:
            trial.check(False, f"{name}, {policy}: {problem}")
        wanted = told.metrics, told.dropped
        trial.check(answers.get(f"run:k.{name}") == wanted, f"{name}: {answers.get(f'run:k.{name}')}, not {wanted}")
        stored = told.metrics + len(told.kept["event"])
        trial.check(
            told.captured == stored + told.dropped, f"{name}: {told.captured} are not {stored} + {told.dropped}"
        )
        every = {"metric": 1, "row": ROW_EVERY, "event": EVENT_EVERY}
        lost.update({kind: -(-told.calls // every[kind]) - len(told.kept[kind]) for kind in KINDS})
        for place_of, count in enumerate((told.captured, stored, told.dropped)):
            totals[policy][place_of] += count


def _problems(session: Session, told: Told) -> list[str]:
    """Return what the log has otherwise than the worker was told."""
    found = []
    expected = {"m": told.kept["metric"], **dict.fromkeys(ROW_KEYS, told.kept["row"])}
    for kind, (key, wanted) in enumerate(expected.items()):
        steps, values = session.points(key)
        if not np.array_equal(steps, wanted):
            found.append(f"{key}: {len(wanted)} kept, {len(steps)} stored")
        exact = np.ldexp(1.0 + steps / (1 << 40), kind - 2)
        if not np.array_equal(values.view(np.int64), exact.view(np.int64)):
            found.append(f"{key}: values changed")
    events = [int(entry.event.message) for entry in session.of("event")]
    if events != told.kept["event"].tolist():
        found.append(f"events: {len(told.kept['event'])} kept, {len(events)} stored")
    if session.dropped() != told.lost:
        found.append(f"dropped {told.lost}, the log says {session.dropped()}")
    if session.gaps:
        found.append(f"{session.gaps} gaps in the sequence")
    return found


def _answers(workspace: Path) -> dict[str, tuple[int, int]]:
    """Return metrics and dropped records of every run, as the daemon answers; it is ended again."""
    with Contexta(workspace=workspace, config={"project_name": "k"}) as ctx:
        answer = ctx.sql("SELECT run_id, metric_count, dropped_count FROM runs")
        found = {str(row[0]): (int(row[1]), int(row[2])) for row in answer.rows}
    processes.end_all(workspace, 120)
    return found
