"""Memory: what a tracked process gains, and what the daemon holds with 64 writers at full speed."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import harness
from harness import ROOT, Report, processes

MIB = 1 << 20

TRACKED = """
import json, sys
sys.path[:0] = sys.argv[3:5]
import gc
from harness import resident_bytes
import numpy
before = resident_bytes()
from contexta import Contexta
ctx = Contexta(workspace=sys.argv[1], config={"project_name": "bench"})
run = ctx.run("r")
run.metric("loss", 0.5, step=0)
first = resident_bytes()
seen = []
for part in range(3):
    for step in range(int(sys.argv[2]) * 10 ** part):
        run.metric("loss", 0.5, step=step)
    ctx.flush(120)
    gc.collect()
    seen.append(resident_bytes() - before)
print(json.dumps([first - before, *seen]))
ctx.close()
"""

WRITER = """
import sys, time
from contexta import Contexta
ctx = Contexta(workspace=sys.argv[1], config={"project_name": "bench", "capture": {
    "spool_bytes": 8 << 20, "exit_timeout_s": 1, "packages": False, "git": False, "local_jsonl": False}})
run = ctx.run(f"r{sys.argv[2]}")
end, step, kept = time.monotonic() + float(sys.argv[3]), 0, 0
metric = run.metric
while time.monotonic() < end:
    for _ in range(1000):
        kept += bool(metric("loss", step * 0.5, step=step))
        step += 1
print(step, kept, flush=True)
import os
os._exit(0)
"""


def measure(report: Report, quick: bool) -> None:
    count = 2_000 if quick else 20_000
    with harness.folder() as place:
        command = [sys.executable, "-c", TRACKED, str(place / "ws"), str(count), str(ROOT / "benchmarks"), str(ROOT)]
        said = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout
        first, *gains = json.loads(said)
    table = report.table("Resident memory of a process that has imported numpy", "when", "gained")
    table.add("first metric", f"{first / MIB:.1f} MiB")
    total = 0
    for part, gain in enumerate(gains):
        total += count * 10**part
        table.add(f"{total:,} metrics, delivered", f"{gain / MIB:.1f} MiB")
    most = max(first, *gains)
    report.goal("a tracked process gains", "10 MiB and the spool", f"{most / MIB:.1f} MiB", most <= 74 * MIB)
    _daemon(report, quick)


def _daemon(report: Report, quick: bool) -> None:
    table = report.table("64 writers at full speed", "after", "daemon", "sender")
    lasts_s, writers = (4.0, 16) if quick else (30.0, 64)
    peak = 0
    with harness.folder() as place:
        workspace = place / "ws"
        started = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(workspace), str(number), str(lasts_s)],
                cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            )
            for number in range(writers)
        ]  # fmt: skip
        began, next_look = time.monotonic(), 0.0
        while any(each.poll() is None for each in started):
            since = time.monotonic() - began
            daemon, sender = (_resident(workspace, role) for role in ("daemon", "sender"))
            peak = max(peak, daemon)
            if since >= next_look:
                table.add(f"{since:.0f} s", f"{daemon / MIB:.0f} MiB", f"{sender / MIB:.0f} MiB")
                next_look += lasts_s / 8
            time.sleep(0.05)  # the interval of looking, nothing is waited for
        said = [each.stdout.read().split() for each in started if each.stdout]
    calls, kept = (sum(int(words[place]) for words in said if len(words) == 2) for place in (0, 1))
    report.remarks.append(f"{calls:,} calls were made by {writers} writers on one machine, {kept:,} of them were kept.")
    report.goal(f"daemon memory, {writers} writers", "256 MiB", f"{peak / MIB:.0f} MiB", peak <= 256 * MIB)


def _resident(workspace: Path, role: str) -> int:
    total = 0
    for pid in processes.pids_of(role, workspace):
        try:
            total += harness.resident_bytes(pid)
        except (OSError, LookupError):
            continue
    return total


if __name__ == "__main__":
    harness.main(measure, name="memory", title="Memory", what="Resident pages as /proc tells them.")
