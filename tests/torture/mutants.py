"""Seeded bugs, each in a copy of the tree: the tests that are named for it find every one (tests/mutants)."""

from __future__ import annotations

from mutation import CAUGHT, Verdict, all_mutants
from mutation_runs import sample, try_all
from rig import Trial


def run(trial: Trial) -> None:
    mutants = all_mutants()
    chosen = sample(mutants, trial.chance) if trial.short else mutants

    def tell(verdict: Verdict) -> None:
        said = f"{verdict.outcome} {verdict.mutant.name}: {verdict.by}"
        trial.say(said)
        trial.check(verdict.outcome == CAUGHT, said)

    verdicts = try_all(chosen, tell=tell)
    caught = sum(verdict.outcome == CAUGHT for verdict in verdicts)
    kinds = len({verdict.mutant.kind for verdict in verdicts})
    trial.figure(f"{caught} of {len(verdicts)} seeded bugs of {kinds} kinds caught")
