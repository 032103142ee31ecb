"""The same calls made to other trackers, each in an environment of its own below .envs, all of them offline.

`python benchmarks/trackers.py --install` makes the environments first (`make bench-trackers` does both). None of them
is a dependency of anything. A tracker that is not installed is left out, and the report says so.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import harness
from harness import ROOT, Report, percentile, rate, us
from tracker_worker import TRACKERS

ENVIRONMENTS = ROOT / ".envs"
# tensorboard's writer and mlflow's client need these beside themselves.
PACKAGES = {
    "tensorboard": ["tensorboard"],
    "trackio": ["trackio"],
    "swanlab": ["swanlab"],
    "wandb": ["wandb"],
    "mlflow": ["mlflow"],
}
# Metrics of one trial: so many that each takes some seconds.
COUNTS = {"contexta": 1_000_000, "json lines": 1_000_000, "mlflow": 2_000, "wandb": 50_000}
OWN = ("contexta", "json lines", "nothing")
TRIAL_TIMEOUT_S = 300


def install(names: Iterable[str] = tuple(PACKAGES)) -> None:
    """Make one environment a tracker; one that cannot be installed is told and left out."""
    for name in names:
        packages = PACKAGES[name]
        python = python_of(name)
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENTS / name)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        if subprocess.run(pip).returncode:
            print(f"{name} could not be installed", file=sys.stderr)


def python_of(name: str) -> Path:
    """The interpreter that has this tracker."""
    return Path(sys.executable) if name in OWN else ENVIRONMENTS / name / "bin" / "python"


def version_of(name: str) -> str:
    """The installed version of a tracker; empty when it is not there."""
    ask = f"import importlib.metadata as m; print(m.version({name!r}))"
    if name == "json lines" or not python_of(name).exists():
        return ""
    return subprocess.run([str(python_of(name)), "-c", ask], capture_output=True, text=True).stdout.strip()


def trial(name: str, *, workers: int, count: int, log_count: int) -> list[dict[str, Any]]:
    """Run worker processes that begin together; return what each found. Raises RuntimeError with what one said."""
    with harness.folder() as place, (place / "said").open("w+") as said:
        command = [str(python_of(name)), str(Path(__file__).with_name("tracker_worker.py")), name, str(place)]
        # A home of their own: settings and caches of the user are neither read nor written.
        env = {**os.environ, "HOME": str(place), "TMPDIR": str(place), "PYTHONWARNINGS": "ignore"}
        started: list[subprocess.Popen[str]] = []
        try:
            for number in range(workers):  # one after the other: some cannot create their database twice at once
                worker = subprocess.Popen(
                    [*command, str(number), str(count), str(log_count)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    text=True,
                    cwd=place,
                    env=env,
                )
                started.append(worker)
                assert worker.stdout is not None
                worker.stdout.readline()
            for each in started:
                assert each.stdin is not None
                with contextlib.suppress(BrokenPipeError):
                    each.stdin.write("\n")
                    each.stdin.flush()
            answers = [json.loads(each.communicate(timeout=TRIAL_TIMEOUT_S)[0] or "null") for each in started]
        finally:
            for each in started:
                each.kill()
                each.wait()
        if any(answer is None for answer in answers):
            said.seek(0)
            raise RuntimeError(said.read()[-600:].strip())
        return answers


def measure(report: Report, quick: bool) -> None:
    """Calls of one process, then one and eight processes until everything is finished."""
    calls = report.table(
        "Calls of one process",
        "tracker",
        "first metric after",
        "metric p50",
        "p99.9",
        "log of 100 p50",
        "p99.9",
        "memory gained",
    )
    ends = report.table(
        "Metrics a second, until finish has returned in each process", "tracker", "metrics", "1 process", "8 processes"
    )
    for name in TRACKERS:
        version = version_of(name)
        if not version and name != "json lines":
            report.remarks.append(f"{name} is not installed here (make bench-trackers).")
            continue
        count = COUNTS.get(name, 200_000) // (10 if quick else 1)
        try:
            _calls(calls, name, version, min(count, 100_000))
            _ends(ends, name, version, count)
        except (RuntimeError, ValueError, subprocess.TimeoutExpired) as problem:
            report.remarks.append(f"{name} {version} did not get through: {str(problem).splitlines()[-1:]}")
    report.remarks.append(
        "Every tracker is offline and has its defaults. What it kept is not read back; throughput does that for ours."
    )


def _calls(table: harness.Table, name: str, version: str, count: int) -> None:
    (found,) = trial(name, workers=1, count=count, log_count=max(50, count // 100))
    p50, p999 = percentile(found["calls"], 50), percentile(found["calls"], 99.9)
    log50, log999 = percentile(found["logs"], 50), percentile(found["logs"], 99.9)
    gained = f"{found['gained_bytes'] / 2**20:.0f} MiB"
    table.add(
        f"{name} {version}", f"{found['started_ns'] / 1e9:.2f} s", us(p50), us(p999), us(log50), us(log999), gained
    )


def _ends(table: harness.Table, name: str, version: str, count: int) -> None:
    rates = []
    for workers in (1, 8):
        found = trial(name, workers=workers, count=count // workers, log_count=0)
        per_s = count // workers * workers / (max(each["total_ns"] for each in found) / 1e9)
        rates.append(rate(per_s) if per_s >= 10_000 else f"{per_s:,.0f} /s")
    table.add(f"{name} {version}", f"{count:,}", *rates)


if __name__ == "__main__":
    if "--install" in sys.argv:
        install()
    harness.main(
        measure,
        name="trackers",
        title="Beside other trackers",
        what="The same calls made to each, in its own environment.",
    )
