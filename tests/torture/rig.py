"""What every part of the torture uses: a seed, a workspace of its own, and a verdict that says how to see it again."""

from __future__ import annotations

import contextlib
import math
import mmap
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import workspace_processes as processes  # noqa: E402

Job = TypeVar("Job")
Found = TypeVar("Found")


@dataclass
class Trial:
    """One part's run: its chances, what it found, and what it did."""

    short: bool
    seed: int
    part: str
    limit_s: float = 0.0  # 0: as the part says itself
    figures: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    skipped: str = ""

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.seed}/{self.part}")

    def lasts_s(self, usual_s: float) -> float:
        """For how long the part goes on: as was asked for, else as usual. It says how far it came."""
        return self.limit_s or usual_s

    def rounds(self, most: int, step: int = 1) -> Iterator[int]:
        """Yield 0, step, 2 * step, ... below `most`; fewer where a time was asked for, and is over."""
        end = time.monotonic() + (self.limit_s or math.inf)
        for number in range(0, most, step):
            if number and time.monotonic() > end:
                return
            yield number

    @property
    def slack(self) -> float:
        """How much longer than on an idle machine things may take now: as many want to run as there are cores."""
        return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))

    def check(self, ok: object, message: str) -> None:
        """Note what is not as promised, and go on."""
        if not ok:
            self.failures.append(message)
            print(f"    NOT AS PROMISED: {message}", flush=True)

    def say(self, message: str) -> None:
        """Tell how far it is."""
        print(f"    {message}", flush=True)

    def figure(self, text: str) -> None:
        """Keep a figure for the report."""
        self.figures.append(text)
        self.say(text)


class Shared:
    """Numbers that a process leaves behind however it dies: a mapped file of 512 words."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(4096))
        with path.open("r+b") as file:
            self.words = memoryview(mmap.mmap(file.fileno(), 4096)).cast("Q")

    def __getitem__(self, index: int) -> int:
        return self.words[index]

    def __setitem__(self, index: int, value: int) -> None:
        self.words[index] = value


@contextlib.contextmanager
def folder(trial: Trial) -> Iterator[Path]:
    """A folder with room for a workspace `ws`, whose processes are gone and whose spools are removed at the end.

    It is kept when something in it was not as promised, for whoever looks for the reason.
    """
    path = Path(tempfile.mkdtemp(prefix="contexta-torture-"))
    before = len(trial.failures)
    try:
        yield path
    except BaseException:
        before = -1
        raise
    finally:
        processes.kill_all(path / "ws")
        if len(trial.failures) > before and not os.path.ismount(path / "ws"):
            trial.say(f"kept for a look: {path}")
        else:
            processes.remove_workspace(path / "ws")
            shutil.rmtree(path, ignore_errors=True)


def in_parallel(play: Callable[[Job], object], jobs: Iterable[Job], *, at_once: int = 2) -> None:
    """Play every job, some at once. When one fails, or we are told to end, those that were not begun are left."""
    with ThreadPoolExecutor(at_once) as threads:
        try:
            for done in [threads.submit(play, job) for job in jobs]:
                done.result()
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def in_processes(work: Callable[[Job], Found], jobs: Iterable[Job], *, until: float) -> Iterator[Found]:
    """Do the jobs in forked processes, one for each of two cores, and give what they found in the jobs' order. At a
    moment of the monotonic clock the rest is left."""
    pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork"))
    running: deque[Future[Found]] = deque()
    with pool:
        for job in jobs:
            if time.monotonic() > until:
                break
            running.append(pool.submit(work, job))
            if len(running) > 4:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def python(program: str, *arguments: object, stdout: int | None = None) -> subprocess.Popen[bytes]:
    """Start a program text with the repository importable."""
    places = [ROOT, ROOT / "tests", ROOT / "tests" / "torture"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))}
    return subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], env=environment, stdout=stdout)


DELIVER = """
import sys
from contexta import Contexta
ctx = Contexta(workspace=sys.argv[1], config={"project_name": "k", "capture": {"exit_timeout_s": 60}})
with ctx.run("last") as run:
    run.metric("x", 1.0)
ctx.close()
"""


def deliver(workspace: Path, timeout_s: float = 90.0) -> None:
    """Let a last, undisturbed process bring sender and daemon up; return when no spool waits and both have ended."""
    assert python(DELIVER, workspace).wait(timeout_s) == 0
    processes.until(lambda: not processes.spools_of(workspace), timeout_s, f"every spool of {workspace} is delivered")
    processes.end_all(workspace, timeout_s)


def pause(chance: random.Random, longest_s: float) -> None:
    """Let others run for a random time, so that what comes next hits them anywhere. Not a wait for anything."""
    time.sleep(chance.uniform(0, longest_s))
