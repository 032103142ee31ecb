"""Mutants: put a seeded bug into a copy of the tree, and look whether the tests find it.

    python scripts/mutants.py [--short] [--whole] [--seed N] [--jobs N] [--tree FOLDER] [NAME...]

Without names all of tests/mutants/*.toml, each against the tests that are named for it; `--short` takes six of them,
others every day. `--whole` runs the whole suite against what these tests let pass. Ends with 1 unless all are caught.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests" / "torture")]

from mutation import CAUGHT, Mutant, Verdict, all_mutants  # noqa: E402
from mutation_runs import SAMPLE, sample, try_all  # noqa: E402


def main() -> int:
    options = _options()
    signal.signal(signal.SIGTERM, _end)
    chosen = _chosen(options)
    verdicts = try_all(chosen, root=options.tree, jobs=options.jobs, whole=options.whole, tell=_tell)
    missed = [each for each in verdicts if each.outcome != CAUGHT]
    print(f"{len(verdicts) - len(missed)} of {len(verdicts)} caught")
    if missed:
        print(f"again: python scripts/mutants.py {' '.join(each.mutant.name for each in missed)}")
    return 1 if missed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Seed bugs, one at a time, and look whether the tests find them.")
    parser.add_argument("--short", action="store_true", help=f"only {SAMPLE} of them, chosen by the seed")
    parser.add_argument("--whole", action="store_true", help="run the whole suite against what its own tests let pass")
    parser.add_argument("--seed", type=int, help="which are chosen; by default today's date")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (2)")
    parser.add_argument("--tree", type=Path, default=ROOT, help="of which tree; by default this one")
    parser.add_argument("names", nargs="*", metavar="NAME", help="mutants; all when none is named")
    return parser.parse_args()


def _chosen(options: argparse.Namespace) -> list[Mutant]:
    mutants = {each.name: each for each in all_mutants(options.tree)}
    if unknown := set(options.names) - set(mutants):
        sys.exit(f"no such mutant: {', '.join(sorted(unknown))}; there are {', '.join(mutants)}")
    if options.names:
        return [mutants[name] for name in options.names]
    if not options.short:
        return list(mutants.values())
    seed = options.seed if options.seed is not None else int(f"{datetime.now(UTC):%Y%m%d}")
    print(f"seed {seed}", flush=True)
    return sample(list(mutants.values()), random.Random(seed))


def _end(*_: object) -> None:
    """End so that the copies are removed, however often it is told."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit("ended by SIGTERM")


def _tell(verdict: Verdict) -> None:
    by = f"not by its own tests, but by {verdict.by}" if verdict.drifted and verdict.by else verdict.by
    print(f"{verdict.outcome:9} {verdict.taken_s:6.1f} s  {verdict.mutant.name}: {by}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
