"""Bytes on disk for a metric: a smooth series, a noisy one, many keys, and the same as json lines."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable
from pathlib import Path

import harness
from harness import Report


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _measure_one(capture: Callable[[object, int], object], count: int) -> dict[str, int]:
    """Return bytes by part of the workspace, beyond those of an empty run."""
    found: dict[str, int] = {}
    for total in (0, count):
        with harness.workspace() as (ctx, path):
            run = harness.warm_up(ctx)
            for step in range(total):
                capture(run, step)
                if step % 2000 == 1999:  # as a training loop would: a few thousand a second, so batches stay small
                    ctx.flush(60)
            harness.wait_for_columns(path, total)
            ctx.close()
            harness.processes.end_all(path)
            parts = {
                "log": path / "records" / "log",
                "columns": path / "records" / "columns",
                "catalog": path / "metadata",
                "json lines": path / "cache",
            }
            for name, folder in parts.items():
                found[name] = _size(folder) - found.get(name, 0)
    return found


def measure(report: Report, quick: bool) -> None:
    sizes = [2_000, 20_000] if quick else [10_000, 100_000, 1_000_000]
    noise = random.Random(1)
    kinds: dict[str, Callable[[object, int], object]] = {
        "smooth": lambda run, step: run.metric("loss", math.sin(step / 1000), step=step),  # type: ignore[attr-defined]
        "rounded to 4 digits": lambda run, step: run.metric("acc", round(noise.random(), 4), step=step),  # type: ignore[attr-defined]
        "noise in every bit": lambda run, step: run.metric("x", noise.random(), step=step),  # type: ignore[attr-defined]
    }
    line = len(json.dumps({"key": "loss", "value": math.sin(1.5), "step": 1500, "time": time.time_ns()})) + 1
    columns = ("metrics", "series", "log", "columns", "catalog", "our json lines", "a plain json line")
    table = report.table("Bytes a metric", *columns)
    last: dict[str, int] = {}
    for count in sizes:
        for name, capture in kinds.items():
            found = _measure_one(capture, count)
            table.add(f"{count:,}", name, *(f"{max(0, size) / count:.1f}" for size in found.values()), line)
            if name == "smooth":
                last = found
    for part, goal in (("log", 8), ("columns", 5)):
        size = last[part] / sizes[-1]
        report.goal(f"bytes in the {part} for a metric of a smooth series", str(goal), f"{size:.1f}", size <= goal)
    report.remarks.append("Flushed every 2,000 metrics, so that batches are as small as those of a real loop.")
    report.remarks.append("Log and json lines are both kept (capture.local_jsonl: False leaves the lines out).")


if __name__ == "__main__":
    harness.main(measure, name="disk_bytes", title="Bytes on disk", what="Growth of a workspace, metric by metric.")
