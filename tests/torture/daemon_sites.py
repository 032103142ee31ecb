"""The daemon killed at every call that changes the disk during a scripted session, and again while it recovers.

A library loaded into it kills it just before the call is carried out, or with half of a write carried out. A plain
daemon comes up after it and takes the rest; then everything acknowledged must be there once, and everything at last.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from breaking import OPEN, WRITES, Fault, kind_of, library, sites_of, spread
from daemon_rounds import Round, play_round
from rig import Trial, in_parallel

SHORT_SITES, SHORT_SECOND = 6, 2
COLUMNS = "/records/columns/"
# After these the recovery is taken apart: a sync that was due, a torn append, and a torn step of each follower.
FIRST = (
    ("fdatasync", "/records/log/", "kill"),
    ("writev", "/records/log/", "torn"),
    ("pwrite", "/catalog.sqlite3-wal", "torn"),
    ("rename", "/metadata/mirror.json", "kill"),
    ("rename", "/artifacts/objects/", "kill"),
)


@dataclass(frozen=True, slots=True)
class Job:
    """A round that is to be played. asks: with questions, which make the columns write and merge."""

    faults: tuple[Fault, ...]
    asks: bool = False

    def __str__(self) -> str:
        return ", then ".join(f"{how} at {site}" for site, how in self.faults)


LONGEST_S = 7200.0


def run(trial: Trial) -> None:
    if library() is None:
        trial.skipped = "there is no C compiler for the library that breaks calls"
        return
    with artifacts() as files:
        jobs = first_jobs(trial, files)
        second = second_jobs(trial, files, jobs)
        jobs = spread(jobs, trial.chance, lambda job: kind_of(job.faults[-1]))
        second = spread(second, trial.chance, lambda job: kind_of(job.faults[-1]))
        if trial.short:
            jobs, second = jobs[:SHORT_SITES], second[:SHORT_SECOND]
        _play_all(trial, files, "of the session", jobs, trial.lasts_s(LONGEST_S) * 2 / 3)
        _play_all(trial, files, "of the recovery", second, trial.lasts_s(LONGEST_S) / 3)


@contextmanager
def artifacts() -> Iterator[Path]:
    """The folder of the files that are registered, the same for all rounds."""
    with tempfile.TemporaryDirectory(prefix="contexta-torture-files-") as files:
        yield Path(files)


def first_jobs(trial: Trial, files: Path) -> list[Job]:
    """Every site of a session, and those of the columns in one with questions."""
    jobs = []
    for asks in (False,) if trial.short else (False, True):
        watched = play_round(files, [None], asks=asks)
        for problem in watched.wrong:
            trial.check(False, f"undisturbed: {problem}")
        for site in sites_of(watched.calls):
            if site.call != OPEN and (not asks or COLUMNS in site.glob):
                hows = ("kill", "torn") if site.call in WRITES else ("kill",)
                jobs += [Job(((site, how),), asks) for how in hows]
    calls = Counter(job.faults[0][0].call for job in jobs if job.faults[0][1] == "kill")
    trial.say("sites of a session: " + ", ".join(f"{name} {number}" for name, number in calls.most_common()))
    return jobs


def second_jobs(trial: Trial, files: Path, jobs: Sequence[Job]) -> list[Job]:
    """Every site of the recovery after some kills: of coming up, catching up, and ending without more to do."""
    found = []
    chosen = [_middle(jobs, *first) for first in FIRST]
    for fault in trial.chance.sample(chosen, 1) if trial.short else chosen:
        watched = play_round(files, [fault, None])
        for problem in watched.wrong:
            trial.check(False, f"{Job((fault,))}: {problem}")
        for site in sites_of(watched.calls):
            if site.call != OPEN:
                hows = ("kill", "torn") if site.call in WRITES else ("kill",)
                found += [Job((fault, (site, how))) for how in hows]
    return found


def _middle(jobs: Sequence[Job], call: str, path: str, how: str) -> Fault:
    sites = [job.faults[0][0] for job in jobs if job.faults[0][1] == how and not job.asks]
    sites = [site for site in sites if site.call == call and path in site.glob]
    return sites[len(sites) // 2], how


def _play_all(trial: Trial, files: Path, what: str, jobs: Sequence[Job], limit_s: float) -> None:
    until = time.monotonic() + limit_s
    rounds: list[tuple[Job, Round]] = []

    def play(job: Job) -> None:
        if time.monotonic() < until:
            made = play_round(files, job.faults, asks=job.asks)
            rounds.append((job, made))
            for problem in made.wrong:
                trial.check(False, f"{job}: {problem}")
            if len(rounds) % 50 == 0:
                trial.say(f"{len(rounds)} of {len(jobs)} sites {what}")

    in_parallel(play, jobs)
    _sum_up(trial, what, rounds, len(jobs))


def _sum_up(trial: Trial, what: str, rounds: Sequence[tuple[Job, Round]], jobs: int) -> None:
    killed = [job for job, made in rounds if all(made.broken)]
    kinds = Counter(f"{job.faults[-1][0].call}{' torn' * (job.faults[-1][1] == 'torn')}" for job in killed)
    trial.figure(
        f"killed at {len(killed)} of {jobs} sites {what} ({len(rounds) - len(killed)} were not met in their round): "
        + ", ".join(f"{kind} {number}" for kind, number in kinds.most_common())
    )
    opened = [made.opened_s for _, made in rounds if made.opened_s]
    if opened:
        late = sum(each > 1.0 for each in opened)
        cpu_s = max(made.opened_cpu_s for _, made in rounds)
        trial.figure(
            f"served again within {median(opened):.2f} s (median), {max(opened):.2f} s (slowest, {cpu_s:.2f} s of "
            f"processor time at most); {late} of {len(opened)} took more than 1 s"
        )
