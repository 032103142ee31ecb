"""What one metric() call costs the caller, with everything healthy, the daemon stopped, and all of it dead."""

from __future__ import annotations

import signal
import time
from collections import deque
from pathlib import Path
from typing import Any

import harness
from harness import Report, percentile, processes, time_calls, us
from yardsticks import JsonLines, SqliteRows, deque_append


def measure(report: Report, quick: bool) -> None:
    count = 20_000 if quick else 200_000
    table = report.table(
        f"One call, {count:,} of each; the clock's own time is included",
        "what", "p50", "p99", "p99.9", "max", "x deque",
    )  # fmt: skip
    found: dict[str, tuple[float, float]] = {}

    def row(name: str, call: Any) -> None:
        time_calls(call, min(count, 10_000))
        taken = time_calls(call, count)
        p50, p999 = percentile(taken, 50), percentile(taken, 99.9)
        found[name] = p50, p999
        ratio = f"{p50 / found['deque append'][0]:.2f}" if "deque append" in found else ""
        table.add(name, us(p50), us(percentile(taken, 99)), us(p999), us(max(taken) / 1000), ratio)

    with harness.folder() as place:
        row("nothing (the clock alone)", lambda step: None)
        row("deque append", deque_append())
        lines, rows = JsonLines(place / "lines"), SqliteRows(place / "rows")
        row("json line", lines.metric)
        row("sqlite row", rows.metric)
        lines.finish()
        rows.finish()
    with harness.workspace() as (ctx, path):
        _contexta_rows(ctx, path, row)
    with harness.workspace(daemon={"autostart": False}) as (ctx, _):
        run = ctx.run("bench")
        row("metric(), no daemon and none started", lambda step: run.metric("loss", 0.5, step=step))
    own, append = _blocks(report, quick)
    report.goal("metric(), median", "0.5 us", us(own), own <= 0.5)
    report.goal("metric() beside a deque append", "3 times", f"{own / append:.2f} times", own <= 3 * append)
    for name, (_, p999) in found.items():
        if name.startswith("metric()"):
            report.goal(f"{name} p99.9", "20 us", us(p999), p999 <= 20)


def _blocks(report: Report, quick: bool) -> tuple[float, float]:
    """Time blocks of calls as a loop makes them, in turns, the empty loop taken off: no clock between the calls."""
    each, blocks = 1000, 100 if quick else 1000
    steps = range(each)
    kept: deque[tuple[str, float, int, int]] = deque(maxlen=1_000_000)
    append, now = kept.append, time.time_ns
    clock = time.perf_counter_ns
    taken: dict[str, list[int]] = {"nothing": [], "deque append": [], "metric()": []}
    with harness.workspace() as (ctx, _):
        metric = harness.warm_up(ctx).metric
        for _block in range(blocks):
            began = clock()
            for _step in steps:
                pass
            taken["nothing"].append(clock() - began)
            began = clock()
            for step in steps:
                append(("loss", 0.5, step, now()))
            taken["deque append"].append(clock() - began)
            began = clock()
            for step in steps:
                metric("loss", 0.5, step=step)
            taken["metric()"].append(clock() - began)
    table = report.table(
        f"A call in a loop: {blocks:,} blocks of {each:,} calls each, in turns",
        "what",
        "median",
        "p99 of blocks",
        "x deque",
    )
    empty = percentile(taken["nothing"], 50) / each
    medians = {name: percentile(times, 50) / each - empty for name, times in taken.items() if name != "nothing"}
    for name, median in medians.items():
        table.add(name, us(median), us(percentile(taken[name], 99) / each), f"{median / medians['deque append']:.2f}")
    return medians["metric()"], medians["deque append"]


def _contexta_rows(ctx: Any, path: Path, row: Any) -> None:
    run = harness.warm_up(ctx)
    row("metric()", lambda step: run.metric("loss", 0.5, step=step))
    row("metric() of an int", lambda step: run.metric("count", step, step=step))
    ctx.flush(60)
    processes.send(processes.pids_of("daemon", path), signal.SIGSTOP)
    row("metric(), daemon stopped", lambda step: run.metric("loss", 0.5, step=step))
    processes.send(processes.pids_of("sender", path), signal.SIGSTOP)
    row("metric(), daemon and sender stopped", lambda step: run.metric("loss", 0.5, step=step))
    processes.send(processes.pids_of("sender", path), signal.SIGCONT)
    processes.send(processes.pids_of("daemon", path), signal.SIGCONT)
    ctx.flush(60)
    processes.kill_all(path)
    row("metric(), daemon and sender just killed", lambda step: run.metric("loss", 0.5, step=step))


if __name__ == "__main__":
    harness.main(
        measure, name="call", title="One metric call", what="The time until metric() comes back, call by call."
    )
