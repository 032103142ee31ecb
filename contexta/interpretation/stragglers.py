"""Which rank is slower than its peers, in which stage, from when: told by when ranks recorded the same steps.

For each step, a rank's lateness is how long after the median rank it recorded a metric. Where ranks wait for each other
at every step, a slow one is late by the same amount each time; where they do not, its lateness grows. In both cases a
rank is a straggler from the step on from which its lateness never again falls below `threshold` of the median time of a
step. A rank that is later than a whole step, yet as fast as the others, only began later: nobody waits for it. Clocks
of other hosts may be off: there only what a rank lost since the first steps counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..contract.times import format_ns
from .findings import CompletenessNote, Straggler, StragglerReport

THRESHOLD = 0.2  # of a step's median time
MIN_RANKS = 3  # of two, nobody can say which one is slow
MIN_STEPS = 10
_SETTLED = 5  # steps at the end that must all be late

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RankTimes:
    """When one rank recorded the steps of a metric in a stage: parallel arrays, in the order of steps."""

    rank: int
    host: str
    steps: Int64s
    times_ns: Int64s


def find_stragglers(
    run_id: str, metric_key: str, stage_id: str | None, stage_name: str | None, ranks: Sequence[RankTimes],
    *, threshold: float = THRESHOLD,
) -> StragglerReport:  # fmt: skip
    """Compare the ranks of one stage. Too few ranks or common steps give an empty report with a note."""
    if len(ranks) < MIN_RANKS:
        return _nothing(run_id, f"{len(ranks)} ranks recorded {metric_key!r} with steps; {MIN_RANKS} are needed.")
    steps, times_s = _on_common_steps(ranks)
    if len(steps) < MIN_STEPS:
        return _nothing(run_id, f"The ranks have {len(steps)} steps of {metric_key!r} in common, not {MIN_STEPS}.")
    lateness = times_s - np.median(times_s, axis=0)
    home = Counter(each.host for each in ranks).most_common(1)[0][0]
    notes = []
    for row, each in enumerate(ranks):
        if each.host != home:
            lateness[row] -= np.median(lateness[row, : max(3, len(steps) // 10)])
    if any(each.host != home for each in ranks):
        notes.append(CompletenessNote("info", "Ranks run on several hosts: what a clock is off was taken out."))
    durations = np.diff(times_s, axis=1)
    usual_s = float(np.median(durations))
    found = []
    for row, each in enumerate(ranks):
        since = _since(lateness[row], threshold * usual_s)
        if since is None:
            continue
        at = max(since - 1, 0)
        others = np.delete(durations, row, axis=0)[:, at:]
        own_s, others_s = float(np.median(durations[row, at:])), float(np.median(others))
        if np.median(lateness[row, since:]) > usual_s and own_s < others_s * (1 + threshold / 2):
            continue
        found.append(
            Straggler(
                run_id, each.rank, stage_id, stage_name, each.host, int(steps[since]),
                format_ns(int(each.times_ns[np.searchsorted(each.steps, steps[since])])), float(lateness[row, -1]),
                own_s, others_s, metric_key,
            )
        )  # fmt: skip
    return StragglerReport(run_id, tuple(sorted(found, key=lambda each: -each.late_s)), tuple(notes))


def _nothing(run_id: str, why: str) -> StragglerReport:
    return StragglerReport(run_id, (), (CompletenessNote("info", why),))


def _on_common_steps(ranks: Sequence[RankTimes]) -> tuple[Int64s, Float64s]:
    """Return the steps that all ranks have, and times of shape (ranks, steps) in seconds since the first."""
    common = ranks[0].steps
    for each in ranks[1:]:
        common = np.intersect1d(common, each.steps)
    if not len(common):
        return common, np.empty((len(ranks), 0))
    first_ns = min(int(each.times_ns[0]) for each in ranks)
    rows = [each.times_ns[np.searchsorted(each.steps, common)] - first_ns for each in ranks]
    return common, np.asarray(rows, dtype=np.float64) / 1e9


def _since(lateness: Float64s, limit_s: float) -> int | None:
    """Return the place from which on all of the lateness is above the limit; None when it is not at the end."""
    below = np.flatnonzero(lateness < limit_s)
    since = int(below[-1]) + 1 if len(below) else 0
    return since if len(lateness) - since >= min(_SETTLED, len(lateness)) else None
