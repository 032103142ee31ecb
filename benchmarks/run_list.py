"""Lists over many runs, filtered by a metric and sorted, beside one SELECT over the same rows in SQLite."""

from __future__ import annotations

import sqlite3
import statistics
from pathlib import Path
from typing import Any

import harness
from harness import Report


def measure(report: Report, quick: bool) -> None:
    from contexta.interpretation import MetricCondition

    sizes = [10, 100, 1_000] if quick else [100, 1_000, 10_000]
    table = report.table(
        "Median of 7 lists of 50 runs: of a status, accuracy above a threshold, sorted by name",
        *("runs", "list_runs", "all runs, unfiltered", "one SELECT", "x"),
    )
    condition = MetricCondition("accuracy", "gt", 0.5)
    for runs in sizes:
        with harness.workspace() as (ctx, _), harness.folder() as place:
            harness.warm_up(ctx).close()
            _put(ctx, runs)

            def filtered(ctx: Any = ctx) -> list[Any]:
                return ctx.list_runs(
                    "fleet", status="completed", metric_conditions=[condition], sort_by="name", limit=50
                )  # type: ignore[no-any-return]

            found = filtered()
            if len(found) != min(50, runs // 2) or any(run.status != "completed" for run in found):
                raise AssertionError(f"{len(found)} runs were listed")
            taken = statistics.median(harness.seconds(filtered) for _ in range(7))
            whole = statistics.median(harness.seconds(lambda ctx=ctx: ctx.list_runs("fleet")) for _ in range(3))
            plain = _select(place / "rows.db", runs)
        shown = [f"{each * 1000:,.1f} ms" for each in (taken, whole, plain)]
        table.add(f"{runs:,}", *shown, f"{taken / plain:.1f}")
    report.goal(f"a filtered list over {sizes[-1]:,} runs", "50 ms", f"{taken * 1000:.1f} ms", taken <= 0.05)


def _put(ctx: Any, count: int) -> None:
    from contexta.contract import MetricPayload, MetricRecord, RecordEnvelope, Run

    at = "2026-01-01T00:00:00Z"
    runs, records = [], []
    for number in range(count):
        ref = f"run:fleet.r{number}"
        runs.append(
            Run(
                run_ref=ref, project_ref="project:fleet", name=f"r{number}", status="completed", started_at=at,
                ended_at=at,
            )
        )  # fmt: skip
        envelope = RecordEnvelope(
            record_ref=f"record:fleet.r{number}.accuracy", record_type="metric", recorded_at=at, observed_at=at,
            producer_ref="bench", run_ref=ref,
        )  # fmt: skip
        payload = MetricPayload(metric_key="accuracy", value=0.75 if number % 2 else 0.25, value_type="float64")
        records.append(MetricRecord(envelope=envelope, payload=payload))
    ctx.metadata_store.runs.put_many(runs)
    ctx.record_store.append_many(records)


def _select(path: Path, count: int) -> float:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE r (name TEXT, status TEXT, accuracy REAL)")
        rows = [(f"r{number}", "completed", 0.75 if number % 2 else 0.25) for number in range(count)]
        db.executemany("INSERT INTO r VALUES (?, ?, ?)", rows)
        asked = "SELECT * FROM r WHERE status = 'completed' AND accuracy > 0.5 ORDER BY name LIMIT 50"
        return statistics.median(harness.seconds(lambda: db.execute(asked).fetchall()) for _ in range(7))


if __name__ == "__main__":
    harness.main(measure, name="run_list", title="A list of runs", what="What a list over many runs takes, over gRPC.")
