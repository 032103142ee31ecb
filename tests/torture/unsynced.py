"""What a file system may forget: legal states of a disk after a power loss, generated in memory and recovered from.

Each log lives through some power losses; its seed alone tells its life (`Lives(random.Random(seed)).go(...)`).
"""

from __future__ import annotations

import random
import time
from collections import Counter

from log_lives import BrokenPromiseError, Lives
from rig import Trial, in_processes

LOSSES_A_LOG = 6
LOGS_A_JOB = 10
LONGEST_S = 1800.0
STATES = 200_000


def run(trial: Trial) -> None:
    wanted = 2_000 if trial.short else STATES
    began = told = time.monotonic()
    seeds = iter(lambda: trial.chance.getrandbits(32), None)
    totals: Counter[str] = Counter()
    for counts, failures in in_processes(live, seeds, until=began + trial.lasts_s(LONGEST_S)):
        totals.update(counts)
        for failure in failures:
            trial.check(False, failure)
        if time.monotonic() - told > 30:
            told = time.monotonic()
            trial.say(f"{totals['states']:,} of {wanted:,} states")
        if totals["states"] >= wanted:
            break
    a_minute = totals["states"] / (time.monotonic() - began) * 60
    trial.figure(
        f"{totals['states']:,} states of a disk after {totals['losses']:,} power losses of {totals['logs']:,} logs, "
        f"{totals['failed_syncs']:,} failed syncs, {len(trial.failures)} wrong; {a_minute:,.0f} states a minute"
    )


def live(seed: int) -> tuple[Counter[str], list[str]]:
    """Let some logs live; return numbers, and what was not as promised."""
    totals: Counter[str] = Counter()
    failures = []
    for log in range(seed, seed + LOGS_A_JOB):
        lives = Lives(random.Random(log))
        try:
            lives.go(LOSSES_A_LOG)
        except BrokenPromiseError as error:
            failures.append(f"log {log}: {error}")
        totals.update(logs=1, states=lives.states, losses=lives.losses, failed_syncs=lives.failed_syncs)
    return totals, failures
