"""Comparing two runs of many metrics, beside reading the same points from SQLite and comparing them by hand."""

from __future__ import annotations

import sqlite3
import statistics
from pathlib import Path
from typing import Any

import harness
import numpy as np
from harness import Report

KEYS = 1_000


def measure(report: Report, quick: bool) -> None:
    sizes = [1_000, 10_000, 100_000] if quick else [100_000, 1_000_000, 10_000_000]
    table = report.table(
        f"Two runs of {KEYS:,} keys; median of 7 comparisons",
        *("points a run", "compare_runs", "the same by SQLite over its points", "x"),
    )
    for points in sizes:
        with harness.workspace() as (ctx, _), harness.folder() as place:
            harness.warm_up(ctx).close()
            refs = [_capture(ctx, f"side{side}", points // KEYS, side) for side in (0, 1)]
            ctx.flush(600)
            _check(ctx.compare_runs(*refs), points // KEYS)
            each = [harness.seconds(lambda ctx=ctx, refs=refs: ctx.compare_runs(*refs)) for _ in range(7)]
            taken = statistics.median(each)
            by_hand = _sqlite(place / "rows.db", points // KEYS)
        table.add(f"{points:,}", f"{taken * 1000:,.0f} ms", f"{by_hand * 1000:,.0f} ms", f"{taken / by_hand:.2f}")
    report.goal(f"two runs of {sizes[-1]:,} points and {KEYS:,} keys", "0.5 s", f"{taken:.2f} s", taken <= 0.5)


def _capture(ctx: Any, name: str, steps: int, side: int) -> str:
    names = [f"m{index}" for index in range(KEYS)]
    with ctx.run(name) as run, run.stage("train") as stage:
        for step in range(steps):
            stage.log(dict.fromkeys(names, float(step + side)), step=step)
            if step % 2_000 == 1_999:
                ctx.flush(600)  # else the spool's bound is met, and rows are dropped
        return str(run.ref)


def _check(found: Any, steps: int) -> None:
    (stage,) = found.stage_comparisons
    values = {(each.left_value, each.right_value, each.delta) for each in stage.metric_deltas}
    if len(stage.metric_deltas) != KEYS or values != {(steps - 1.0, float(steps), 1.0)}:
        raise AssertionError(f"{len(stage.metric_deltas)} keys with {values}, not {KEYS} of one kind")


def _sqlite(path: Path, steps: int) -> float:
    """Return the seconds of one comparison where every point is a row, under an index on what is asked."""
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE m (run TEXT, key TEXT, step INTEGER, value REAL)")
        for side in (0, 1):
            for step in range(steps):
                db.executemany(
                    "INSERT INTO m VALUES (?, ?, ?, ?)",
                    [(f"side{side}", f"m{key}", step, float(step + side)) for key in range(KEYS)],
                )
        db.execute("CREATE INDEX m_by_series ON m (run, key, step)")
        newest = "SELECT key, value, max(step) FROM m WHERE run = ? GROUP BY key"

        def compare() -> int:
            left, right = (dict(row[:2] for row in db.execute(newest, (f"side{side}",))) for side in (0, 1))
            return int(np.count_nonzero([right[key] - left[key] for key in left]))

        return harness.seconds(compare)


if __name__ == "__main__":
    harness.main(measure, name="compare", title="Comparing two runs", what="Newest values of every key of two runs.")
