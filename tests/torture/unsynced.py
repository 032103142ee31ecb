"""What a file system may forget: legal states of a disk after a power loss, generated in memory and recovered from."""

from __future__ import annotations

import random
import time

from log_lives import BrokenPromiseError, Lives
from rig import Trial

LOSSES_A_LOG = 6


def run(trial: Trial) -> None:
    wanted = 2_000 if trial.short else 200_000
    states = losses = failed_syncs = logs = 0
    told, began = time.monotonic(), time.monotonic()
    while states < wanted:
        seed = trial.chance.getrandbits(32)
        lives = Lives(random.Random(seed))
        try:
            lives.go(LOSSES_A_LOG)
        except BrokenPromiseError as error:
            trial.check(False, f"log {seed}: {error}")
        logs, states, losses = logs + 1, states + lives.states, losses + LOSSES_A_LOG
        failed_syncs += lives.failed_syncs
        if time.monotonic() - told > 30:
            told = time.monotonic()
            trial.say(f"{states:,} of {wanted:,} states")
    trial.figure(
        f"{states:,} states of a disk after {losses:,} power losses of {logs:,} logs, {failed_syncs:,} failed syncs, "
        f"{len(trial.failures)} wrong; {states / (time.monotonic() - began) * 60:,.0f} states a minute"
    )
