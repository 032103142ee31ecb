"""Reading one series back: all of its points, and downsampled, beside the same read from SQLite and json lines."""

from __future__ import annotations

import json
import sqlite3
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import harness
import numpy as np
from harness import Report
from yardsticks import JsonLines, SqliteRows

MAX_POINTS = 2_000


def measure(report: Report, quick: bool) -> None:
    sizes = [1_000, 10_000, 100_000] if quick else [10_000, 100_000, 1_000_000]
    table = report.table(
        "Median of 7 reads; all points become numpy arrays",
        *("points", "all", "at most 2,000", "before columns", "sqlite, all", "json lines, all", "all, x sqlite"),
    )
    for count in sizes:
        values = np.sin(np.arange(count) / 1000)
        with harness.workspace() as (ctx, path), harness.folder() as place:
            run = harness.warm_up(ctx)
            for step, value in enumerate(values.tolist()):
                run.metric("loss", value, step=step)
            ctx.flush(120)
            log_s = harness.seconds(lambda ctx=ctx, ref=run.ref: ctx.get_step_series(ref, "loss"))
            harness.wait_for_columns(path, count + 1)  # warm_up captured one
            _check(ctx.get_step_series(run.ref, "loss"), values)
            whole_s = _median(lambda ctx=ctx, ref=run.ref: ctx.get_step_series(ref, "loss"))
            thin_s = _median(lambda ctx=ctx, ref=run.ref: ctx.get_step_series(ref, "loss", max_points=MAX_POINTS))
            run.close()
            lines, rows = JsonLines(place / "lines"), SqliteRows(place / "rows.db")
            for step, value in enumerate(values.tolist()):
                lines.metric(step, "loss", value)
                rows.metric(step, "loss", value)
            lines.finish()
            rows.finish()
            sqlite_s = _median(lambda place=place: _from_sqlite(place / "rows.db"))
            json_s = harness.seconds(lambda place=place: _from_lines(place / "lines"))
        shown = [_ms(taken) for taken in (whole_s, thin_s, log_s, sqlite_s, json_s)]
        table.add(f"{count:,}", *shown, f"{whole_s / sqlite_s:.2f}")
    report.goal(f"{sizes[-1]:,} points", "50 ms", _ms(whole_s), whole_s <= 0.05)
    report.goal(f"{sizes[-1]:,} points as {MAX_POINTS:,}", "20 ms", _ms(thin_s), thin_s <= 0.02)
    report.goal(f"{sizes[-1]:,} points, read from the log alone", "1,000 ms", _ms(log_s), log_s <= 1)
    report.remarks.append("Read out of columns, the run still open; before columns: once, right after the flush.")


def _check(series: Any, values: Any) -> None:
    if not (np.array_equal(series.values, values) and np.array_equal(series.steps, np.arange(len(values)))):
        raise AssertionError(f"{len(series.values)} points came back, not the {len(values)} captured ones")


def _median(read: Callable[[], object]) -> float:
    return statistics.median(harness.seconds(read) for _ in range(7))


def _from_sqlite(path: Path) -> Any:
    with sqlite3.connect(path) as db:
        rows = db.execute("SELECT step, value FROM m WHERE key = 'loss' ORDER BY step").fetchall()
    return np.array(rows)


def _from_lines(path: Path) -> Any:
    with path.open() as file:
        found = [json.loads(line) for line in file]
    return np.array([(each["step"], each["value"]) for each in found])


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms"


if __name__ == "__main__":
    harness.main(measure, name="series", title="Reading a series", what="One series of one run, read by the client.")
