"""The Nth call failing, for every N, with each error, in daemon, sender and trainer; and writes that are cut short.

Whoever is hit goes on by itself, or, while it comes up, ends and says why. Nothing is raised into the training. A file
is not written or synced again after a sync of it failed. The invariant holds, with what was dropped counted.
"""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Sequence

from breaking import WRITES, Fault, Site, kind_of, library, said, sites_of, spread
from daemon_rounds import play_round
from daemon_sites import artifacts
from rig import Trial, in_parallel
from sender_sites import LONGEST_S, WHO, play_all, sites

ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EINTR, errno.EDQUOT)
SHORT_ROUNDS = 3  # of each
SHARE_OF_DAEMON, SHARE_OF_EACH = 0.55, 0.15  # of the time


def run(trial: Trial) -> None:
    if library() is None:
        trial.skipped = "there is no C compiler for the library that breaks calls"
        return
    _daemon(trial)
    for (role, away), who in WHO.items():
        if trial.short and away:
            continue
        faults = _chosen(trial, sites(trial, role, away=away))
        limit_s = trial.lasts_s(LONGEST_S) * SHARE_OF_EACH
        rounds = play_all(trial, role, faults, must_live=True, away=away, limit_s=limit_s)
        _sum_up(trial, who, len(faults), [(fault, made.broken) for fault, made in rounds])


def _daemon(trial: Trial) -> None:
    until = time.monotonic() + trial.lasts_s(LONGEST_S) * SHARE_OF_DAEMON
    with artifacts() as files:
        calls = play_round(files, [None], asks=not trial.short).calls
        faults = _chosen(trial, sites_of(calls))
        played: list[tuple[Fault, bool]] = []

        def play(fault: Fault) -> None:
            if time.monotonic() > until:
                return
            asks = "/records/columns/" in fault[0].glob
            made = play_round(files, [fault], asks=asks, must_live=True)
            played.append((fault, all(made.broken)))
            for problem in made.wrong:
                trial.check(False, f"the daemon, {said(fault)}: {problem}")
            if len(played) % 50 == 0:
                trial.say(f"{len(played)} of {len(faults)} rounds of the daemon")

        in_parallel(play, faults)
    _sum_up(trial, "the daemon", len(faults), played)


def _chosen(trial: Trial, found: Sequence[Site]) -> list[Fault]:
    """Every site with every error, in random order; in the short form a few."""
    faults: list[Fault] = []
    for site in found:
        faults += [(site, str(number)) for number in ERRORS]
        faults += [(site, "short")] * (site.call in WRITES)
    faults = spread(faults, trial.chance, kind_of)
    return faults[:SHORT_ROUNDS] if trial.short else faults


def _sum_up(trial: Trial, who: str, faults: int, played: Sequence[tuple[Fault, bool]]) -> None:
    failed = [fault for fault, broken in played if broken]
    kinds = Counter(errno.errorcode[int(how)] if how.isdigit() else how for _, how in failed)
    calls = Counter(site.call for site, _ in failed)
    trial.figure(
        f"{who}: {len(failed)} calls failed, of {faults} calls with each error, {len(played) - len(failed)} not met in "
        f"their round ({_listed(kinds)}; {_listed(calls)})"
    )


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in counts.most_common())
