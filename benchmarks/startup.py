"""From `import contexta` to the first captured metric, and a daemon from nothing to serving."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import harness
from harness import Report, processes

# Timed inside: starting Python itself costs the same with or without us.
FIRST_METRIC = """
import sys
from time import perf_counter
began = perf_counter()
from contexta import Contexta
imported = perf_counter()
ctx = Contexta(workspace=sys.argv[1], config={"project_name": "bench"})
run = ctx.run("first")
run.metric("loss", 1.0)
done = perf_counter()
heavy = [name for name in ("grpc", "google.protobuf", "numpy", "duckdb", "sqlite3", "asyncio") if name in sys.modules]
import json
print(json.dumps([imported - began, done - began, heavy]), flush=True)
run.close()
ctx.close()
"""


def measure(report: Report, quick: bool) -> None:
    _first_metric(report, 5 if quick else 20)
    _daemon(report, [10_000, 100_000] if quick else [100_000, 1_000_000, 10_000_000])


def _first_metric(report: Report, rounds: int) -> None:
    table = report.table(f"{rounds} new processes each", "workspace", "import", "to the first metric", "slowest")
    heavy: set[str] = set()
    middle = 0.0
    for where in ("new", "served already"):
        imports, firsts = [], []
        with harness.folder() as place:
            if where != "new":
                _in_new_process(place / "ws")
            for number in range(rounds):
                workspace = place / (f"ws{number}" if where == "new" else "ws")
                try:
                    imported, first, loaded = _in_new_process(workspace)
                finally:
                    if where == "new":
                        processes.remove_workspace(workspace)
                imports.append(imported)
                firsts.append(first)
                heavy.update(loaded)
        middle = max(middle, statistics.median(firsts))
        table.add(where, _ms(statistics.median(imports)), _ms(statistics.median(firsts)), _ms(max(firsts)))
    report.goal("import to the first metric, median", "50 ms", _ms(middle), middle <= 0.05)
    report.goal("heavy modules imported", "none", ", ".join(sorted(heavy)) or "none", not heavy)


def _in_new_process(workspace: Path) -> tuple[float, float, list[str]]:
    """Return the seconds to import and to the first metric, and the heavy modules that were loaded."""
    command = [sys.executable, "-c", FIRST_METRIC, str(workspace)]
    # Compiled once, like any installed package; the first process of all compiles.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    said = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=harness.ROOT, env=environment
    ).stdout
    imported, first, heavy = json.loads(said)
    return imported, first, heavy


def _daemon(report: Report, sizes: list[int]) -> None:
    from contexta_client import launch

    rounds = 5
    table = report.table(
        "A daemon from nothing until its health check says that it serves", "metrics kept", "median", "slowest"
    )
    nothing_s = 0.0
    for size in (0, *sizes):
        with harness.workspace() as (ctx, workspace):
            if size:
                run = harness.warm_up(ctx)
                for step in range(size // 100):
                    run.log({f"m{index}": step / 7 for index in range(100)}, step=step)
                run.close()
            ctx.close()
            processes.until(lambda workspace=workspace: not processes.spools_of(workspace), 120)
            taken = []
            for _ in range(rounds):
                processes.end_all(workspace)
                began = time.perf_counter()
                launch.ensure_daemon(workspace, {})
                taken.append(time.perf_counter() - began)
        middle = statistics.median(taken)
        nothing_s = nothing_s or middle
        table.add(f"{size:,}", _ms(middle), _ms(max(taken)))
    report.goal("daemon from nothing to serving, median", "500 ms", _ms(nothing_s), nothing_s <= 0.5)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


if __name__ == "__main__":
    harness.main(
        measure, name="startup", title="Beginning", what="What a script pays before its first metric is captured."
    )
