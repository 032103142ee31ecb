"""What capture is measured against, in the same process and run: a deque, json lines, rows into sqlite."""

from __future__ import annotations

import json
import sqlite3
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path


def deque_append() -> Callable[[int], object]:
    """The least that keeping a metric with its time can cost."""
    append, now = deque(maxlen=1_000_000).append, time.time_ns

    def keep(step: int) -> None:
        append(("loss", 0.5, step, now()))

    return keep


class JsonLines:
    """One line a metric into a buffered file."""

    def __init__(self, path: Path) -> None:
        self.file = path.open("w", encoding="utf-8")

    def metric(self, step: int, key: str = "loss", value: float = 0.5) -> None:
        """Write a line."""
        self.file.write(json.dumps({"key": key, "value": value, "step": step, "time": time.time_ns()}) + "\n")

    def log(self, metrics: dict[str, float], step: int) -> None:
        """Write many metrics as one line."""
        self.file.write(json.dumps({"metrics": metrics, "step": step, "time": time.time_ns()}) + "\n")

    def finish(self) -> None:
        """Make it durable."""
        import os

        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()


class SqliteRows:
    """One row a metric, in transactions of 10,000, WAL."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, timeout=60)
        self.db.execute("PRAGMA journal_mode=WAL")
        self.db.execute("CREATE TABLE IF NOT EXISTS m (key TEXT, value REAL, step INTEGER, time INTEGER)")
        self.waiting = 0

    def metric(self, step: int, key: str = "loss", value: float = 0.5) -> None:
        """Write a row."""
        if self.waiting == 0:
            self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("INSERT INTO m VALUES (?,?,?,?)", (key, value, step, time.time_ns()))
        self.waiting += 1
        if self.waiting == 10_000:
            self.db.execute("COMMIT")
            self.waiting = 0

    def finish(self) -> None:
        """Make it durable."""
        if self.waiting:
            self.db.execute("COMMIT")
        self.db.close()
