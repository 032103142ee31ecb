"""What others could hand over, changed at random: none of it stops, fills or misleads who reads it."""

from __future__ import annotations

import logging
import random

import fuzzing
from rig import ROOT, Trial

SHORT_RUNS = {"payload": 2_000, "cursor": 2_000, "config": 100, "segment": 40, "frames": 40, "spool": 60, "package": 40,
              "backup": 40, "batch": 80, "rpc": 150}  # fmt: skip
LONG_S = 600
SHARES = {"payload": 20, "cursor": 15, "config": 20, "segment": 60, "frames": 60, "spool": 80, "package": 40,
          "backup": 40, "batch": 120, "rpc": 145}  # fmt: skip
MOST_GROWN_BYTES = 256 << 20  # of the daemon; its caches fill as its catalog grows


def run(trial: Trial) -> None:
    logging.disable(logging.CRITICAL)  # nearly every input is something to complain of
    try:
        for name in fuzzing.TARGETS:
            _fuzz(trial, name)
    finally:
        logging.disable(logging.NOTSET)


def _fuzz(trial: Trial, name: str) -> None:
    seconds = trial.lasts_s(LONG_S) * SHARES[name] / sum(SHARES.values())
    limit = {"runs": SHORT_RUNS[name]} if trial.short else {"seconds": seconds}
    # Chances of its own: however far the others came, it does the same again.
    found = fuzzing.fuzz(name, random.Random(f"{trial.seed}/fuzz/{name}"), **limit)
    for said in fuzzing.keep(found, ROOT / ".fuzz" / name):
        trial.check(False, said)
    trial.check(found.taken, f"{name}: nothing was taken, so nothing was tried")
    trial.check(found.taken < found.runs, f"{name}: everything was taken, whatever it was")
    grown = f", daemon at most {found.grown_bytes >> 20} MiB larger" if found.grown_bytes else ""
    trial.check(found.grown_bytes <= MOST_GROWN_BYTES, f"{name}: the daemon has grown by {found.grown_bytes} bytes")
    trial.figure(f"{name}: {found.runs:,} inputs, {found.taken:,} taken, {len(found.failed)} wrong{grown}")
