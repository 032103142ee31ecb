"""Questions at random while everything happens: an answer, or a refusal that says why; and never less than durable."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import everything_trainer as words
from rig import Trial
from stored import Session, by_run

from contexta import Contexta
from contexta.errors import (
    AmbiguousError,
    ConflictError,
    ContextaError,
    DeadlineError,
    NotFoundError,
    StorageError,
    UnavailableError,
)

# What may be said while daemons are killed, disks are full, and runs are only just opened.
TOLERATED = (UnavailableError, DeadlineError, NotFoundError, StorageError, ConflictError, AmbiguousError)
SETTLE_S = 120.0


class Questioner(threading.Thread):
    """Asks one question after the other until it is told to end."""

    def __init__(self, trial: Trial, workspace: Path, seed: int, trainers: Callable[[], Sequence[Any]]) -> None:
        super().__init__(daemon=True)
        self._trial, self._workspace, self._trainers = trial, workspace, trainers
        self._chance = random.Random(seed)
        self._over = threading.Event()
        self.answered = self.refused = 0

    def end(self) -> None:
        """Return when the last question was answered or refused."""
        self._over.set()
        self.join(180)
        self._trial.check(not self.is_alive(), "a question is still not answered")

    def run(self) -> None:
        with Contexta(workspace=self._workspace, config={"project_name": "k"}) as ctx:
            while not self._over.is_set():
                question = self._chance.choice(QUESTIONS)
                try:
                    self._ask(ctx, question)
                    self.answered += 1
                except TOLERATED:
                    self.refused += 1
                    self._over.wait(0.05)
                except Exception as error:
                    self._trial.check(False, f"{question}: {type(error).__name__}: {error}")
                    self._over.wait(0.5)

    def _ask(self, ctx: Contexta, question: str) -> None:
        trainers = [each for each in self._trainers() if each.shared[words.READY]]
        if not trainers:
            self._over.wait(0.05)
            return
        trainer = self._chance.choice(trainers)
        run_id, durable = f"run:k.r{trainer.number}", trainer.shared[words.DURABLE]
        if question == "count":
            rows = ctx.sql(f"SELECT metric_count FROM runs WHERE run_id = '{run_id}'").rows
            there = int(rows[0][0]) if rows else 0
            self._trial.check(there >= durable, f"{run_id}: {durable} metrics were durable, the answer counts {there}")
        elif question == "series":
            ctx.get_step_series(run_id, "loss")
        elif question == "report":
            ctx.build_snapshot_report(run_id).to_html()
        elif question == "compare":
            ctx.compare_runs(run_id, f"run:k.r{self._chance.choice(trainers).number}")
        elif question == "metrics":
            ctx.sql("SELECT run_id, metric_key, count(*), max(value) FROM metrics GROUP BY ALL")
        else:
            getattr(ctx, question)(run_id)


QUESTIONS = (
    "count", "count", "series", "report", "compare", "metrics", "get_run_snapshot", "diagnose_run", "list_stages",
    "list_series", "list_artifacts", "list_workers", "get_provenance", "traverse_lineage",
)  # fmt: skip


def counts(sessions: dict[bytes, Session]) -> dict[str, tuple[int, ...]]:
    """Return metrics, metrics again (as columns have them) and dropped records of every run, as the log has them."""
    found = {}
    for run_id, parts in by_run(sessions).items():
        metrics = sum(_metrics(session) for session in parts)
        dropped = sum(sum(totals) for session in parts for totals in session.dropped().values())
        found[run_id] = (metrics, metrics, dropped)
    return found


def _metrics(session: Session) -> int:
    rows = sum(value.size for parts in session.row_parts.values() for _, value in parts)
    return sum(len(step) for step, *_ in session.column_parts) + int(rows)


def settled(ctx: Contexta) -> dict[str, tuple[int, ...]]:
    """Return the same as the daemon answers, once the columns have all; as far as they are when they take too long."""
    end = time.monotonic() + SETTLE_S
    while True:
        answer = _asked(ctx)
        if all(each[0] == each[1] for each in answer.values()) or time.monotonic() > end:
            return answer
        time.sleep(0.1)  # the interval of looking


def _asked(ctx: Contexta) -> dict[str, tuple[int, ...]]:
    """Ask the catalog for metrics and losses of every run, and the columns for its metrics."""
    try:
        runs = ctx.sql("SELECT run_id, metric_count, dropped_count FROM runs").rows
        columns = dict(ctx.sql("SELECT run_id, count(*) FROM metrics GROUP BY run_id").rows)
    except ContextaError as error:
        if not error.retryable:
            raise
        return {"": (0, 1)}
    return {str(run): (int(metrics), int(columns.get(run, 0)), int(dropped)) for run, metrics, dropped in runs}
