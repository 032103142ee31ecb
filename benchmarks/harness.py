"""What every benchmark uses: timing of calls, tables beside their goals, workspaces that are cleaned away."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import workspace_processes as processes  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"


@dataclass
class Table:
    """Rows of cells under their headings."""

    caption: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)

    def add(self, *cells: object) -> None:
        """Add a row."""
        self.rows.append([str(cell) for cell in cells])

    def text(self) -> str:
        """The table as Markdown, aligned for a terminal."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        drawn = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines]
        drawn.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        return "\n".join(drawn)


@dataclass
class Report:
    """What one program measured. `goals`: (what, goal, measured, reached), the figures that are to be reached."""

    name: str
    title: str
    what: str
    tables: list[Table] = field(default_factory=list)
    goals: list[tuple[str, str, str, bool]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    quick: bool = False
    date: str = ""
    machine: str = ""

    def table(self, caption: str, *columns: str) -> Table:
        """Begin a table."""
        made = Table(caption, list(columns))
        self.tables.append(made)
        return made

    def goal(self, what: str, goal: str, measured: str, reached: bool) -> None:
        """Put a measured figure beside the one to reach."""
        self.goals.append((what, goal, measured, bool(reached)))


def main(measure: Callable[[Report, bool], None], *, name: str, title: str, what: str) -> None:
    """Run one benchmark from the command line: print what it finds, keep it in results/<name>.json."""
    quick = "--quick" in sys.argv[1:]
    report = Report(name, title, what, quick=quick, date=time.strftime("%Y-%m-%d"), machine=machine())
    measure(report, quick)
    print(f"\n{title}\n{what}\n")
    for table in report.tables:
        print(f"{table.caption}\n{table.text()}\n")
    for wanted, goal, measured, reached in report.goals:
        print(f"{'reached' if reached else 'MISSED '} {wanted}: {measured}; goal {goal}")
    for remark in report.remarks:
        print(f"- {remark}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(asdict(report), indent=1) + "\n")


def machine() -> str:
    """Say in a line what this was measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = ""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name")) + ", "
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}{cores} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"


# --- timing ----------------------------------------------------------------------------------------------------------


def time_calls(call: Callable[[int], object], count: int) -> array[int]:
    """Call with 0, 1, 2...; return the ns that each took, the clock's own included."""
    clock = time.perf_counter_ns
    taken = array("q", bytes(8 * count))
    for index in range(count):
        began = clock()
        call(index)
        taken[index] = clock() - began
    return taken


def percentile(taken: Sequence[int], percent: float) -> float:
    """Return a percentile in microseconds."""
    import numpy as np

    return float(np.percentile(np.asarray(taken), percent)) / 1000


def seconds(action: Callable[[], object]) -> float:
    """Return how long something took."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def us(value: float) -> str:
    """Microseconds as text."""
    return f"{value:,.2f} us" if value < 100 else f"{value:,.0f} us"


def rate(per_second: float) -> str:
    """A rate as text."""
    return f"{per_second / 1e6:.2f} M/s" if per_second >= 1e6 else f"{per_second / 1e3:.0f} k/s"


# --- workspaces ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def workspace(**config: Any) -> Iterator[tuple[Any, Path]]:
    """A Contexta on a new workspace; closed, its daemon ended and its folder removed at the end."""
    from contexta import Contexta

    with folder() as place:
        ctx = Contexta(workspace=place / "ws", config={"project_name": "bench", **config})
        try:
            yield ctx, place / "ws"
        finally:
            ctx.close()


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A new folder on disk; whatever serves the workspace `ws` in it is ended at the end."""
    with tempfile.TemporaryDirectory(prefix="contexta-bench-", dir=os.environ.get("BENCH_DIR")) as name:
        try:
            yield Path(name)
        finally:
            processes.remove_workspace(Path(name, "ws"))


def wait_for_columns(workspace: Path, rows: int, timeout_s: float = 60.0) -> None:
    """Wait until the columns of a workspace hold at least so many metrics."""
    import duckdb

    from contexta_daemon.columns import chain_in

    folder = workspace / "records" / "columns"
    found, give_up = 0, time.monotonic() + timeout_s
    while found < rows:
        if time.monotonic() > give_up:
            raise TimeoutError(f"{found} of {rows} metrics are in the columns after {timeout_s:.0f} s")
        time.sleep(0.1)
        files = [str(folder / file.name) for file in chain_in(folder)]
        with contextlib.suppress(duckdb.IOException):  # merged away meanwhile
            found = duckdb.sql("SELECT count(*) FROM read_parquet($1)", params=[files]).fetchall()[0][0] if files else 0


def warm_up(ctx: Any, name: str = "bench") -> Any:
    """Open a run and wait until sender and daemon are up; return the run."""
    run = ctx.run(name)
    run.metric("first", 1.0)
    ctx.flush(60)
    return run


def resident_bytes(pid: int | str = "self") -> int:
    """Return the memory that a process holds now."""
    for line in Path("/proc", str(pid), "status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise LookupError(f"no resident size of process {pid}")
