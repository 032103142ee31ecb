"""What a torch loop pays for being tracked: a small transformer, the same loop with and without, in turns.

    python benchmarks/real_loop.py [--install] [--minutes M] [--quick]

Torch is installed once, into .envs/torch, and every tracker into an environment of its own (`make bench-real-loop` does
both); a process of each tracker finds torch behind its own packages. Where torch finds a CUDA device, it trains there.
A run that was interrupted goes on where it was; one that came to its end begins anew.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
import trackers
from harness import RESULTS, Report

PARTS = RESULTS / "real_loop"
RATES = (100, 1_000, 10_000)
# More pairs of slices for what is judged, and for the loop that is not tracked at all: it tells how exact this is.
ROWS = {"nothing": 2, "contexta": 2, "contexta, each": 1, "tensorboard": 1, "trackio": 1, "wandb": 1, "mlflow": 1}
ONE_THREAD_ONLY = ("contexta, each",)
MOST_PAIRS = 400
GOAL_PERCENT = 0.5


def install() -> None:
    """Make the environments of torch and of the trackers."""
    if not _torch_python().exists():
        subprocess.run([sys.executable, "-m", "venv", str(trackers.ENVIRONMENTS / "torch")], check=True)
    pip = [str(_torch_python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "torch", "numpy"]
    if subprocess.run(pip).returncode:
        sys.exit("torch could not be installed")
    trackers.install([name for name in ROWS if name in trackers.PACKAGES])


def _torch_python() -> Path:
    return trackers.ENVIRONMENTS / "torch" / "bin" / "python"


def _torch_packages() -> str:
    """Where torch's packages are; empty when it is not installed."""
    ask = "import sysconfig, torch; print(sysconfig.get_path('purelib'))"
    if not _torch_python().exists():
        return ""
    return subprocess.run([str(_torch_python()), "-c", ask], capture_output=True, text=True).stdout.strip()


def _version(name: str) -> str:
    return "" if name == "nothing" else trackers.version_of(name.removesuffix(", each"))


def measure(report: Report, quick: bool) -> None:
    """Run what is missing of all rows, then make the tables of all of them."""
    packages, cores = _torch_packages(), len(os.sched_getaffinity(0))
    if not packages:
        print("torch is not installed here (make bench-real-loop): nothing is measured, what there was is kept.")
        sys.exit(0)
    present = {name: _version(name) for name in ROWS if name == "nothing" or _version(name)}
    all_threads = _threads(cores)[: 1 if quick else None]
    wanted = [(name, threads) for threads in all_threads for name in present]
    wanted = [(name, threads) for name, threads in wanted if threads == 1 or name not in ONE_THREAD_ONLY]
    ends = time.monotonic() + (40 if quick else _minutes() * 60)
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for place, (name, threads) in enumerate(wanted):
        share = (ends - time.monotonic()) * ROWS[name] / sum(ROWS[each] for each, _ in wanted[place:])
        part = _part(report, name, threads, packages, budget_s=max(share, 1.0), quick=quick)
        if part:
            found[name, threads] = part
    for threads in all_threads:
        rows = {name: found[name, threads] for name in present if (name, threads) in found}
        _tables(report, threads, cores, {f"{name} {present[name]}".strip(): rows[name] for name in rows})
    _remarks(report, [name for name in ROWS if name not in present], found)
    _judge(report, found)
    if not quick:
        shutil.copy(_raw(found), RESULTS / "real_loop_raw.json")
        shutil.rmtree(PARTS)


def _threads(cores: int) -> list[int]:
    """One core of torch's, so that the others are free for what works in the background; and all of them."""
    return [1, cores] if cores > 1 else [1]


def _minutes() -> float:
    return float(sys.argv[sys.argv.index("--minutes") + 1]) if "--minutes" in sys.argv else 11.0


def _part(
    report: Report, name: str, threads: int, packages: str, *, budget_s: float, quick: bool
) -> dict[str, Any] | None:
    """Return what a process found, of this time or of the run that was interrupted."""
    kept = PARTS / f"{name.replace(', ', '-')}-{threads}.json"
    if kept.exists() and not quick:
        return dict(json.loads(kept.read_text()))
    print(f"{name}, {threads} of torch's threads, {budget_s:.0f} s", flush=True)
    try:
        part = _run(name, threads, packages, budget_s)
    except (RuntimeError, ValueError, subprocess.TimeoutExpired) as problem:
        report.remarks.append(f"{name} did not get through: {str(problem).splitlines()[-1:]}")
        return None
    if not quick:
        PARTS.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(part) + "\n")
    return part


def _run(name: str, threads: int, packages: str, budget_s: float) -> dict[str, Any]:
    worker, python = Path(__file__).with_name("real_loop_worker.py"), trackers.python_of(name.removesuffix(", each"))
    with harness.folder() as place:
        asked = {"name": name, "place": str(place), "threads": threads, "rates": RATES, "pairs": MOST_PAIRS}
        # A home of their own: settings and caches of the user are neither read nor written.
        env = {**os.environ, "HOME": str(place), "TMPDIR": str(place), "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(
            [str(python), str(worker), packages, json.dumps({**asked, "budget_s": budget_s * 0.93})],
            capture_output=True, text=True, cwd=place, env=env, timeout=budget_s + 120,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-600:].strip() or f"it ended with {done.returncode}")
    return dict(json.loads(done.stdout))


