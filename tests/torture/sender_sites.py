"""The sender and the trainer killed at every call that changes files: spools and journals made, growing and closed.

A plain sender delivers what is left; then everything that returned must be there, once, bit for bit.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from breaking import OPEN, WRITES, Fault, Site, kind_of, library, said, sites_of, spread
from rig import Trial, in_parallel
from sender_rounds import SENDER, TRAINER, Group, Round

GROUP = 6  # rounds in one workspace
SHORT_ROUNDS = 6
SPILL = "/cache/spill"
WHO = {  # and whether the daemon is away
    (SENDER, False): "the sender",
    (SENDER, True): "the sender while the daemon is away",
    (TRAINER, False): "the trainer",
}
LONGEST_S = 7200.0


def run(trial: Trial) -> None:
    if library() is None:
        trial.skipped = "there is no C compiler for the library that breaks calls"
        return
    for (role, away), who in WHO.items():
        if trial.short and away:
            continue  # its rounds take longest
        faults = kills(trial, role, away=away)
        faults = spread(faults, trial.chance, kind_of)
        if trial.short:
            faults = faults[: SHORT_ROUNDS // 2]
        limit_s = trial.lasts_s(LONGEST_S) / len(WHO)
        rounds = play_all(trial, role, faults, must_live=False, away=away, limit_s=limit_s)
        killed = [fault for fault, made in rounds if made.broken]
        kinds = Counter(f"{site.call}{' torn' * (how == 'torn')}" for site, how in killed)
        trial.figure(
            f"{who} killed at {len(killed)} of {len(faults)} sites "
            f"({len(rounds) - len(killed)} were not met in their round): "
            + ", ".join(f"{kind} {number}" for kind, number in kinds.most_common())
        )


def kills(trial: Trial, role: str, *, away: bool) -> list[Fault]:
    found: list[Fault] = []
    for site in sites(trial, role, away=away):
        if site.call != OPEN:
            found += [(site, how) for how in (("kill", "torn") if site.call in WRITES else ("kill",))]
    return found


def sites(trial: Trial, role: str, *, away: bool = False) -> list[Site]:
    """Every site of a round in a fresh workspace, and of one in a workspace that was used; away: of moving blocks."""
    rounds = Group(role, away=away).play([None] if away else [None, None])
    for made in rounds:
        for problem in made.wrong:
            trial.check(False, f"undisturbed: {problem}")
    found = sorted({site for made in rounds for site in sites_of(made.calls)})
    return [site for site in found if SPILL in site.glob and site.call != "open"] if away else found


def play_all(
    trial: Trial, role: str, faults: Sequence[Fault], *, must_live: bool, away: bool, limit_s: float
) -> list[tuple[Fault, Round]]:
    """Play a round for each fault, in groups, as far as the time allows; note what is not as promised."""
    until = time.monotonic() + limit_s
    size = 1 if away else 3 if trial.short else GROUP
    groups = [faults[at : at + size] for at in range(0, len(faults), size)]
    played: list[tuple[Fault, Round]] = []

    def play(group: Sequence[Fault]) -> None:
        if time.monotonic() > until:
            return
        for fault, made in zip(group, Group(role, must_live=must_live, away=away).play(group), strict=False):
            played.append((fault, made))
            for problem in made.wrong:
                trial.check(False, f"{WHO[role, away]}, {said(fault)} ({made.name}): {problem}")
        if not trial.short:
            trial.say(f"{len(played)} of {len(faults)} rounds of {WHO[role, away]}")

    in_parallel(play, groups)
    return played
