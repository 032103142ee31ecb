"""The bytes that a metric takes on disk, by how well its values compress, beside json lines and rows in SQLite."""

from __future__ import annotations

import random
from collections.abc import Callable
from math import sin
from pathlib import Path

import harness
from harness import Report, processes
from yardsticks import JsonLines, SqliteRows

WIDTH = 100  # metrics of one log()


def smooth(step: int) -> float:
    """A curve with every digit of a double used."""
    return 2.3 * 0.9999**step + sin(step / 50) / 40


def float32(step: int) -> float:
    """What a loss taken from a 32-bit tensor looks like: half of the double's digits are zero."""
    import struct

    return float(struct.unpack("f", struct.pack("f", smooth(step)))[0])


def noise(step: int) -> float:
    """Nothing to compress: the worst case."""
    return random.random()


KINDS: dict[str, Callable[[int], float]] = {"smooth": smooth, "float32": float32, "noise": noise}


def measure(report: Report, quick: bool) -> None:
    sizes = [10_000, 100_000] if quick else [10_000, 100_000, 1_000_000]
    table = report.table(
        "Bytes a metric, everything that the workspace holds at the end",
        *("metrics", "values", "call", "log", "catalog", "json lines of ours", "plain json lines", "sqlite"),
    )
    worst = smooth_bytes = 0.0
    for count in sizes:
        for name, value_of in KINDS.items():
            plain = _yardsticks(count, value_of)
            for call in ("metric()", "log() of 100"):
                log, catalog, mirror = _captured(count, value_of, call)
                table.add(f"{count:,}", name, call, *(f"{size / count:.1f}" for size in (log, catalog, mirror, *plain)))
                if call == "metric()":
                    worst = max(worst, log / count) if count == sizes[-1] else 0.0
                    smooth_bytes = log / count if name == "smooth" else smooth_bytes
    report.goal("log, bytes a metric on a smooth series", "8", f"{smooth_bytes:.1f}", smooth_bytes <= 8)
    report.remarks.append(f"The worst at {sizes[-1]:,} metrics: {worst:.1f} bytes (values that cannot be compressed).")
    report.remarks.append("capture.local_jsonl=False leaves the JSON Lines files out.")


def _captured(count: int, value_of: Callable[[int], float], call: str) -> tuple[int, int, int]:
    """Return the bytes of the log, of the catalog and of the JSON Lines files, once all has ended."""
    with harness.workspace() as (ctx, workspace):
        with ctx.run("bench") as run:
            if call == "metric()":
                for step in range(count):
                    run.metric("loss", value_of(step), step=step)
            else:
                names = [f"m{index}" for index in range(WIDTH)]
                for step in range(count // WIDTH):
                    run.log({name: value_of(step) + place for place, name in enumerate(names)}, step=step)
            ctx.flush(120)
        ctx.close()
        processes.until(lambda: not processes.spools_of(workspace), 120, "the spool is delivered")
        processes.until(lambda: _lines(workspace) >= count, 300, "the JSON Lines files are written")
        processes.end_all(workspace)
        folders = ("records", "metadata", "cache/capture")
        log, catalog, mirror = (_size(workspace / folder) for folder in folders)
        return log, catalog, mirror


def _yardsticks(count: int, value_of: Callable[[int], float]) -> tuple[int, int]:
    with harness.folder() as place:
        lines, rows = JsonLines(place / "lines"), SqliteRows(place / "rows.db")
        for step in range(count):
            lines.metric(step, "loss", value_of(step))
            rows.metric(step, "loss", value_of(step))
        lines.finish()
        rows.finish()
        return _size(place / "lines"), _size(place / "rows.db")


def _size(path: Path) -> int:
    """The bytes of a file, or of all files below a folder."""
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)


def _lines(workspace: Path) -> int:
    path = workspace / "cache" / "capture" / "record.jsonl"
    if not path.exists():
        return 0
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


if __name__ == "__main__":
    harness.main(
        measure, name="disk_bytes", title="Bytes on disk", what="One series, captured in order, kept by one daemon."
    )
