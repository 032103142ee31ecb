"""Metrics a second until all are durable, from one process and from eight, read back and compared value by value."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import harness
import numpy as np
from harness import Report, processes, rate
from yardsticks import JsonLines, SqliteRows

WIDTH = 100  # metrics of one log()


def value_of(steps: Any) -> Any:
    """The value of a step, a smooth curve with noise in its last digits."""
    return np.sin(np.asarray(steps) / 1000.0)


def worker(kind: str, place: Path, number: int, count: int) -> None:
    """One capturing process: says when it is ready, waits to be told to go, prints the seconds of calls and of all."""
    import gc

    values = value_of(range(count if kind != "log" else count // WIDTH)).tolist()
    if kind in ("metric", "log"):
        from contexta import Contexta

        ctx = Contexta(workspace=place / "ws", config={"project_name": "bench"})
        run = harness.warm_up(ctx, f"r{number}")
    elif kind == "json":
        lines = JsonLines(place / f"lines{number}")
    else:
        rows = SqliteRows(place / "rows.db")
    print("ready", flush=True)
    sys.stdin.readline()
    gc.collect()
    began = time.perf_counter()
    if kind == "metric":
        metric = run.metric
        for step, value in enumerate(values):
            metric("loss", value, step=step)
    elif kind == "log":
        names = [f"m{index}" for index in range(WIDTH)]
        log = run.log
        for step, value in enumerate(values):
            log(dict.fromkeys(names, value), step=step)
    else:
        keep = lines.metric if kind == "json" else rows.metric
        for step, value in enumerate(values):
            keep(step, "loss", value)
    called = time.perf_counter() - began
    {"json": lambda: lines.finish(), "sqlite": lambda: rows.finish()}.get(kind, lambda: ctx.flush(600))()
    print(called, time.perf_counter() - began, flush=True)
    if kind in ("metric", "log"):
        ctx.close()


def trial(kind: str, workers: int, count: int) -> tuple[float, float, str]:
    """Return calls a second while calling, metrics a second until durable, and what reading back said."""
    with harness.folder() as place:
        command = [sys.executable, __file__, "--worker", kind, str(place)]
        started = [
            subprocess.Popen(
                [*command, str(number), str(count // workers)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            for number in range(workers)
        ]
        for each in started:
            assert each.stdout is not None and each.stdout.readline() == "ready\n"
        began = time.perf_counter()
        for each in started:
            assert each.stdin is not None
            each.stdin.write("\n")
            each.stdin.flush()
        taken = [tuple(map(float, each.stdout.readline().split())) for each in started if each.stdout]
        total_s = time.perf_counter() - began
        for each in started:
            assert each.wait(120) == 0
        total = count // workers * workers
        checked = _check(place / "ws", kind, workers, count // workers) if kind in ("metric", "log") else ""
        return total / max(called for called, _ in taken), total / total_s, checked


def _check(workspace: Path, kind: str, workers: int, each: int) -> str:
    """Compare everything in the log with what was captured."""
    from stored import by_run, read_log

    processes.until(lambda: not processes.spools_of(workspace), 120, "all spools are delivered")
    processes.end_all(workspace)
    sessions = by_run(read_log(workspace)[0])
    for number in range(workers):
        (session,) = sessions[f"run:bench.r{number}"]
        keys, n = (["loss"], each) if kind == "metric" else ([f"m{index}" for index in range(WIDTH)], each // WIDTH)
        ok = True
        for key in keys:
            steps, values = session.points(key)
            ok = ok and np.array_equal(steps, np.arange(n)) and np.array_equal(values, value_of(np.arange(n)))
        if not ok or session.gaps or session.dropped():
            raise AssertionError(f"run r{number}: {len(steps)} steps, dropped {session.dropped()}")
    return "all, exactly"


def measure(report: Report, quick: bool) -> None:
    sizes = [30_000, 300_000] if quick else [100_000, 1_000_000, 10_000_000]
    columns = ("metrics", "processes", "what", "while calling", "until durable", "x json lines", "read back")
    table = report.table("Metrics a second", *columns)
    last: dict[tuple[str, int], float] = {}
    for count in sizes:
        for workers in (1, 8):
            for kind in ("json", "sqlite", "metric", "log"):
                if kind in ("json", "sqlite") and count > 3_000_000:
                    continue
                calling, durable, checked = trial(kind, workers, count)
                last[kind, workers] = durable
                times = f"{durable / last['json', workers]:.2f}"
                name = {"json": "json lines", "sqlite": "sqlite rows", "metric": "metric()", "log": "log() of 100"}
                table.add(f"{count:,}", workers, name[kind], rate(calling), rate(durable), times, checked or "not read")
    for what, key, goal in (
        ("one process, metric()", ("metric", 1), 2e6),
        ("8 processes, metric()", ("metric", 8), 2.5e6),
        ("8 processes, log()", ("log", 8), 5e6),
    ):
        report.goal(f"{what}, until durable", rate(goal), rate(last[key]), last[key] >= goal)
    if math.isfinite(last["json", 1]) and not quick:
        report.remarks.append("At 10 M metrics the ratio is to the json lines of 1 M, which cost the same each.")


if __name__ == "__main__":
    if "--worker" in sys.argv:
        _, _, kind, place, number, count = sys.argv
        worker(kind, Path(place), int(number), int(count))
    else:
        harness.main(
            measure,
            name="throughput",
            title="Throughput until durable",
            what="From the first call until flush() returned in every process; then the log is read and compared.",
        )
