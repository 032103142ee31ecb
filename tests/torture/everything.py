"""Random everything: trainers with threads and forks, all of them killed and stopped, full disks, questions, backups,
restores, rebuilds, changing settings.

One workspace follows another, each for a while. Whatever happened in it: what was durable is readable, each record once
and bit for bit, losses are counted, answers agree with the log, and nothing is left behind.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import everything_trainer as words
from disk_full import _can_mount, _fill, _mounted
from everything_check import check_log, check_models, check_nothing_left
from everything_questions import TOLERATED, Questioner, counts, settled
from rig import Shared, Trial, deliver, folder, pause, processes, python
from stored import read_log

from contexta import Contexta
from contexta.config import load_config
from contexta.errors import ContextaError
from contexta.recovery import (
    create_workspace_backup,
    plan_restore,
    plan_workspace_backup,
    rebuild_workspace,
    restore_workspace,
)

SHORT_S, LONG_S, WORKSPACE_S = 10.0, 3600.0, 45.0
MOST_TRAINERS = 4
TRAINER = "import sys; from everything_trainer import main; main(*sys.argv[1:])"


class Trainer:
    """A training process, and what it counts."""

    def __init__(self, place: Path, number: int, seed: str, *, small_disk: bool) -> None:
        self.number = number
        self.shared = Shared(place / f"done{number}")
        self.process = python(TRAINER, place / "ws", number, seed, small_disk)
        self.killed = False

    def lives(self) -> bool:
        return self.process.poll() is None


class Life:
    """What is done to one workspace."""

    def __init__(self, trial: Trial, place: Path, done: Counter[str], *, small_disk: bool) -> None:
        self.trial, self.chance, self.place, self.done = trial, trial.chance, place, done
        self.workspace, self.small_disk = place / "ws", small_disk
        self.trainers: list[Trainer] = []
        self.config = load_config(workspace=self.workspace, patch={"project_name": "k"})
        self.deeds: list[Callable[[], object]] = [
            *[self.start] * 3, *[self.kill] * 3, *[self.stop] * 2,
            self.kill_trainer, self.copy, self.rebuild, self.command,
        ]  # fmt: skip
        if small_disk:
            self.deeds += [self.fill] * 2
        (place / "models").mkdir()

    def live(self, lasts_s: float) -> None:
        """Do something at random, again and again."""
        self.start()
        processes.until(lambda: self.trainers[0].shared[words.READY] or not self.trainers[0].lives(), 90, "it captures")
        end = time.monotonic() + lasts_s
        while time.monotonic() < end:
            pause(self.chance, 0.4)
            deed = self.chance.choice(self.deeds)
            try:
                deed()
                self.done[deed.__name__] += 1
            except ContextaError as error:
                self.done[f"{deed.__name__}: {type(error).__name__}"] += 1
                self.trial.check(isinstance(error, TOLERATED), f"{deed.__name__}: {error!r}")

    def end(self) -> None:
        """Let everything go on and come to its end, however it was left."""
        for trainer in self.trainers:
            trainer.shared[words.STOP] = 1
            trainer.process.send_signal(signal.SIGCONT)
        for trainer in self.trainers:
            status = trainer.process.wait(120)
            wrong = status and not trainer.killed
            self.trial.check(not wrong, f"trainer {trainer.number} ended with {status}: {self._said(trainer)}")

    def _said(self, trainer: Trainer) -> str:
        path = self.place / f"said{trainer.number}"
        return path.read_text(errors="replace")[-600:] if path.exists() else ""

    # --- deeds -------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        if sum(each.lives() for each in self.trainers) >= MOST_TRAINERS:
            return
        number = len(self.trainers)
        seed = f"{self.trial.seed}/{self.done['workspaces']}/{number}"
        self.trainers.append(Trainer(self.place, number, seed, small_disk=self.small_disk))

    def kill(self) -> None:
        whom = self.chance.choice([("daemon",), ("sender",), ("sender", "daemon")])
        processes.send([pid for role in whom for pid in processes.pids_of(role, self.workspace)], signal.SIGKILL)

    def stop(self) -> None:
        """Stop some for a while, as a machine that swaps or a debugger does."""
        whom = self.chance.choice([("daemon",), ("sender",), ("sender", "daemon"), ()])
        pids = [pid for role in whom for pid in processes.pids_of(role, self.workspace)]
        pids += [
            each.process.pid for each in self.trainers if each.lives() and (not whom or self.chance.random() < 0.2)
        ]
        processes.send(pids, signal.SIGSTOP)
        pause(self.chance, 1.5)
        processes.send(pids, signal.SIGKILL if self.chance.random() < 0.2 and whom else signal.SIGCONT)
        for trainer in self.trainers:
            if trainer.process.pid in pids:
                trainer.killed = True  # it may have been
        processes.send(pids, signal.SIGCONT)

    def kill_trainer(self) -> None:
        alive = [each for each in self.trainers if each.lives()]
        if alive:
            trainer = self.chance.choice(alive)
            trainer.killed = True
            trainer.process.kill()
            trainer.process.wait()

    def fill(self) -> None:
        """No room for a while."""
        filler = self.workspace / "filler"
        _fill(filler)
        pause(self.chance, 1.5)
        if self.chance.random() < 0.3:
            self.kill()
        pause(self.chance, 0.5)
        filler.unlink()

    def copy(self) -> None:
        """Back up what is in use, restore it elsewhere: all that was durable before is in it, and nothing twice."""
        before = {each.number: each.shared[words.DURABLE] for each in self.trainers}
        plan = plan_workspace_backup(self.config, folder=self.place / "backups")
        made = create_workspace_backup(self.config, plan)
        target = self.place / "restored"
        try:
            restore_workspace(self.config, plan_restore(self.config, made.path, target_workspace=target))
            sessions, log = read_log(target)
            self.trial.check(log.damaged_frames == 0, f"a backup has {log.damaged_frames} damaged frames")
            for problem in check_log(sessions, {each.number: each for each in self.trainers}, durable=before):
                self.trial.check(False, f"in a backup: {problem}")
        finally:
            shutil.rmtree(self.place / "backups", ignore_errors=True)
            shutil.rmtree(target, ignore_errors=True)

    def rebuild(self) -> None:
        rebuild_workspace(self.config)

    def command(self) -> None:
        """A question from the command line: it answers, or says why not."""
        question = self.chance.choice([["runs"], ["sql", "select count(*) from runs"], ["daemon", "status"]])
        asked = ["-m", "contexta_client.cli", "--workspace", str(self.workspace), "--format", "json", *question]
        done = subprocess.run([sys.executable, *asked], capture_output=True, text=True, timeout=120, cwd=self.place)
        self.trial.check(done.returncode in (0, 1), f"{question}: {done.returncode}, {done.stderr[-300:]}")
        self.trial.check("Traceback" not in done.stderr, f"{question}: {done.stderr[-600:]}")


def run(trial: Trial) -> None:
    end = time.monotonic() + trial.lasts_s(SHORT_S if trial.short else LONG_S)
    done: Counter[str] = Counter()
    small_disks = False
    while not done["workspaces"] or time.monotonic() < end:
        lasts_s = min(WORKSPACE_S, max(5.0, end - time.monotonic()))
        with folder(trial) as place, contextlib.ExitStack() as stack:
            small_disks = small_disks or (not done["workspaces"] and _can_mount(place))
            small = small_disks and trial.chance.random() < 0.4
            if small:
                stack.enter_context(_mounted(place / "ws"))
                stack.enter_context(mock.patch.dict(os.environ, CONTEXTA_CAPTURE__LOCAL_JSONL="false"))
            _one_workspace(trial, place, done, lasts_s, small_disk=small)
        done["workspaces"] += 1
        if trial.limit_s or not trial.short:
            trial.say(_told(done))
    if not small_disks:
        trial.say("disks were not filled: that needs a file system of a given size, which only root can mount")
    trial.check(done["records"] > 100 * done["workspaces"], f"{done['records']} records are too few to tell anything")
    trial.figure(_told(done))


def _told(done: Counter[str]) -> str:
    return ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in sorted(done.items()) if count)


def _one_workspace(trial: Trial, place: Path, done: Counter[str], lasts_s: float, *, small_disk: bool) -> None:
    life = Life(trial, place, done, small_disk=small_disk)
    questioner = Questioner(trial, life.workspace, trial.chance.randrange(1 << 30), lambda: list(life.trainers))
    questioner.start()
    try:
        life.live(lasts_s)
    finally:
        questioner.end()
        life.end()
    done["questions answered"] += questioner.answered
    done["questions refused"] += questioner.refused
    trainers = {each.number: each for each in life.trainers}
    deliver(life.workspace, 180)
    with Contexta(workspace=life.workspace, config={"project_name": "k"}) as ctx:
        answered = settled(ctx)
        check_models(trial, ctx, trainers, place / "models")
    rebuild_workspace(life.config)
    with Contexta(workspace=life.workspace, config={"project_name": "k"}) as ctx:
        again = settled(ctx)
    trial.check(again == answered, f"after a rebuild the answers differ: {_differences(answered, again)}")
    processes.end_all(life.workspace, 60)
    sessions, log = read_log(life.workspace)
    trial.check(log.damaged_frames == 0, f"{log.damaged_frames} damaged frames")
    for problem in check_log(sessions, trainers, final=True):
        trial.check(False, problem)
    logged = counts(sessions)
    trial.check(answered == logged, f"answers and log differ: {_differences(answered, logged)}")
    check_nothing_left(trial, life.workspace)
    done["records"] += sum(metrics for metrics, *_ in logged.values())
    done["dropped"] += sum(dropped for *_, dropped in logged.values())
    done["trainers"] += len(trainers)


def _differences(left: dict[str, tuple[int, ...]], right: dict[str, tuple[int, ...]]) -> str:
    return "; ".join(f"{name}: {left.get(name)}, {right.get(name)}" for name in sorted(left.keys() | right.keys())
                     if left.get(name) != right.get(name))[:600]  # fmt: skip
