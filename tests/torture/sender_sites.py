"""The sender and the trainer killed at every call that changes files: spools and journals made, growing and closed.

A plain sender delivers what is left; then everything that returned must be there, once, bit for bit.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from breaking import OPEN, WRITES, Fault, library, said, sites_of
from rig import Trial, in_parallel
from sender_rounds import SENDER, TRAINER, Group, Round

GROUP = 6  # rounds in one workspace
SHORT_ROUNDS = 6
WHO = {SENDER: "the sender", TRAINER: "the trainer"}

LONGEST_S = 7200.0


def run(trial: Trial) -> None:
    if library() is None:
        trial.skipped = "there is no C compiler for the library that breaks calls"
        return
    for role, who in WHO.items():
        faults = kills(trial, role)
        trial.chance.shuffle(faults)
        if trial.short:
            faults = faults[: SHORT_ROUNDS // 2]
        rounds = play_all(trial, role, faults, must_live=False, limit_s=trial.lasts_s(LONGEST_S) / len(WHO))
        killed = [fault for fault, made in rounds if made.broken]
        kinds = Counter(f"{site.call}{' torn' * (how == 'torn')}" for site, how in killed)
        trial.figure(
            f"{who} killed at {len(killed)} of {len(faults)} sites "
            f"({len(rounds) - len(killed)} were not met in their round): "
            + ", ".join(f"{kind} {number}" for kind, number in kinds.most_common())
        )


def kills(trial: Trial, role: str) -> list[Fault]:
    """Every site of a round in a fresh workspace, and of one in a workspace that was used."""
    found: list[Fault] = []
    for site in sorted({site for calls in watched(trial, role) for site in sites_of(calls) if site.call != OPEN}):
        found += [(site, how) for how in (("kill", "torn") if site.call in WRITES else ("kill",))]
    return found


def watched(trial: Trial, role: str) -> list[list]:
    rounds = Group(role).play([None, None])
    for made in rounds:
        for problem in made.wrong:
            trial.check(False, f"undisturbed: {problem}")
    return [made.calls for made in rounds]


def play_all(
    trial: Trial, role: str, faults: Sequence[Fault], *, must_live: bool, limit_s: float
) -> list[tuple[Fault, Round]]:
    """Play a round for each fault, in groups, as far as the time allows; note what is not as promised."""
    until = time.monotonic() + limit_s
    size = 3 if trial.short else GROUP
    groups = [faults[at : at + size] for at in range(0, len(faults), size)]
    played: list[tuple[Fault, Round]] = []

    def play(group: Sequence[Fault]) -> None:
        if time.monotonic() > until:
            return
        for fault, made in zip(group, Group(role, must_live=must_live).play(group), strict=False):
            played.append((fault, made))
            for problem in made.wrong:
                trial.check(False, f"{WHO[role]}, {said(fault)} ({made.name}): {problem}")
        if not trial.short:
            trial.say(f"{len(played)} of {len(faults)} rounds of {WHO[role]}")

    in_parallel(play, groups)
    return played
