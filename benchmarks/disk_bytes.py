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

from contexta_client.recovery.contents import lean_segments

# Segments are small, so that most of a log of this size is sealed.
DROPPING = {"retention": {"log": "drop"}, "records": {"segment_bytes": 256 << 10}}


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _measure_one(capture: Callable[[object, int], object], count: int, **config: object) -> dict[str, int]:
    """Return bytes by part of the workspace, beyond those of an empty run."""
    found: dict[str, int] = {}
    for total in (0, count):
        with harness.workspace(**config) as (ctx, path):
            run = harness.warm_up(ctx)
            for step in range(total):
                capture(run, step)
                if step % 2000 == 1999:  # as a training loop would: a few thousand a second, so batches stay small
                    ctx.flush(60)
            harness.wait_for_columns(path, total)
            if total and config == DROPPING:
                _wait_for_lean(path / "records" / "log")
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


def _wait_for_lean(log: Path) -> None:
    """Wait until all segments but the last two dropped their metrics."""
    give_up = time.monotonic() + 60
    while len(lean_segments(log)) < len(list(log.glob("*.seg"))) - 2:
        if time.monotonic() > give_up:
            raise TimeoutError("the log did not drop its metrics within 60 s")
        time.sleep(0.1)


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
    _dropped(report, kinds, sizes[-1])
    for part, goal in (("log", 8), ("columns", 5)):
        size = last[part] / sizes[-1]
        report.goal(f"bytes in the {part} for a metric of a smooth series", str(goal), f"{size:.1f}", size <= goal)
    report.remarks.append("Flushed every 2,000 metrics, so that batches are as small as those of a real loop.")
    report.remarks.append("Log and json lines are both kept (capture.local_jsonl: False leaves the lines out).")


def _dropped(report: Report, kinds: dict[str, Callable[[object, int], object]], count: int) -> None:
    table = report.table("Bytes a metric with retention.log = drop", "metrics", "series", "log", "columns", "both")
    for name, capture in kinds.items():
        found = _measure_one(capture, count, **DROPPING)
        shown = [found["log"], found["columns"], found["log"] + found["columns"]]
        table.add(f"{count:,}", name, *(f"{max(0, size) / count:.1f}" for size in shown))


if __name__ == "__main__":
    harness.main(measure, name="disk_bytes", title="Bytes on disk", what="Growth of a workspace, metric by metric.")
