"""What the processes of a workspace hold, sampled through time, and whether it grows. Linux only (/proc)."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rig import processes

MIB = 1 << 20
ROLES = ("trainers", "sender", "daemon", "columns")
FOLDERS = ("records/log", "records/columns", "metadata", "cache")


@dataclass
class Samples:
    """Measures by name, each as long as `seconds`: memory by role in bytes, open files, threads, bytes on disk."""

    seconds: list[float] = field(default_factory=list)
    series: dict[str, list[float]] = field(default_factory=dict)

    def take(self, since: float, found: dict[str, float]) -> None:
        """Add one sample; a measure that was not there before, or is not now, is 0."""
        before = len(self.seconds)
        self.seconds.append(time.monotonic() - since)
        for name in self.series.keys() | found.keys():
            self.series.setdefault(name, [0.0] * before).append(found.get(name, 0.0))

    def growth(self, name: str) -> float:
        """By how much a measure grew over the second half, along its regression line."""
        half = len(self.seconds) // 2
        x, y = np.array(self.seconds[half:]), np.array(self.series[name][half:])
        if len(x) < 3:
            return 0.0
        slope = np.cov(x, y, bias=True)[0, 1] / max(np.var(x), 1e-9)
        return float(slope * (x[-1] - x[0]))

    def highest(self, name: str) -> float:
        return max(self.series.get(name, [0.0]))


def look(workspace: Path, trainers: Iterable[int]) -> dict[str, float]:
    """Return all measures as they are now."""
    daemons = processes.pids_of("daemon", workspace)
    children = _descendants(daemons)
    groups = {
        "trainers": list(trainers),
        "sender": processes.pids_of("sender", workspace),
        "daemon": daemons + [pid for pid in children if not _is_columns(pid)],
        "columns": [pid for pid in children if _is_columns(pid)],
    }
    found: dict[str, float] = {}
    for role, pids in groups.items():
        for pid in pids:
            for what, number in _process(pid).items():
                found[f"{role} {what}"] = found.get(f"{role} {what}", 0.0) + number
    for name in FOLDERS:
        found[f"disk {name}"] = float(size_of(workspace / name))
    found["disk spools"] = float(sum(size_of(spool) for spool in processes.spools_of(workspace)))
    return found


def size_of(folder: Path) -> int:
    """Return the bytes that the files below a folder take on disk."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_blocks * 512  # noqa: PTH116, PTH118
    return total


def _process(pid: int) -> dict[str, float]:
    """RSS, PSS, open files and threads of one process; nothing when it has gone."""
    try:
        rollup = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:] if ":" in line
        )
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        return {
            "rss": float(rollup["Rss"].split()[0]) * 1024,
            "pss": float(rollup["Pss"].split()[0]) * 1024,
            "files": float(len(os.listdir(f"/proc/{pid}/fd"))),
            "threads": float(status["Threads"]),
        }
    except (OSError, KeyError, ValueError):
        return {}


def _is_columns(pid: int) -> bool:
    """Whether a process is DuckDB's: what it holds goes up and down with the size of what it merges."""
    with contextlib.suppress(OSError):
        return b"contexta_daemon.columns" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


def _descendants(pids: list[int]) -> list[int]:
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parents[int(entry)] = int(Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1])
    found: list[int] = []
    fresh = list(pids)
    while fresh:
        fresh = [pid for pid, parent in parents.items() if parent in fresh]
        found += fresh
    return found
