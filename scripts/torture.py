"""Torture: kill, stop, fill, flip and fork, and look whether every promise holds.

    python scripts/torture.py [--short] [--seed N] [--minutes M] [PART...]

A failing part says its seed, with which it does the same again. The long form writes docs/torture.md.
"""

from __future__ import annotations

import argparse
import importlib
import random
import signal
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "torture"), str(ROOT / "scripts")]

import torture_page  # noqa: E402
from rig import Trial  # noqa: E402

PARTS = {
    "kills": "random kill -9 of trainer, sender and daemon",
    "daemon_sites": "the daemon killed at every call that changes the disk, and again while it recovers",
    "sender_sites": "sender and trainer killed at every call that changes files",
    "failing_calls": "the Nth call failing with each error, in daemon, sender and trainer",
    "forks": "forks beside capturing threads",
    "disk_full": "the disk full, and room again",
    "power_loss": "the power of an ext4 cut at random moments",
    "unsynced": "what a file system may forget at a power loss: legal states, generated",
    "many_daemons": "many daemons started at once",
    "fuzz": "files, batches and calls changed at random",
    "bit_rot": "every byte of a segment cut and flipped",
    "accounting": "64 workers against a daemon that is stopped, killed and started again",
    "soak": "a day's worth of records at full speed: memory, files and threads stay flat",
    "everything": "random everything: trainers, kills, full disks, questions, backups, rebuilds",
    "connections": "connections, calls, headers and bodies that never end",
    "stopped": "calls beside a stopped daemon and sender",
    "mutants": "seeded bugs, each to be found by the tests",
}


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # so that what was begun is cleaned away
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    trials = []
    for part in options.parts or list(PARTS):
        trial = Trial(options.short, seed, part, options.minutes * 60)
        trials.append((trial, _run(trial)))
    failed = [trial for trial, _ in trials if trial.failures]
    for trial, taken_s in trials:
        verdict = f"skipped: {trial.skipped}" if trial.skipped else "FAILED" if trial.failures else "ok"
        print(f"{trial.part:14} {taken_s:7.1f} s  {verdict}")
    if failed:
        print(f"again: python scripts/torture.py --seed {seed} {' '.join(trial.part for trial in failed)}")
    if not options.short:
        for trial, taken_s in trials:
            _keep(trial, taken_s)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Kill, stop, fill, flip and fork; look whether every promise holds.")
    parser.add_argument("--short", action="store_true", help="some minutes instead of hours")
    parser.add_argument("--seed", type=int, help="do the same again")
    parser.add_argument("--minutes", type=float, default=0, help="for each part that takes as long as it is given")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when none is named")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    return options


def _run(trial: Trial) -> float:
    print(f"{trial.part}: {PARTS[trial.part]}", flush=True)
    began = time.monotonic()
    try:
        importlib.import_module(trial.part).run(trial)
    except Exception:
        traceback.print_exc()
        trial.check(False, f"the part itself failed: {traceback.format_exc(limit=-1)}")
    return time.monotonic() - began


def _keep(trial: Trial, taken_s: float) -> None:
    """Remember what a long run of a part found."""
    torture_page.keep(
        trial.part,
        {
            "seed": trial.seed,
            "date": f"{datetime.now(UTC):%Y-%m-%d}",
            "taken_s": round(taken_s),
            "figures": trial.figures,
            "failures": trial.failures[:3],
            "skipped": trial.skipped,
        },
    )


if __name__ == "__main__":
    sys.exit(main())