# --- tables ----------------------------------------------------------------------------------------------------------


def _tables(report: Report, threads: int, cores: int, rows: dict[str, dict[str, Any]]) -> None:
    which = "torch with 1 thread" if threads == 1 else f"torch with {threads} threads, as many as cores"
    paid = report.table(
        f"What the loop pays by the wall clock, {which} of {cores} cores; the median of pairs, and its standard error"
        if threads == 1 else f"The same, {which}",
        "tracker", *(f"at {rate:,} metrics/s" for rate in RATES),
    )  # fmt: skip
    more = report.table(
        f"More of it, {which}",
        *("tracker", "metrics/s", "a step", "metrics", "pairs", "quartiles", "its own CPU time", "CPU beside it"),
    )
    for name, part in rows.items():
        rates = [part["rates"][str(rate)] for rate in RATES]
        paid.add(name, *(_told(*_median(_ratios(each, 0))) for each in rates))
        for rate, each in zip(RATES, rates, strict=True):
            low, _, high = statistics.quantiles(_ratios(each, 0), n=4)
            often = f"{each['width']} every {each['every']} steps" if each["every"] > 1 else f"{each['width']} a step"
            more.add(
                name, f"{rate:,}", f"{part['step_s'] * 1e3:.2f} ms", often, len(each["pairs"]),
                f"{_percent(low)} to {_percent(high)}", _told(*_median(_ratios(each, 1))), _beside(each),
            )  # fmt: skip


def _ratios(found: dict[str, Any], which: int) -> list[float]:
    """With over without, pair by pair: 0 by the wall clock, 1 by the CPU time of the loop's thread."""
    return [pair[2 + which] / pair[which] for pair in found["pairs"]]


def _median(ratios: list[float]) -> tuple[float, float]:
    """Return the median and its standard error, as of a normal distribution of these quartiles."""
    low, median, high = statistics.quantiles(ratios, n=4)
    return median, 1.25 * (high - low) / 1.35 / len(ratios) ** 0.5


def _told(median: float, error: float) -> str:
    return f"{_percent(median)} ± {error * 100:.2f}"


def _percent(ratio: float) -> str:
    return f"{(ratio - 1) * 100:+.2f} %"


def _beside(found: dict[str, Any]) -> str:
    """What all other processes of the machine worked, in percent of one core while the loop was tracked."""
    if found["others_cpu_s"] is None:
        return ""
    return f"{found['others_cpu_s'] / sum(pair[2] for pair in found['pairs']) * 100:.0f} %"


def _remarks(report: Report, absent: list[str], found: dict[tuple[str, int], dict[str, Any]]) -> None:
    first = next(iter(found.values()))
    report.remarks += [f"{name} is not installed here (make bench-real-loop)." for name in absent]
    report.remarks += [
        f"torch {first['torch']} on {first['device']}. The model: a transformer of 2 layers of 96, 8 sequences of 32.",
        "`nothing` is a call that does nothing in place of a tracker's: what it seems to pay is how exact this is.",
        "A step's metrics are tracked in one call, log(); `contexta, each` makes a metric() call for each of them.",
        "Slices of 0.25 s with and without are taken in turns, each after 0.06 s of the same that are not measured. "
        "The rate is of the loop that pays nothing: a loop that a call holds up tracks fewer.",
        "Every tracker is offline and has its defaults; contexta writes its JSON Lines, too. CPU beside it is what all "
        "other processes of the machine worked, in percent of one core of the time in which the loop was tracked.",
    ]


def _judge(report: Report, found: dict[tuple[str, int], dict[str, Any]]) -> None:
    """Judge a median together with its own uncertainty, so that a noisy machine reaches nothing by luck."""
    for (name, threads), part in found.items():
        if name != "contexta":
            continue
        for rate in RATES:
            median, error = _median(_ratios(part["rates"][str(rate)], 0))
            what = f"a torch loop at {rate:,} metrics/s pays, {threads} of its threads"
            reached = (median - 1 + error) * 100 <= GOAL_PERCENT
            report.goal(what, f"{GOAL_PERCENT} %", _told(median, error), reached)


def _raw(found: dict[tuple[str, int], dict[str, Any]]) -> Path:
    """Write every pair of slices into one file; return where it is."""
    path = PARTS / "raw.json"
    path.write_text(json.dumps([{"name": name, "threads": n, **part} for (name, n), part in found.items()]) + "\n")
    return path


def readme_lines(report: dict[str, Any]) -> Iterator[str]:
    """Yield the README's tables out of a kept report."""
    for table in report["tables"]:
        if len(table["columns"]) != 1 + len(RATES):
            continue
        yield from ("", f"{table['caption']}:", "")
        for cells in (table["columns"], ["---"] * len(table["columns"]), *table["rows"]):
            yield "| " + " | ".join(cells) + " |"
    yield from ("", f"{report['date']}, {report['machine']}; {report['remarks'][-5]}")


if __name__ == "__main__":
    if "--install" in sys.argv:
        install()
    harness.main(
        measure,
        name="real_loop",
        title="What a torch loop pays",
        what="A small transformer with and without each tracker, each in its own environment.",
    )
